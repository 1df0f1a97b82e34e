"""Losses led by labels, targets, prototypes, lists or a teacher against loops in float64, and their closed forms."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.listwise import listwise_kl, listwise_wasserstein
from cl_explore.losses.longtail import PaCo, bcl, logit_adjusted, paco
from cl_explore.losses.prototypes import (
    arcface,
    cluster_concentration,
    cosface,
    normalized_softmax,
    proto_nce,
    proxy_nca,
)
from cl_explore.losses.regression import rnc, supremix
from cl_explore.losses.supervised import focal_supcon, soft_nn

Inputs = dict[str, Tensor]
Loop = Callable[[Inputs], list[float]]


def inputs(samples: int = 7, views: int = 2, classes: int = 3, seed: int = 0) -> Inputs:
    """Independent random values for every argument; class 0 is the largest, and the last class has one sample."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, 4, generator=generator, dtype=torch.float64)

    labels = (torch.arange(samples) % (classes - 1)).clamp(max=classes - 1)
    labels[-1] = classes - 1
    n = samples * views
    return {
        "z": normal(samples, views),
        "labels": labels,
        "targets": torch.tensor([1.0, 3.0, 1.0, 4.0, 2.5, 7.0, 4.0], dtype=torch.float64)[:samples],
        "prototypes": normal(classes),
        "concentration": torch.linspace(0.5, 1.5, classes, dtype=torch.float64),
        "teacher": normal(samples, views),
        "rehearsal": (torch.arange(samples) < 4).long(),
        "positives": normal(samples, views),
        "negatives": normal(5),
        "logits": normal(samples)[:, :classes],
        "counts": torch.tensor([50, 20, 5])[:classes],
        "queue": normal(5),
        "queue_labels": torch.arange(5) % classes,
        "query": normal(samples),
        "passages": normal(samples, 3),
        "relevance": torch.randint(0, 4, (samples, 3), generator=generator),
        "shares": torch.rand(n, n, generator=generator, dtype=torch.float64),
    }


def points(x: Inputs, name: str = "z", unit: bool = True) -> list[list[float]]:
    rows = x[name].flatten(0, -2)
    return (rows / rows.norm(dim=1, keepdim=True) if unit else rows).tolist()


def repeated(x: Inputs, name: str = "labels") -> list[Any]:
    return [value for value in x[name].tolist() for _ in range(x["z"].shape[1])]


