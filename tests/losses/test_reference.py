"""Every loss against its formula written as loops in float64, and its gradient against finite differences."""

import math
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.similarity import class_sums

Points = list[Tensor]


def points(samples: int, views: int, seed: int = 0, dimensions: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, views, dimensions, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3


def unit(z: Tensor) -> Tensor:
    return z / z.norm(dim=-1, keepdim=True)


def pairs(z: Tensor, labels: Tensor) -> tuple[Points, list[int], list[int]]:
    """Unit points in sample-major order, with the sample and the class of each."""
    samples, views, _ = z.shape
    return (
        [unit(z[b, v]) for b in range(samples) for v in range(views)],
        [b for b in range(samples) for _ in range(views)],
        [int(labels[b]) for b in range(samples) for _ in range(views)],
    )


def loop_softmax(z: Tensor, labels: Tensor, temperature: float, positive_of: str, mean: str) -> Tensor:
    """-log softmax of the positives over all other points, averaged outside or inside the logarithm."""
    x, sample, label = pairs(z, labels)
    group = sample if positive_of == "sample" else label
    out = []
    for i in range(len(x)):
        others = [a for a in range(len(x)) if a != i]
        total = sum(math.exp(float(x[i] @ x[a]) / temperature) for a in others)
        p = [math.exp(float(x[i] @ x[a]) / temperature) / total for a in others if group[a] == group[i]]
        out.append(-sum(map(math.log, p)) / len(p) if mean == "out" else -math.log(sum(p) / len(p)))
    return torch.tensor(out, dtype=torch.float64)


def loop_info_nce(z: Tensor, labels: Tensor) -> Tensor:
    q, k = unit(z[:, 0]), unit(z[:, 1])
    out = []
    for i in range(len(q)):
        p = [math.exp(float(q[i] @ k[j]) / 0.2) for j in range(len(k))]
        out.append(-math.log(p[i] / sum(p)))
    return torch.tensor(out, dtype=torch.float64)


def loop_decoupled(z: Tensor, labels: Tensor, sigma: float) -> Tensor:
    x, sample, _ = pairs(z, labels)
    similarity = [float(unit(z[b, 0]) @ unit(z[b, 1])) for b in range(len(z))]
    mean = sum(math.exp(s / sigma) for s in similarity) / len(z)
    out = []
    for i in range(len(x)):
        negatives = sum(math.exp(float(x[i] @ x[j]) / 0.2) for j in range(len(x)) if sample[j] != sample[i])
        s = similarity[sample[i]]
        weight = 1.0 if math.isinf(sigma) else 2 - math.exp(s / sigma) / mean
        out.append(-weight * s / 0.2 + math.log(negatives))
    return torch.tensor(out, dtype=torch.float64)


def loop_alignment(z: Tensor, labels: Tensor, alpha: float) -> Tensor:
    x, sample, _ = pairs(z, labels)
    out = []
    for i in range(len(x)):
        d = [float((x[i] - x[j]).norm()) ** alpha for j in range(len(x)) if j != i and sample[j] == sample[i]]
        out.append(sum(d) / len(d))
    return torch.tensor(out, dtype=torch.float64)


def loop_uniformity(z: Tensor, labels: Tensor, t: float) -> Tensor:
    samples, views, _ = z.shape
    of_view = []
    for v in range(views):
        x = unit(z[:, v])
        potentials = [
            math.exp(-t * float((x[i] - x[j]).norm()) ** 2) for i in range(samples) for j in range(samples) if j != i
        ]
        of_view.append(math.log(sum(potentials) / len(potentials)))
    return torch.tensor([of_view[v] for _ in range(samples) for v in range(views)], dtype=torch.float64)


def loop_triplet(z: Tensor, labels: Tensor, mining: str, soft: bool = False, squared: bool = False) -> Tensor:
    """Mean hinge of each anchor over its mined triplets, margin 0.3."""
    x, _, label = pairs(z, labels)
    power = 2 if squared else 1
    out = []
    for a in range(len(x)):
        near = [float((x[a] - x[p]).norm()) ** power for p in range(len(x)) if p != a and label[p] == label[a]]
        far = [float((x[a] - x[n]).norm()) ** power for n in range(len(x)) if label[n] != label[a]]
        chosen = [(p, n) for p in near for n in far]
        if mining == "hard":
            chosen = [(max(near), min(far))]
        if mining == "semi-hard":
            chosen = [(p, n) for p, n in chosen if p < n < p + 0.3]
        hinges = [math.log1p(math.exp(p - n + 0.3)) if soft else max(p - n + 0.3, 0) for p, n in chosen]
        out.append(sum(hinges) / max(len(hinges), 1))
    return torch.tensor(out, dtype=torch.float64)


def loop_contrastive_margin(z: Tensor, labels: Tensor) -> Tensor:
    x, _, label = pairs(z, labels)
    out = []
    for i in range(len(x)):
        d = [(float((x[i] - x[j]).norm()), label[i] == label[j]) for j in range(len(x)) if j != i]
        out.append(sum((r if same else max(0.9 - r, 0)) ** 2 / 2 for r, same in d) / len(d))
    return torch.tensor(out, dtype=torch.float64)


def loop_varcon(z: Tensor, labels: Tensor, leave_one_out: bool = False) -> Tensor:
    """KL(q || p) - log p_y with a full table of q, temperature 0.3, epsilon 0.1."""
    x, _, label = pairs(z, labels)
    classes = sorted(set(label))
    out = []
    for i in range(len(x)):
        w = []
        for c in classes:
            members = [x[j] for j in range(len(x)) if label[j] == c and not (leave_one_out and j == i)]
            w.append(unit(torch.stack(members).mean(0)))
        logits = torch.stack([x[i] @ v for v in w]) / 0.3
        p, y = logits.softmax(0), classes.index(label[i])
        tau2 = 0.3 - 0.1 + 2 * 0.1 * p[y]
        q = torch.ones(len(classes), dtype=torch.float64)
        q[y] = (1 / tau2).exp()
        q = q / q.sum()
        out.append(float((q * (q / p).log()).sum() - p[y].log()))
    return torch.tensor(out, dtype=torch.float64)


Reference = Callable[[Tensor, Tensor], Tensor]
REFERENCES: list[tuple[str, dict[str, object], int, Reference]] = [
    # loss, knobs, views, loop
    ("info_nce", {"temperature": 0.2}, 2, loop_info_nce),
    ("nt_xent", {"temperature": 0.2}, 2, lambda z, y: loop_softmax(z, y, 0.2, "sample", "out")),
    ("nt_xent", {"temperature": 0.5}, 4, lambda z, y: loop_softmax(z, y, 0.5, "sample", "out")),
    ("supcon", {"temperature": 0.2}, 1, lambda z, y: loop_softmax(z, y, 0.2, "class", "out")),
    ("supcon", {"temperature": 0.1}, 3, lambda z, y: loop_softmax(z, y, 0.1, "class", "out")),
    ("supcon_in", {"temperature": 0.2}, 2, lambda z, y: loop_softmax(z, y, 0.2, "class", "in")),
    ("dcl", {"temperature": 0.2}, 2, lambda z, y: loop_decoupled(z, y, math.inf)),
    ("dclw", {"temperature": 0.2, "sigma": 0.5}, 2, lambda z, y: loop_decoupled(z, y, 0.5)),
    ("alignment", {"alpha": 2.0}, 2, lambda z, y: loop_alignment(z, y, 2)),
    ("alignment", {"alpha": 1.0}, 3, lambda z, y: loop_alignment(z, y, 1)),
    ("uniformity", {"t": 3.0}, 2, lambda z, y: loop_uniformity(z, y, 3)),
    (
        "align_uniform",
        {"alpha": 2.0, "t": 2.0, "weight": 0.5},
        2,
        lambda z, y: loop_alignment(z, y, 2) + 0.5 * loop_uniformity(z, y, 2),
    ),
    ("contrastive_margin", {"margin": 0.9}, 2, loop_contrastive_margin),
    ("triplet", {"margin": 0.3}, 2, lambda z, y: loop_triplet(z, y, "all")),
    ("triplet", {"margin": 0.3, "distance": "squared"}, 1, lambda z, y: loop_triplet(z, y, "all", squared=True)),
    ("triplet", {"margin": 0.3, "mining": "semi-hard"}, 2, lambda z, y: loop_triplet(z, y, "semi-hard")),
    ("triplet", {"margin": 0.3, "mining": "hard"}, 1, lambda z, y: loop_triplet(z, y, "hard")),
    ("triplet", {"margin": 0.3, "hinge": "softplus"}, 1, lambda z, y: loop_triplet(z, y, "all", soft=True)),
    (
        "triplet",
        {"margin": 0.3, "mining": "hard", "hinge": "softplus"},
        2,
        lambda z, y: loop_triplet(z, y, "hard", soft=True),
    ),
    ("varcon", {"temperature": 0.3, "epsilon": 0.1}, 2, loop_varcon),
    (
        "varcon",
        {"temperature": 0.3, "epsilon": 0.1, "centroid_self": "leave_one_out"},
        1,
        lambda z, y: loop_varcon(z, y, leave_one_out=True),
    ),
]


@pytest.mark.parametrize(("name", "knobs", "views", "loop"), REFERENCES)
def test_per_anchor_values_equal_the_loop(name: str, knobs: dict[str, object], views: int, loop: Reference) -> None:
    z, labels = points(7, views)
    each = losses.get(name).on_views(z, labels, reduction="none", **knobs)
    torch.testing.assert_close(each, loop(z, labels), atol=1e-12, rtol=1e-10)


def test_every_loss_has_a_loop() -> None:
    files = Path(__file__).parent.glob("test_reference*.py")
    looped = {
        loss if isinstance(loss, str) else loss.name
        for file in files
        for loss, *_ in runpy.run_path(str(file))["REFERENCES"]
    }
    assert looped == set(losses.catalogue)


@pytest.mark.parametrize(("name", "knobs", "views", "loop"), REFERENCES)
def test_gradient(name: str, knobs: dict[str, object], views: int, loop: Reference) -> None:
    z, labels = points(6, views, seed=3)
    # Finite differences see through every stop-gradient, so the switches stand where there is none.
    live = {"weight_grad": "live", "centroid_grad": "live"}
    knobs = knobs | {switch: value for switch, value in live.items() if switch in losses.get(name).defaults}
    loss = losses.get(name)
    assert torch.autograd.gradcheck(lambda z: loss.on_views(z, labels, **knobs), z.requires_grad_(), atol=1e-6)


# The gradient of SogCLR is not that of its value: it has a test of its own.
TEMPERED = [
    name
    for name, loss in losses.catalogue.items()
    if "temperature" in loss.defaults and loss.fits(2) and name not in ("sogclr", "isogclr")
]


@pytest.mark.parametrize("name", TEMPERED)
@pytest.mark.parametrize("per_anchor", [False, True])
def test_gradient_to_the_temperature(name: str, per_anchor: bool) -> None:
    z, labels = points(6, 2, seed=4)
    loss = losses.get(name)
    anchors = len(loss.on_views(z, labels, reduction="none"))
    temperature = torch.linspace(0.2, 0.6, anchors if per_anchor else 1, dtype=torch.float64)
    temperature = (temperature if per_anchor else temperature[0]).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: loss.on_views(z, labels, temperature=t), temperature)


