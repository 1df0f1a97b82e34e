"""What LossComparePanel shows: where each loss moves one anchor, its value, and the law of its forces."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cl_explore.losses import Loss
from cl_explore.widgets.descent import Points
from cl_explore.widgets.forces import AXIS, Forces
from cl_explore.widgets.mark import Mark
from cl_explore.widgets.marks import Arrows, Line, Rule, Text, circle
from cl_explore.widgets.marks import Points as Dots
from cl_explore.widgets.picture import Axis, Chart, Picture

VIEWS = 2
SAME_SAMPLE, SAME_CLASS, OTHER_CLASS, ANCHOR = range(4)  # what a point is to the anchor
ROLES = ("its positive", "its class", "other classes", "the anchor")
ROLE_COLOURS, ROLE_MARKERS = ("#009E73", "#CC79A7", "#0072B2", "ink"), ("^", "D", "o", "*")
LOSS_COLOURS = ("#D55E00", "ink", "#8638D2", "#762129")  # losses are numbered as well


class Case(NamedTuple):
    """One loss on the points: its values collapsed and perfect, what it does, and the law of its forces (2, 13)."""

    loss: Loss
    bounds: tuple[float, float]
    forces: Forces
    law: NDArray[np.float64]

    @property
    def collapse(self) -> float | None:
        """Where the value lies from perfect (0) to collapsed (1); it may leave them. None where the two are equal."""
        collapsed, perfect = self.bounds
        return (self.forces.value - perfect) / (collapsed - perfect) if abs(collapsed - perfect) > 1e-9 else None

    def pairs(self, anchor: int) -> NDArray[np.float64]:
        """The forces (N,) between the anchor and every point; 0 for a loss that sees no pairs."""
        found = self.forces.pairs
        return np.zeros(self.forces.force[..., 0].numel()) if found is None else found[anchor]


def roles(points: Points, anchor: int) -> NDArray[np.int64]:
    """What every point (N,) is to the anchor: 0 of its sample, 1 of its class, 2 of another class, 3 the anchor."""
    labels = points.labels.repeat_interleave(VIEWS).numpy()
    found = np.where(labels == labels[anchor], SAME_CLASS, OTHER_CLASS)
    found[anchor // VIEWS * VIEWS : (anchor // VIEWS + 1) * VIEWS] = SAME_SAMPLE
    found[anchor] = ANCHOR
    return found


def signed(number: float, digits: int) -> str:
    """The number as text, with a true minus.

    >>> signed(-0.25, 1), signed(-0.01, 1)
    ('−0.2', '0.0')
    """
    return f"{number:z.{digits}f}".replace("-", "−")


def compare_picture(points: Points, anchor: int, cases: Sequence[Case]) -> Picture:
    """The points with an arrow for each loss, and for each its value and the forces on the anchor's pairs."""
    z = points.z.flatten(0, 1).double().numpy()
    role, similarity, place = roles(points, anchor), z @ z[anchor], np.arange(len(z))
    felt = [case.pairs(anchor) for case in cases]
    fields = {"sample": place // VIEWS, "view": place % VIEWS + 1, "role": np.array(ROLES)[role], "cosine": similarity}
    fields |= {f"force{number}": pairs for number, pairs in enumerate(felt)}
    forces = (
        f"{case.loss.title}: " + ("no pair force" if case.forces.pairs is None else f"{{force{number}}}")
        for number, case in enumerate(cases)
    )
    hover = "\n".join(["sample {sample}, view {view}: {role}", "similarity {cosine}", *forces])

    def dots(which: NDArray[np.bool_], *at: NDArray[np.float64], **looks: Any) -> Dots:
        own: dict[str, Any] = {"colour": ROLE_COLOURS, "marker": ROLE_MARKERS, "group": role[which], "alpha": 0.8}
        few = {name: column[which].tolist() for name, column in fields.items()}
        return Dots(*(column[which] for column in at), hover=hover, fields=few, **own | looks)

    def law(number: int, kind: int) -> Chart:
        case, pairs = cases[number], felt[number]
        title = f"{number + 1} {case.loss.title}: force on a {('positive', 'negative')[kind]}"
        x = Axis("similarity to the anchor" * (number == len(cases) - 1), (-1, 1), ticks=(-1, 0, 1))
        if case.forces.pairs is None:
            return Chart([Rule(y=0)], title, x, Axis(range=(-1, 1)), height=110,
                         note="It sees dimensions, not pairs.")  # fmt: skip
        near = SAME_CLASS if "labels" in case.loss.needs else SAME_SAMPLE
        mine = (role <= near if kind == 0 else role > near) & (role != ANCHOR)
        values = np.concatenate([case.law[kind], pairs[mine]])
        low, high = min(0.0, values.min()), max(0.0, values.max())
        pad = 0.08 * (high - low)
        ends = (low - pad * (low < 0), high + pad * (high > 0)) if pad else (-1.0, 1.0)
        course = Line(AXIS, case.law[kind], colour=("#009E73", "#0072B2")[kind], dash=("solid", "dashed")[kind])
        points = dots(mine, similarity, pairs, size=4)
        return Chart([Rule(y=0), course, points], title, x, Axis(range=ends, grid=True), height=110)

    everyone = role != ANCHOR
    scene = _scene(
        z, anchor, cases, dots(everyone, *z.T, size=4.6, name=ROLES), dots(~everyone, *z.T, size=8, alpha=1.0)
    )
    numbers = range(len(cases))
    return Picture(
        "The same points under several losses",
        f"{len(z)} points on a {'circle' if z.shape[1] == 2 else 'sphere'}, at one of them an arrow for each loss, and "
        "for each loss the force on its positive and its negatives over their similarity.",
        [[[scene, _values(cases)], [law(number, 0) for number in numbers], [law(number, 1) for number in numbers]]],
        [
            (case.loss.title, f"{signed(case.forces.value, 3)}, force on the anchor "
             f"{np.linalg.norm(case.forces.force.flatten(0, 1)[anchor]):.2f}")
            for case in cases
        ],
    )  # fmt: skip


def _scene(z: NDArray[np.float64], anchor: int, cases: Sequence[Case], *dots: Dots) -> Chart:
    """The points, and where each loss moves the anchor: lengths grow with the logarithm of the force."""
    partner = anchor - anchor % VIEWS + (anchor + 1) % VIEWS
    pair = z[[anchor, partner]].T
    forces = [case.forces.force.flatten(0, 1)[anchor].numpy() for case in cases]
    strengths = np.array([np.log1p(np.linalg.norm(force) / 0.1) for force in forces])
    reach = strengths / max(strengths.max(), 1e-9)
    outline, none = circle(), np.zeros(73)
    flat = z.shape[1] == 2
    marks: list[Mark] = [outline]
    if not flat:
        marks += [Line(outline.x, none, outline.y, colour="muted", width=1, alpha=0.5),
                  Line(none, outline.x, outline.y, colour="muted", width=1, alpha=0.5)]  # fmt: skip
    marks += [Line(*pair, colour="#009E73", width=1.2, dash="dashed"), *dots]
    for number, (force, length) in enumerate(zip(forces, reach, strict=True)):
        look: dict[str, Any] = {"colour": LOSS_COLOURS[number]}
        badge = [f"{number + 1}"]
        if flat:  # all arrows go along the circle: each loss has a ring of its own
            radius, (x, y) = 1.12 + 0.1 * number, z[anchor]
            angle = np.arctan2(y, x) + np.linspace(0, 0.9 * np.sign(x * force[1] - y * force[0]) * length, 25)
            u, v = radius * np.cos(angle), radius * np.sin(angle)
            marks += [Line(u, v, width=2.5, **look), Text(u[:1], v[:1], badge, bold=True, **look)]
            if length > 0.05:
                head = {"x": u[-5:-4], "y": v[-5:-4], "dx": u[-1:] - u[-5:-4], "dy": v[-1:] - v[-5:-4]}
                marks.append(Arrows(**head, width=2.5, **look))
        else:
            tip = 0.7 * length * force / max(float(np.linalg.norm(force)), 1e-9)
            (x, y, depth), (dx, dy, dz) = z[anchor][:, None], tip[:, None]
            marks.append(Arrows(x, y, dx, dy, depth, dz, width=2.5, **look))
            marks.append(Text(x + 1.12 * dx, y + 1.12 * dy, badge, depth + 1.12 * dz, bold=True, **look))
    limit = Axis(range=(-1.15 - 0.1 * len(cases), 1.15 + 0.1 * len(cases)))
    return Chart(
        marks, "Where each loss moves the anchor", limit, limit, width=1.2, height=380, equal=True, bare=True,
        turns=not flat, note="Arrows: the longer the stronger, logarithmically.",
    )  # fmt: skip


def _values(cases: Sequence[Case]) -> Chart:
    """Where each loss's value lies between perfect and collapsed."""
    marks: list[Mark] = []
    for number, case in enumerate(cases):
        collapsed, perfect = (signed(bound, 2) for bound in case.bounds)
        row = -float(number)
        marks.append(Line([0.0, 1.0], [row, row], colour="grid", width=4))
        marks.append(Text([0.0], [row - 0.38], [f"perfect {perfect}"], colour="muted", size=11, anchor="left"))
        marks.append(Text([1.0], [row - 0.38], [f"collapsed {collapsed}"], colour="muted", size=11, anchor="right"))
        if case.collapse is not None:
            colour, at = LOSS_COLOURS[number], min(max(case.collapse, 0.0), 1.0)
            marker = "<" if case.collapse < 0 else ">" if case.collapse > 1 else "o"
            value = [signed(case.forces.value, 3)]
            marks.append(Dots([at], [row], colour=colour, marker=marker, size=6))
            marks.append(Text([at], [row + 0.36], value, colour=colour, bold=True))
    count = len(cases)
    names = [f"{number + 1}" for number in reversed(range(count))]
    return Chart(
        marks, "Values, from perfect to collapsed", Axis(range=(-0.08, 1.08), ticks=()),
        Axis(range=(-count + 0.4, 0.6), ticks=range(1 - count, 1), names=names), width=1.2, height=58 * count,
    )  # fmt: skip