def dot(a: list[float], b: list[float]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def square(a: list[float], b: list[float]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def loop_soft_nn(x: Inputs, temperature: float, unit: bool) -> list[float]:
    z, y = points(x, unit=unit), repeated(x)
    out = []
    for i in range(len(z)):
        near = {a: math.exp(-square(z[i], z[a]) / temperature) for a in range(len(z)) if a != i}
        own = sum(e for a, e in near.items() if y[a] == y[i])
        out.append(-math.log(own / sum(near.values())))
    return out


def loop_focal(x: Inputs, gamma: float, fed: bool) -> list[float]:
    z, y = points(x), repeated(x)
    out = []
    for i in range(len(z)):
        columns = [(z[a], y[a] == y[i]) for a in range(len(z)) if a != i]
        if fed:
            columns += [(p, a == i) for a, p in enumerate(points(x, "positives"))]
            columns += [(n, False) for n in points(x, "negatives")]
        total = sum(math.exp(dot(z[i], c) / 0.2) for c, _ in columns)
        q = [math.exp(dot(z[i], c) / 0.2) / total for c, positive in columns if positive]
        out.append(-sum((1 - p) ** gamma * math.log(p) for p in q) / len(q))
    return out


def loop_proxy_nca(x: Inputs, denominator: str) -> list[float]:
    w = points(x, "prototypes")
    out = []
    for z, y in zip(points(x), repeated(x), strict=True):
        chosen = [c for c in range(len(w)) if denominator == "all" or c != y]
        out.append(square(z, w[y]) / 0.7 + math.log(sum(math.exp(-square(z, w[c]) / 0.7) for c in chosen)))
    return out


def loop_softmax(x: Inputs, target: Callable[[float], float], spread: list[float], tau: float) -> list[float]:
    w = points(x, "prototypes")
    out = []
    for z, y in zip(points(x), repeated(x), strict=True):
        logits = [(target(dot(z, w[c])) if c == y else dot(z, w[c])) / spread[c] / tau for c in range(len(w))]
        out.append(math.log(sum(map(math.exp, logits))) - logits[y])
    return out


def with_angle(cosine: float, margin: float = 0.5) -> float:
    angle = math.acos(cosine)
    return math.cos(angle + margin) if angle < math.pi - margin else cosine - margin * math.sin(margin)


def loop_bcl(x: Inputs) -> list[float]:
    z, y = points(x), repeated(x)
    columns, classes = z + points(x, "prototypes"), y + list(range(len(x["prototypes"])))
    number = {c: classes.count(c) for c in classes}
    out = []
    for i in range(len(z)):
        others = [k for k in range(len(columns)) if k != i]
        total = sum(math.exp(dot(z[i], columns[k]) / 0.2) / (number[classes[k]] - (classes[k] == y[i])) for k in others)
        mine = [dot(z[i], columns[k]) / 0.2 - math.log(total) for k in others if classes[k] == y[i]]
        out.append(-sum(mine) / len(mine))
    return out


def loop_paco(x: Inputs, alpha: float, gamma: float, fed: bool) -> list[float]:
    z, y, beta = points(x), repeated(x), 0.8
    columns, classes = list(z), list(y)
    logits = x["logits"].tolist()
    if fed:
        columns += points(x, "teacher") + points(x, "queue")
        classes += y + x["queue_labels"].tolist()
        prior = [n / int(x["counts"].sum()) for n in x["counts"].tolist()]
        logits = [[f + math.log(p) for f, p in zip(row, prior, strict=True)] for row in logits]
    out = []
    for i in range(len(z)):
        others = [j for j in range(len(columns)) if j != i]
        total = math.log(
            sum(map(math.exp, logits[i])) + gamma * sum(math.exp(dot(z[i], columns[j]) / 0.3) for j in others)
        )
        mine = [dot(z[i], columns[j]) / 0.3 - total for j in others if classes[j] == y[i]]
        pull = beta * (logits[i][y[i]] - total) + alpha * sum(mine)
        out.append(-pull / (beta + alpha * len(mine)))
    return out


def loop_logit_adjusted(x: Inputs) -> list[float]:
    log_n = [math.log(n) for n in x["counts"].tolist()]
    out = []
    for row, y in zip(x["logits"].tolist(), x["labels"].tolist(), strict=True):
        adjusted = [f + 0.5 * p for f, p in zip(row, log_n, strict=True)]  # the total count cancels
        out.append(math.log(sum(map(math.exp, adjusted))) - adjusted[y])
    return out


def loop_rnc(x: Inputs, unit: bool = False) -> list[float]:
    z, y = points(x, unit=unit), repeated(x, "targets")
    out = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        logit = {j: -math.sqrt(square(z[i], z[j])) / 0.7 for j in others}
        each = []
        for j in others:
            rivals = [k for k in others if abs(y[i] - y[k]) >= abs(y[i] - y[j])]
            each.append(math.log(sum(math.exp(logit[k]) for k in rivals)) - logit[j])
        out.append(sum(each) / len(each))
    return out


def loop_supremix(x: Inputs, weight: Callable[[float], float], window: float) -> list[float]:
    z, y, share = points(x), repeated(x, "targets"), x["shares"].tolist()
    n = range(len(z))
    out = []
    for i in n:
        positives = [z[j] for j in n if j != i and y[j] == y[i]]
        for j in n:
            for k in n:
                if y[i] - window < y[j] < y[i] < y[k] < y[i] + window:
                    a = (y[k] - y[i]) / (y[k] - y[j])
                    positives.append([a * p + (1 - a) * q for p, q in zip(z[j], z[k], strict=True)])
        negatives = []
        for k in n:
            if y[k] != y[i]:
                s, gap = share[i][k], abs(y[i] - y[k])
                negatives.append((z[k], weight(gap)))
                mixture = [s * p + (1 - s) * q for p, q in zip(z[i], z[k], strict=True)]
                negatives.append((mixture, weight((1 - s) * gap)))
        e = [math.exp(dot(z[i], p) / 0.4) for p in positives]
        total = sum(e) + sum(w * math.exp(dot(z[i], m) / 0.4) for m, w in negatives)
        out.append(-sum(math.log(value / total) for value in e) / len(e))
    return out


def shares_of(x: Inputs, tau: float = 0.3, scale: float = 1.5) -> tuple[Tensor, Tensor]:
    q, d = (torch.tensor(points(x, name), dtype=torch.float64) for name in ("query", "passages"))
    n, k = x["relevance"].shape
    levels = torch.zeros(n, n * k, dtype=torch.float64)
    for i in range(n):
        levels[i, i * k : (i + 1) * k] = scale * x["relevance"][i]
    return (q @ d.T / tau).softmax(1), levels.softmax(1)


def loop_wasserstein(x: Inputs) -> list[float]:
    """The Gaussian formula as it stands, with full covariances and a matrix root by eigenvalues."""
    p, t = shares_of(x)
    sigma_p, sigma_t = torch.cov(p.T), torch.cov(t.T)
    squares = torch.linalg.eigvals(sigma_p @ sigma_t).real
    root = squares[squares > 1e-12].sqrt().sum()  # the others are zeros with rounding errors
    value = (p.mean(0) - t.mean(0)).square().sum() + sigma_p.trace() + sigma_t.trace() - 2 * root
    return [float(value)] * len(p)


def loop_kl(x: Inputs) -> list[float]:
    p, t = shares_of(x)
    return [sum(float(b * (b / a).log()) for a, b in zip(*rows, strict=True)) for rows in zip(p, t, strict=True)]


def loop_replay(x: Inputs, denominator: str, fed: bool = True) -> list[float]:
    z, t, y = points(x), points(x, "teacher"), repeated(x)
    old = repeated(x, "rehearsal") if fed else [1] * len(z)
    out = []
    for k in range(len(z)):
        if not old[k]:
            out.append(0.0)
            continue
        negatives = [math.exp(dot(z[k], z[i]) / 0.3) for i in range(len(z)) if i != k]
        own = math.exp(1 / 0.3)
        teacher = [math.exp(dot(z[k], t[i]) / 0.3) for i in range(len(z))]
        each = []
        for p in range(len(z)):
            if y[p] == y[k] and old[p]:
                total = {
                    "clean": sum(negatives) + teacher[p],
                    "no_positive": sum(negatives),
                    "literal": sum(negatives) + own,
                    "teacher": sum(teacher),
                }[denominator]
                each.append(-math.log(teacher[p] / total))
        out.append(sum(each) / len(each))
    return out


def loop_multimodal(x: Inputs) -> list[float]:
    z, y = points(x), x["labels"].tolist()
    out = []
    for b in range(len(y)):
        for side in (0, 1):
            logits = [dot(z[2 * b + side], z[2 * i + 1 - side]) / 0.2 for i in range(len(y))]
            total = math.log(sum(map(math.exp, logits)))
            mine = [total - logits[i] for i in range(len(y)) if y[i] == y[b]]
            out.append(sum(mine) / len(mine))
    return out


PROTOTYPES = ("z", "labels", "prototypes")
REPLAY = ("z", "labels", "teacher", "rehearsal")
LIST = ("query", "passages", "relevance")
FED = ("z", "labels", "logits", "teacher", "queue", "queue_labels", "counts")
REFERENCES: list[tuple[losses.Loss, tuple[str, ...], dict[str, Any], int, Loop]] = [
    # loss, arguments, knobs, views, loop
    (soft_nn, ("z", "labels"), {"temperature": 0.5}, 2, lambda x: loop_soft_nn(x, 0.5, unit=True)),
    (
        soft_nn,
        ("z", "labels"),
        {"temperature": 3.0, "normalize": False},
        3,
        lambda x: loop_soft_nn(x, 3.0, unit=False),
    ),
    (focal_supcon, ("z", "labels"), {"temperature": 0.2, "gamma": 1.0}, 2, lambda x: loop_focal(x, 1.0, fed=False)),
    (
        focal_supcon,
        ("z", "labels", "positives", "negatives"),
        {"temperature": 0.2, "gamma": 0.5},
        2,
        lambda x: loop_focal(x, 0.5, fed=True),
    ),
    (proxy_nca, PROTOTYPES, {"temperature": 0.7}, 2, lambda x: loop_proxy_nca(x, "others")),
    (proxy_nca, PROTOTYPES, {"temperature": 0.7, "denominator": "all"}, 1, lambda x: loop_proxy_nca(x, "all")),
    (normalized_softmax, PROTOTYPES, {"temperature": 0.2}, 2, lambda x: loop_softmax(x, lambda c: c, [1] * 3, 0.2)),
    (
        arcface,
        PROTOTYPES,
        {"temperature": 0.1, "margin": 0.5},
        2,
        lambda x: loop_softmax(x, with_angle, [1] * 3, 0.1),
    ),
    (
        cosface,
        PROTOTYPES,
        {"temperature": 0.1, "margin": 0.3},
        2,
        lambda x: loop_softmax(x, lambda c: c - 0.3, [1] * 3, 0.1),
    ),
    (
        proto_nce,
        (*PROTOTYPES, "concentration"),
        {"temperature": 0.2},
        2,
        lambda x: loop_softmax(x, lambda c: c, [0.5, 1.0, 1.5], 0.2),
    ),
    (proto_nce, PROTOTYPES, {"temperature": 0.2}, 1, lambda x: loop_softmax(x, lambda c: c, [1] * 3, 0.2)),
    (bcl, PROTOTYPES, {"temperature": 0.2}, 2, loop_bcl),
    (
        paco,
        FED,
        {"temperature": 0.3, "alpha": 0.4, "beta": 0.8, "gamma": 0.6},
        1,
        lambda x: loop_paco(x, 0.4, 0.6, fed=True),
    ),
    (
        paco,
        ("z", "labels", "logits"),
        {"temperature": 0.3, "alpha": 0.4, "beta": 0.8},
        1,
        lambda x: loop_paco(x, 0.4, 1.0, fed=False),
    ),
    (logit_adjusted, ("logits", "labels", "counts"), {"strength": 0.5}, 1, loop_logit_adjusted),
    (rnc, ("z", "targets"), {"temperature": 0.7}, 2, loop_rnc),
    (rnc, ("z", "targets"), {"temperature": 0.7, "normalize": True}, 1, lambda x: loop_rnc(x, unit=True)),
    (
        supremix,
        ("z", "targets", "shares"),
        {"temperature": 0.4, "window": 3.0},
        2,
        lambda x: loop_supremix(x, lambda d: d + 1, 3.0),
    ),
    (
        supremix,
        ("z", "targets", "shares"),
        {"temperature": 0.4, "window": 4.0, "distance_weight": "squared"},
        2,
        lambda x: loop_supremix(x, lambda d: d * d + 1, 4.0),
    ),
    (listwise_wasserstein, LIST, {"temperature": 0.3, "label_scale": 1.5}, 1, loop_wasserstein),
    (listwise_kl, LIST, {"temperature": 0.3, "label_scale": 1.5}, 1, loop_kl),
    (nspt, REPLAY, {"temperature": 0.3}, 2, lambda x: loop_replay(x, "clean")),
    (nspt, REPLAY, {"temperature": 0.3, "denominator": "no_positive"}, 1, lambda x: loop_replay(x, "no_positive")),
    (nspt, REPLAY, {"temperature": 0.3, "denominator": "literal"}, 2, lambda x: loop_replay(x, "literal")),
    (ntpt, REPLAY, {"temperature": 0.3}, 2, lambda x: loop_replay(x, "teacher")),
    (ntpt, REPLAY[:3], {"temperature": 0.3}, 1, lambda x: loop_replay(x, "teacher", fed=False)),
    (multimodal_supcon, ("z", "labels"), {"temperature": 0.2}, 2, loop_multimodal),
]
every_reference = pytest.mark.parametrize(
    ("loss", "names", "knobs", "views", "loop"),
    REFERENCES,
    ids=[f"{loss.name}-{'-'.join(names)}-{list(knobs.values())}" for loss, names, knobs, *_ in REFERENCES],
)
CONSTANTS = ("teacher", "queue")


@every_reference
def test_per_anchor_values_equal_the_loop(
    loss: losses.Loss, names: tuple[str, ...], knobs: dict[str, Any], views: int, loop: Loop
) -> None:
    x = inputs(views=views)
    each = loss(*(x[name] for name in names), reduction="none", **knobs)
    torch.testing.assert_close(each, torch.tensor(loop(x), dtype=torch.float64), atol=1e-11, rtol=1e-9)


@every_reference
def test_gradient(loss: losses.Loss, names: tuple[str, ...], knobs: dict[str, Any], views: int, loop: Loop) -> None:
    x = inputs(samples=5, views=views, seed=3)
    # Finite differences see through every stop-gradient, so mixtures stay attached, and constants are held.
    knobs = knobs | ({"mixture_grad": "live"} if loss is supremix else {})
    free = [name for name in names if x[name].is_floating_point() and name not in (*CONSTANTS, "targets", "shares")]

    def value(*tensors: Tensor) -> Tensor:
        given = x | dict(zip(free, tensors, strict=True))
        return loss(*(given[name] for name in names), **knobs)

    assert torch.autograd.gradcheck(value, [x[name].clone().requires_grad_() for name in free], atol=1e-6)
    for name in set(names) & set(CONSTANTS):
        x[name].requires_grad_()
        (gradient,) = torch.autograd.grad(
            value(*(x[n].clone().requires_grad_() for n in free)), x[name], allow_unused=True
        )
        assert gradient is None, f"{name} is a constant"


WITH_TEMPERATURE = {loss.name: (loss, names) for loss, names, *_ in REFERENCES if "temperature" in loss.defaults}


@pytest.mark.parametrize("name", WITH_TEMPERATURE)
@pytest.mark.parametrize("per_anchor", [False, True])
def test_gradient_to_the_temperature(name: str, per_anchor: bool) -> None:
    loss, names = WITH_TEMPERATURE[name]
    views = 1 if loss is paco else 2
    x = inputs(samples=5, views=views, seed=4)
    anchors = 5 if "query" in names else 5 * views
    temperature = torch.linspace(0.2, 0.6, anchors if per_anchor else 1, dtype=torch.float64)
    temperature = (temperature if per_anchor else temperature[0]).clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda t: loss(*(x[name] for name in names), temperature=t), temperature, atol=1e-6)


@pytest.mark.parametrize("loss", [arcface, cosface])
def test_gradient_to_the_margin(loss: losses.Loss) -> None:
    x = inputs(samples=5, seed=4)
    margin = torch.linspace(0.2, 0.6, 10, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda m: loss(x["z"], x["labels"], x["prototypes"], margin=m, temperature=0.2), margin
    )


def test_focal_positives_and_negatives_of_other_shapes() -> None:
    """One harder positive shared by the views of a sample; negatives of each anchor that are the same for all."""
    x = inputs(views=2)
    shared = x["positives"][:, 0]
    left = focal_supcon(x["z"], x["labels"], shared, x["negatives"])
    both = shared[:, None].expand(-1, 2, -1)
    torch.testing.assert_close(left, focal_supcon(x["z"], x["labels"], both, x["negatives"].expand(14, 5, 4)))


def test_supremix_mixtures_carry_no_gradient_unless_asked() -> None:
    """Detached, a point that is only ever part of mixtures is not moved by the anchors it helps."""
    x = inputs(samples=3, views=1)
    z, targets = x["z"].clone().requires_grad_(), torch.tensor([0.0, 1.0, 2.0])
    knobs: dict[str, Any] = {"mix_negatives": "off", "window": 1.5}
    gradients = {}
    for grad in ("detach", "live"):
        each = supremix(z, targets, mixture_grad=grad, reduction="none", **knobs)
        assert each.count_nonzero() == 1, "only the middle one lies between two others"
        (gradients[grad],) = torch.autograd.grad(each[1], z)
    assert not torch.allclose(gradients["detach"], gradients["live"])


def test_supremix_in_blocks_equals_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs()
    gradients = []
    for table in (2**22, 400):
        monkeypatch.setattr("cl_explore.losses.regression.TABLE", table)
        z = x["z"].clone().requires_grad_()
        supremix(z, x["targets"], window=4.0).backward()
        gradients.append(z.grad)
    torch.testing.assert_close(*gradients, atol=1e-14, rtol=1e-12)


def simplex(classes: int) -> Tensor:
    return torch.eye(classes, dtype=torch.float64) - 1 / classes


def gap(classes: int, tau: float) -> float:
    """log(1 + (C-1) exp(-C/((C-1) tau))): the cross-entropy of points on a regular simplex."""
    return math.log1p((classes - 1) * math.exp(-classes / (classes - 1) / tau))


def test_closed_forms_when_perfect() -> None:
    c, tau = 5, 0.3
    labels = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3, 4])
    w = simplex(c)
    z = w[labels][:, None].expand(-1, 2, -1)
    n = torch.bincount(labels)[labels].double()
    assert float(normalized_softmax(z, labels, w, temperature=tau)) == pytest.approx(gap(c, tau))
    assert float(proto_nce(z, labels, w, temperature=tau)) == pytest.approx(gap(c, tau))
    assert float(bcl(z, labels, w, temperature=tau)) == pytest.approx(gap(c, tau)), "whatever the class sizes"
    far = 2 * c / (c - 1)
    assert float(proxy_nca(z, labels, w, temperature=0.7)) == pytest.approx(math.log(c - 1) - far / 0.7)
    angular = math.log1p((c - 1) * math.exp((-1 / (c - 1) - math.cos(0.5)) / tau))
    assert float(arcface(z, labels, w, temperature=tau, margin=0.5)) == pytest.approx(angular)
    shifted = math.log1p((c - 1) * math.exp((0.35 - c / (c - 1)) / tau))
    assert float(cosface(z, labels, w, temperature=tau, margin=0.35)) == pytest.approx(shifted)
    equal = torch.arange(10) % c
    across = multimodal_supcon(w[equal][:, None].expand(-1, 2, -1), equal, temperature=tau)
    assert float(across) == pytest.approx(math.log(2) + gap(c, tau))
    assert float(nspt(w, torch.arange(c), w, temperature=tau)) == pytest.approx(gap(c, tau))
    assert float(ntpt(w, torch.arange(c), w, temperature=tau)) == pytest.approx(gap(c, tau))
    certain = 1e3 * torch.nn.functional.one_hot(labels).double()
    counts = torch.bincount(labels)
    assert float(logit_adjusted(certain, labels, counts)) == 0
    assert float(paco(w[labels], labels, certain, counts=counts, alpha=0)) == pytest.approx(0)
    place = torch.tensor([0.0, 1.0, 3.0, 7.0], dtype=torch.float64)
    assert float(rnc(place[:, None], place, temperature=1e-2)) == pytest.approx(0), "no two equally far from a third"
    views = rnc(place[:, None, None].expand(-1, 2, 1), place, temperature=1e-2)
    assert float(views) == pytest.approx(6 / 7 * math.log(2)), "each other sample is two points equally far"
    each = soft_nn(z, labels, temperature=1e-2, reduction="none")
    torch.testing.assert_close(each, torch.zeros(18, dtype=torch.float64), atol=1e-12, rtol=0)
    own = focal_supcon(z, labels, temperature=1e-2, gamma=0, reduction="none")
    torch.testing.assert_close(own, (2 * n - 1).log().repeat_interleave(2), atol=1e-12, rtol=0)
    number = (2 * n - 1).repeat_interleave(2)
    own = focal_supcon(z, labels, temperature=1e-2, reduction="none")
    torch.testing.assert_close(own, (1 - 1 / number) * number.log(), atol=1e-12, rtol=0)