def test_info_nce_with_negatives_of_its_own() -> None:
    """A list of negatives for each query that is the same for all equals the shared list."""
    z, _ = points(5, 2)
    negatives = points(7, 1, seed=9)[0][:, 0]
    shared = losses.info_nce(z[:, 0], z[:, 1], negatives, reduction="none")
    own = losses.info_nce(z[:, 0], z[:, 1], negatives.expand(5, 7, 4), reduction="none")
    torch.testing.assert_close(shared, own)


def test_class_sums() -> None:
    x, labels = torch.randn(9, 3, dtype=torch.float64), torch.tensor([4, 0, 4, 7, 7, 7, 0, 2, 100])
    sums, counts = class_sums(x, labels)
    for i in range(9):
        members = labels == labels[i]
        torch.testing.assert_close(sums[i], x[members].sum(0))
        assert counts[i] == members.sum()


def test_row_lse_of_nothing_is_minus_infinity_without_a_gradient() -> None:
    a = torch.randn(3, 2, requires_grad=True)
    ids = torch.tensor([0, 1, 1])
    lse = losses.row_lse(a, a, 2.0, exclude=["self", "other"], a_ids=ids, b_ids=ids)
    assert lse[0] == -torch.inf
    lse[1:].sum().backward()
    assert a.grad is not None
    assert a.grad[0].abs().sum() == 0
    assert a.grad.isfinite().all()
