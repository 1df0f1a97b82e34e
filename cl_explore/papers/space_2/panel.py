"""TreePanel: two trees of labels, the ten parts that they may have in common, and the shares these make of a batch."""

import numpy as np
import torch
from torch import Tensor

from cl_explore.losses import Choice, Knob
from cl_explore.papers.space_2.method import VIEWS, Frame, branches, tree_scores
from cl_explore.takes import takes
from cl_explore.widgets.controls import dial
from cl_explore.widgets.marks import Bars, Heat, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

NONE = "none"
LABELS = {
    "domain": ("hotel", "restaurant", "taxi"),
    "intent": ("inform", "request", "book"),
    "slot": (NONE, "area", "from", "to"),
    "value": (NONE, "north", "centre", "station"),
}
FIRST, SECOND = ("taxi", "inform", "to", "station"), ("taxi", "inform", "from", "station")
WHOLE = "all ten (one space)"
MEMBERS = ("A′", "B", "C", "D", "E", "F")
LENGTHS = ("#0072B2", "#56B4E9", "#009E73", "#CC79A7")
"""Colours of nodes, edges and paths of a tree."""
SHARE, SOFTMAX = "#D55E00", "#797186"


def tree(domain: str, intent: str, *slots: str) -> Frame:
    """A tree of one domain and one intent, with slots and their values in turn; it stops where one is none."""
    pairs = [(slot, value) for slot, value in zip(slots[::2], slots[1::2], strict=True) if slot != NONE]
    return {domain: {intent: {slot: [{"value": value}] if value != NONE else [] for slot, value in pairs}}}


OTHERS = (
    tree("taxi", "book", "to", "station", "from", "centre"),
    tree("restaurant", "inform", "area", "station"),
    tree("taxi", "request"),
    tree("hotel", "book", "area", "north"),
)


def told(frame: Frame) -> str:
    """A tree in words."""
    first, *more = branches(frame)
    return ", ".join([" ".join(first), *(" ".join(path[2:]) for path in more)])


def degrees(frames: list[Frame]) -> Tensor:
    """Of the first tree with itself, as another view shows it, and with the others: (n, 11), VIEWS and all of them."""
    scores = tree_scores(frames)
    return torch.cat([scores.each[0], scores.combined[0, :, None]], 1)


def tree_picture(state: State) -> Picture:
    """What the knobs, a label of each level for `a` and `b`, `part` and `temperature`, make of the panel."""
    own, second = ([state[f"{level}_{side}"] for level in LABELS] for side in "ab")
    frames = [tree(*own), tree(*second), *OTHERS]
    found, tau = degrees(frames), state["temperature"]
    f = found[:, ([*VIEWS, WHOLE]).index(state["part"])]
    share, softmax = f / f.sum(), (f / tau).softmax(0)
    entropy, loss = torch.special.entr(share).sum().item(), -(share * softmax.log()).sum().item()
    ten, places = np.arange(len(VIEWS)) + 0.0, np.arange(len(frames)) + 0.0
    names = [f"{name}: {told(frame)}" for name, frame in zip(MEMBERS, frames, strict=True)]
    parts = Chart(
        [
            Bars(ten, found[1, :-1].numpy(), colour=LENGTHS, group=[len(view) - 1 for view in VIEWS]),
            Rule(y=found[1, -1].item(), dash="dashed", label="mean of those there are"),
        ],
        "What A and B have in common", Axis("part of the tree", ticks=ten, names=VIEWS),
        Axis("Jaccard index", (0, 1), grid=True), height=230,
        note="Domain, Intent, Slot, Value; then edges and paths of the tree.",
    )  # fmt: skip
    table = Chart(
        [Heat(found.flip(0).numpy(), text=True)],
        "Degrees of same between A and a batch", Axis("", (0, 11), ticks=np.arange(11) + 0.5, names=[*VIEWS, "all"]),
        Axis("", (0, len(frames)), ticks=places + 0.5, names=names[::-1]), height=230, note="A′ is another view of A.",
    )  # fmt: skip
    shares = Chart(
        [
            Bars(places - 0.19, share.numpy(), width=0.36, colour=SHARE, name="share (target)"),
            Bars(places + 0.19, softmax.numpy(), width=0.36, colour=SOFTMAX, name="softmax, were cosines the degrees"),
        ],
        "What the loss asks of A", Axis(ticks=places, names=MEMBERS), Axis("probability", (0, 1), grid=True),
        height=230,
    )  # fmt: skip
    return Picture(
        "SPACE-2: as much the same as two trees have in common",
        "Ten bars, the Jaccard indices of two trees of labels; a table of them between A and a batch; bars of the "
        "shares they make and of a softmax: a low temperature leaves all to the other view.",
        [[parts, shares], [table]],
        [
            ("A and B", f"{found[1, -1]:.2f}"),
            ("share of B", f"{share[1]:.0%}"),
            ("loss", f"{loss:.2f}"),
            ("least loss (entropy of the shares)", f"{entropy:.2f}"),
        ],
    )


class TreePanel(KnobPanel):
    """Give two dialogs a domain, an intent, a slot and a value, and see to what degree they are the same.

    Bars are the ten parts of the trees, and how much of each is common; below are the other dialogs of a small batch.
    The degrees of one part, or of all, divided by their sum, are the shares that the loss asks of A. Beside them stands
    the softmax at a temperature, were cosines the degrees themselves: it agrees with the shares only where cosines are
    temperature times the logarithm of degrees, up to a constant. Raises ValueError for a temperature outside .03 to 1.
    """

    @takes
    def __init__(self, temperature: float = 0.2) -> None:
        knobs = {
            f"{level}_{side}": dial(
                Choice(f"{level}_{side}", options, help=f"of dialog {side.upper()}"), start, f"{side.upper()}: {level}"
            )
            for side, branch in zip("ab", (FIRST, SECOND), strict=True)
            for (level, options), start in zip(LABELS.items(), branch, strict=True)
        }
        knobs["part"] = dial(Choice("part", (WHOLE, *VIEWS), help="of the tree, that degrees are of"), WHOLE, "degrees")
        knobs["temperature"] = dial(
            Knob("temperature", 0.03, 1.0, log=True, help="divides cosines"), temperature, "temperature τ"
        )
        super().__init__(
            knobs, tree_picture,
            sweeps={"domain_b": ("hotel", "taxi"), "intent_b": ("inform", "book"),
                    "slot_b": (NONE, "from", "to"), "value_b": (NONE, "station"),
                    "temperature": (0.05, 0.2, 1.0)},
        )  # fmt: skip


PANEL = TreePanel