def test_closed_forms_when_collapsed() -> None:
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2])
    one, c, tau = torch.ones(8, 2, 4, dtype=torch.float64), 3, 0.3
    w = torch.ones(c, 4, dtype=torch.float64)
    log = math.log
    for loss in (normalized_softmax, proto_nce, bcl):
        assert float(loss(one, labels, w, temperature=tau)) == pytest.approx(log(c))
    assert float(proxy_nca(one, labels, w)) == pytest.approx(log(c - 1))
    assert float(proxy_nca(one, labels, w, denominator="all")) == pytest.approx(log(c))
    assert float(arcface(one, labels, w, temperature=tau)) == pytest.approx(
        math.log1p((c - 1) * math.exp((1 - math.cos(0.5)) / tau))
    )
    assert float(cosface(one, labels, w, temperature=tau)) == pytest.approx(math.log1p((c - 1) * math.exp(0.35 / tau)))
    number = (2 * torch.bincount(labels)[labels] - 1).double().repeat_interleave(2)
    torch.testing.assert_close(soft_nn(one, labels, reduction="none"), (15 / number).log())
    assert float(focal_supcon(one, labels)) == pytest.approx((1 - 1 / 15) * log(15))
    assert float(multimodal_supcon(one, labels)) == pytest.approx(log(8))
    assert float(nspt(one, labels, one)) == pytest.approx(log(16))
    assert float(ntpt(one, labels, one)) == pytest.approx(log(16))
    alike = torch.zeros(8, dtype=torch.long)
    logits, m, alpha = torch.zeros(8, c, dtype=torch.float64), 7, 0.05
    collapsed = log(c + m * math.exp(1 / tau)) - alpha * m / tau / (1 + alpha * m)
    assert float(paco(one[:, 0], alike, logits, temperature=tau, alpha=alpha)) == pytest.approx(collapsed)
    counts = torch.tensor([90, 9, 1])
    each = logit_adjusted(logits, labels, counts, reduction="none")
    torch.testing.assert_close(each, -(counts / 100).double().log()[labels], atol=1e-7, rtol=0)
    assert float(rnc(one, torch.zeros(8))) == pytest.approx(log(15))
    targets = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    rivals = [(2, 1), (1, 2), (2, 1)]  # how many are as far as each of the two others, or farther
    assert float(rnc(one[:3, :1], targets)) == pytest.approx(sum(log(a) + log(b) for a, b in rivals) / 6)
    plain = {"distance_weight": "off", "mix_negatives": "off", "mix_positives": "off"}
    assert float(supremix(one, labels.double(), **plain)) == pytest.approx(log(15))


