"""ExplorePanel: how far a bonus of learned features leads an agent into a combination lock."""

from typing import Any

import numpy as np
import torch

from cl_explore.losses import Knob
from cl_explore.papers.contrastive_ucb.method import Exploration, explore
from cl_explore.papers.contrastive_ucb.world import DECOY, combination_lock
from cl_explore.takes import takes
from cl_explore.widgets.controls import counter, dial
from cl_explore.widgets.marks import Heat, Line, Points, Rule
from cl_explore.widgets.panel import KnobPanel, State
from cl_explore.widgets.picture import Axis, Chart, Picture

ROUNDS, SHOWN = 40, 400
GAMMAS = (0.0, 0.5, 1.0, 2.0, 5.0)
HIDDEN = ("good a", "good b", "bad")


def explored(gamma: float, rank: int) -> Exploration:
    """Forty rounds in a lock whose hidden states show themselves in two ways each, seeded."""
    return explore(combination_lock(2, 0), 0, gamma=gamma, rank=rank, rounds=ROUNDS)


def explore_picture(state: State, made: Exploration) -> Picture:
    """What the knobs `gamma`, `rank` and `round` make of an exploration."""
    now = state["round"]
    rounds = np.arange(1, ROUNDS + 1)
    regret = (1 - made.values).cumsum(0).numpy()
    visits = made.visits[now - 1].float()
    share = (visits / visits.sum(1, keepdim=True)).numpy()
    tried = made.tried[..., None].expand_as(made.truth) > 0
    truth, ratio = made.truth[tried], made.ratio[tried]
    few = torch.randperm(len(truth), generator=torch.Generator().manual_seed(0))[:SHOWN]
    top = max(float(truth.max()), 1.0)
    curve = Chart(
        [
            Rule(x=now, drag="round"),
            Line(rounds, (1 - DECOY) * rounds, colour="muted", dash="dashed", name="always the decoy"),
            Line(rounds, regret, name=f"γ = {state['gamma']:.2g}"),
            Points([now], regret[now - 1 : now], size=6, hover="{value} of the best reward", fields={
                "value": made.values[now - 1 : now].numpy()}),
        ],
        "Regret: what was missed so far", Axis("rounds of five episodes", (0, ROUNDS)),
        Axis("regret", (0, ROUNDS), grid=True), height=260,
    )  # fmt: skip
    levels: dict[str, Any] = {"ticks": np.arange(len(share)) + 0.5, "names": [f"{1 + h}" for h in range(len(share))]}
    seen = Chart(
        [Heat(share, text=True)], f"Share of the visits up to round {now}",
        Axis(ticks=np.arange(3) + 0.5, names=HIDDEN, range=(0, 3)), Axis("level", (len(share), 0), **levels),
        height=260,
        note="With no bonus the agent takes the decoy and never leaves the bad state.",
    )  # fmt: skip
    learned = Chart(
        [
            Line([0, top], [0, top], colour="muted", dash="dotted"),
            Points(truth[few], ratio[few].clamp(max=1.5 * top), size=3, alpha=0.5),
        ],
        "What contrast learns, after the last round", Axis("true P / P⁻", (0, 1.05 * top)),
        Axis("f", (0, 1.5 * top), grid=True), height=260, note="Of actions that were tried; best on the diagonal.",
    )  # fmt: skip
    return Picture(
        "Contrastive-UCB: curiosity in learned features",
        "The regret of an agent in a combination lock over its rounds, beside that of one that takes the decoy; a heat "
        "map of the states it visited; the learned ratio against the true one.",
        [[curve, seen, learned]],
        [
            ("value of this round’s policy", f"{made.values[now - 1]:.2f} of 1"),
            ("regret", f"{regret[now - 1]:.1f}"),
            ("visits of the last level in a good state", f"{share[-1, :2].sum():.0%}"),
        ],
    )


class ExplorePanel(KnobPanel):
    """Turn the bonus γ of Contrastive-UCB and see whether the agent leaves the decoy and opens the lock.

    The agent learns features of transitions by contrast and adds a bonus where they were seldom seen. Each γ is played
    in the background, for a second or two; the vertical line moves through the rounds.

    gamma: 0 (no bonus) to 5.
    rank: dimensions of the features, 1 to 6.
    Raises: ValueError for a number out of range.
    """

    @takes
    def __init__(self, gamma: float = 2.0, rank: int = 3) -> None:
        knobs = {
            "gamma": dial(Knob("gamma", 0.0, 5.0, help="size of the bonus; 0 = greedy"), gamma, "bonus γ", step=0.5),
            "rank": counter(Knob("rank", 1, 6, help="dimensions of the learned features"), rank, "rank d"),
            "round": counter(Knob("round", 1, ROUNDS, help="how many rounds were played"), ROUNDS, "round"),
        }
        super().__init__(
            knobs, explore_picture, experiment=explored, decides=("gamma", "rank"),
            sweeps={"gamma": GAMMAS, "round": (1, 5, 10, 15, 20, 25, 30, 35, 40)},
        )  # fmt: skip


PANEL = ExplorePanel