def test_bounds() -> None:
    """The losses that need views and labels only give plots their grey lines."""
    assert multimodal_supcon.bounds(samples=16, classes=4, temperature=0.3) == pytest.approx(
        (math.log(16), math.log(4) + gap(4, 0.3))
    )
    assert soft_nn.bounds(samples=16, classes=4)[0] == pytest.approx(math.log(31 / 7))
    assert focal_supcon.bounds(samples=16, classes=4)[0] == pytest.approx(30 / 31 * math.log(31))


def test_wasserstein_of_scores_that_do_not_depend_on_the_query() -> None:
    """|mu_P - mu_T|^2 + tr Sigma_T, and with it the gradient, although the root of Sigma_P Sigma_T has none at 0."""
    x = inputs()
    query = x["query"][:1].expand(7, 4).clone().requires_grad_()
    value = listwise_wasserstein(query, x["passages"], x["relevance"], temperature=0.3, label_scale=1.5)
    unit = torch.nn.functional.normalize(x["passages"], dim=-1).flatten(0, 1)
    p = (torch.nn.functional.normalize(query, dim=1) @ unit.T / 0.3).softmax(1)
    t = shares_of(x)[1]
    expected = (p.mean(0) - t.mean(0)).square().sum() + torch.cov(t.T).trace()
    torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-9)
    gradients = [torch.autograd.grad(side, query)[0] for side in (value, expected)]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-9)


def test_list_of_equal_scores() -> None:
    x = inputs()
    value = listwise_kl(torch.ones(7, 4), torch.ones(7, 3, 4), x["relevance"], label_scale=1.5)
    t = shares_of(x)[1]
    assert float(value) == pytest.approx(math.log(21) + float((t * t.log()).sum(1).mean()), rel=1e-5)


def test_arcface_beyond_the_half_circle_keeps_falling() -> None:
    """Opposite to its prototype a point still gains by turning towards it: the target falls with the angle."""
    angle = torch.linspace(0, math.pi, 200, dtype=torch.float64)
    z = torch.stack([angle.cos(), angle.sin()], 1)
    w = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    target = arcface.parts(z, torch.zeros(200, dtype=torch.long), w, margin=0.5)["target"]
    assert (target.diff() < 0).all()
    torch.testing.assert_close(target[:100], (angle + 0.5).cos()[:100])


def test_arcface_has_a_slope_at_its_prototype() -> None:
    """The cosine's slope of the arc cosine is infinite there; the chord's is not."""
    w = torch.eye(3, 4)
    for nudge in (0.0, 1e-7, 1e-3):
        z = (w + nudge * torch.eye(3, 4).roll(1, 1)).requires_grad_()
        value = arcface(z, torch.arange(3), w)
        value.backward()
        assert z.grad is not None
        assert z.grad.norm() < 64, "no more than the scale"


def test_cluster_concentration() -> None:
    """Against the formula in loops: singletons get the largest spread, percentiles clip, the mean is 1."""
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(40, 3, generator=generator, dtype=torch.float64)
    labels = torch.cat([torch.arange(12), torch.randint(0, 9, (28,), generator=generator)])  # 9 to 11 hold one point
    prototypes = torch.randn(13, 3, generator=generator, dtype=torch.float64)  # and 12 none
    spread = []
    for c in range(13):
        members = [math.sqrt(square(z[i].tolist(), prototypes[c].tolist())) for i in range(40) if labels[i] == c]
        spread.append(sum(members) / len(members) / math.log(len(members) + 10) if len(members) > 1 else 0)
    spread = [s or max(spread) for s in spread]
    ordered = sorted(spread)

    def percentile(share: float) -> float:
        place = share * 12
        low = int(place)
        return ordered[low] + (place - low) * (ordered[min(low + 1, 12)] - ordered[low])

    clipped = [min(max(s, percentile(0.1)), percentile(0.9)) for s in spread]
    expected = torch.tensor(clipped, dtype=torch.float64) * 13 / sum(clipped)
    torch.testing.assert_close(cluster_concentration(z, labels, prototypes), expected)
    ones = cluster_concentration(prototypes, torch.arange(13), prototypes)
    torch.testing.assert_close(ones, torch.ones(13, dtype=torch.float64))


def test_paco_looks_at_its_queue_before_it_fills_it() -> None:
    criterion = PaCo(size=5, dim=4, temperature=0.2, generator=torch.Generator().manual_seed(0))
    x = inputs(samples=3, views=1)
    z, teacher, labels, logits = x["z"][:, 0].float(), x["teacher"][:, 0].float(), x["labels"], x["logits"].float()
    before, nobody = criterion.queue.rows.clone(), criterion.queue.labels.clone()
    z.requires_grad_()
    value = criterion(z, labels, logits, teacher, x["counts"])
    expected = paco(z, labels, logits, teacher, before, nobody, x["counts"], temperature=0.2)
    torch.testing.assert_close(value, expected)
    value.backward()  # still possible after the queue has changed
    unit = torch.nn.functional.normalize(teacher, dim=1)
    torch.testing.assert_close(criterion.queue.rows[:3], unit)
    torch.testing.assert_close(criterion.queue.rows[3:], before[3:])
    assert criterion.queue.labels[:3].tolist() == labels.tolist()
    criterion(z, labels + 1, logits[:, [2, 0, 1]].repeat(1, 2), teacher)  # goes around the end
    torch.testing.assert_close(criterion.queue.rows[[3, 4, 0]], unit)
    assert criterion.queue.labels.tolist()[3:] + criterion.queue.labels.tolist()[:1] == (labels + 1).tolist()
    state = criterion.state_dict()
    assert set(state) == {"queue.rows", "queue.labels", "queue.pointer"}
    criterion.eval()
    criterion(z, labels, logits, teacher)
    assert all(torch.equal(value, state[name]) for name, value in criterion.state_dict().items())
