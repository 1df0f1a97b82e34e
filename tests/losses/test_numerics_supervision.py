"""Losses led by labels, targets, prototypes, lists or a teacher: finite everywhere, invariant, strict about input."""

import inspect
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from batches import DEGENERATE, LABELLINGS
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore.losses import Choice, Knob, Loss
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.listwise import listwise_kl, listwise_wasserstein
from cl_explore.losses.longtail import bcl, logit_adjusted, paco
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

LOSSES = [
    soft_nn,
    focal_supcon,
    proxy_nca,
    normalized_softmax,
    arcface,
    cosface,
    proto_nce,
    bcl,
    paco,
    logit_adjusted,
    rnc,
    supremix,
    listwise_wasserstein,
    listwise_kl,
    nspt,
    ntpt,
    multimodal_supcon,
]
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=[loss.name for loss in LOSSES])
HALF = (torch.float16, torch.bfloat16)
Inputs = dict[str, Tensor]


def inputs(loss: Loss, z: Tensor, labels: Tensor, optional: bool = True) -> Inputs:
    """Everything a loss takes, made of z (B, V, D) and labels (B,) alone, so that both may degenerate."""
    samples, views, _ = z.shape
    classes = max(int(labels.max()) + 1, 2)
    unit = F.normalize(z.float(), dim=-1).to(z.dtype)
    have = {
        "z": z[:, :1] if loss is paco else z,
        "labels": labels,
        "targets": labels.to(z.dtype),
        "prototypes": z[:classes, 0].roll(1, -1),
        "concentration": torch.linspace(0.5, 1.5, classes).to(z.dtype),
        "teacher": z[:, :1].roll(1, -1) if loss is paco else z.roll(1, -1),
        "rehearsal": (torch.arange(samples) % 3 < 2).long(),
        "positives": z.roll(2, -1),
        "negatives": z[:, 0].roll(3, -1),
        "logits": unit[:, 0] @ unit[:classes, 0].T,
        "counts": torch.arange(1, classes + 1),
        "queue": z[:, 0].roll(4, -1),
        "queue_labels": labels,
        "query": z[:, 0],
        "passages": z.roll(1, -1),
        "relevance": torch.arange(samples * views).view(samples, views) % 4,
        "shares": torch.linspace(0, 1, (samples * views) ** 2).view(samples * views, -1).to(z.dtype),
    }
    return {name: have[name] for name in (loss.arguments if optional else loss.needs)}


def value_and_gradients(loss: Loss, x: Inputs, **knobs: Any) -> tuple[Tensor, Inputs]:
    x = {name: t.clone().requires_grad_() if t.is_floating_point() else t for name, t in x.items()}
    value = loss(**x, **knobs)
    value.backward()
    return value.detach(), {name: t.grad for name, t in x.items() if t.grad is not None}


def knobs_at(loss: Loss, temperature: float) -> dict[str, float]:
    return {"temperature": temperature} if "temperature" in loss.defaults else {}


@every_loss
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, *HALF])
@pytest.mark.parametrize("temperature", [1e-3, 0.05, 0.5, 10.0])
@pytest.mark.parametrize("samples", [2, 3, 24])
def test_dtype_and_temperature(loss: Loss, dtype: torch.dtype, temperature: float, samples: int) -> None:
    # The truth starts from the rounded numbers: what is tested is the loss, not the rounding of its input.
    z = torch.randn(samples, 2, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    x, knobs = inputs(loss, z, torch.arange(samples) % 2), knobs_at(loss, temperature)
    value, gradients = value_and_gradients(loss, x, **knobs)
    exact = {name: t.double() if t.is_floating_point() else t for name, t in x.items()}
    truth, true_gradients = value_and_gradients(loss, exact, **knobs)
    assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    # Logits reach 1 / temperature, those of raw points a few times that: so good are float32 sums of them.
    unit = torch.finfo(torch.float32).eps * max(1, (6 if loss.raw else 1) / temperature)
    torch.testing.assert_close(value.double(), truth, atol=16 * unit, rtol=16 * unit)
    assert gradients.keys() == true_gradients.keys()
    for name, truth in true_gradients.items():
        assert gradients[name].dtype == dtype
        rounding = torch.finfo(dtype).eps + torch.finfo(dtype).smallest_normal * 2 / truth.abs().max().clamp(1e-30)
        error = (gradients[name].double() - truth).norm()
        assert error <= (16 * unit + 2 * rounding) * truth.norm() + 4 * unit, name


@every_loss
@pytest.mark.parametrize("dtype", HALF)
def test_autocast_does_not_reach_the_logits(loss: Loss, dtype: torch.dtype) -> None:
    z = torch.randn(32, 2, 16, generator=torch.Generator().manual_seed(0))
    x = inputs(loss, z, torch.arange(32) % 4)
    with torch.autocast("cpu", dtype=dtype):
        inside = loss(**x)
    assert torch.equal(inside, loss(**x))


@every_loss
@pytest.mark.parametrize("points", DEGENERATE)
@pytest.mark.parametrize("labelling", LABELLINGS)
@pytest.mark.parametrize("temperature", [1e-3, 0.1, 10.0])
def test_degenerate_batches(loss: Loss, points: str, labelling: str, temperature: float) -> None:
    for optional in (True, False):
        x = inputs(loss, DEGENERATE[points], LABELLINGS[labelling], optional)
        switches = [knob for knob in loss.knobs if isinstance(knob, Choice)]
        for switch, option in [(s.name, o) for s in switches for o in s.options] or [(None, None)]:
            knobs = knobs_at(loss, temperature) | ({switch: option} if switch else {})
            value, gradients = value_and_gradients(loss, x, **knobs)
            assert value.isfinite()
            assert gradients
            assert all(gradient.isfinite().all() for gradient in gradients.values())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_focus_of_pairs_already_won(gamma: float) -> None:
    """q rounds to 1 there, and the power of 1 - q has an infinite slope for gamma below 1."""
    z = torch.eye(4)[:, None].expand(4, 2, 4)
    value, gradients = value_and_gradients(
        focal_supcon, {"z": z, "labels": torch.arange(4)}, gamma=gamma, temperature=1e-3
    )
    assert value == 0
    assert gradients["z"].isfinite().all()


def test_one_prototype_leaves_nothing_to_tell_apart() -> None:
    z, labels, one = torch.randn(4, 2, 3), torch.zeros(4, dtype=torch.long), torch.randn(1, 3)
    for loss in (normalized_softmax, arcface, cosface, proto_nce):
        value, gradients = value_and_gradients(loss, {"z": z, "labels": labels, "prototypes": one})
        assert value == 0
        assert (gradients["z"] == 0).all()
    with pytest.raises(ValueError, match="prototypes must have at least 2 rows to tell apart, got 1"):
        proxy_nca(z, labels, one)


def test_paco_without_samples_in_its_denominator() -> None:
    z = torch.randn(4, 3)
    x = inputs(paco, z[:, None], torch.arange(4) % 2)
    _, gradients = value_and_gradients(paco, x, alpha=0, gamma=0)
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert (gradients["z"] == 0).all()


def test_rnc_keeps_small_distances_of_long_vectors() -> None:
    """Views 1e-3 apart at length 100: a distance by way of inner products would be rounding error."""
    z = torch.randn(8, 1, 16, generator=torch.Generator().manual_seed(0)) * 100
    z = torch.cat([z, z + 1e-3], 1)
    targets = torch.arange(8.0)
    value, _ = value_and_gradients(rnc, {"z": z, "targets": targets}, temperature=1e-2)
    truth, _ = value_and_gradients(rnc, {"z": z.double(), "targets": targets.double()}, temperature=1e-2)
    torch.testing.assert_close(value.double(), truth, atol=0, rtol=1e-5)


def batch(seed: int, samples: int = 8, dimensions: int = 5) -> tuple[Tensor, Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, 2, dimensions, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3, generator


def same(left: Tensor, right: Tensor) -> None:
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)


PER_SAMPLE = (
    "z", "labels", "targets", "teacher", "rehearsal", "positives", "logits", "query", "passages", "relevance",
)  # fmt: skip
EMBEDDINGS = ("z", "prototypes", "teacher", "positives", "negatives", "queue", "query", "passages")


@every_loss
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_order_of_samples(loss: Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    x = inputs(loss, z, y)
    x.pop("shares", None)  # one for each pair
    order = torch.randperm(len(z), generator=generator)
    shuffled = x | {name: x[name][order] for name in x if name in PER_SAMPLE}
    each = loss(**x, reduction="none")
    same(loss(**shuffled, reduction="none"), each.view(len(z), -1)[order].flatten())


@every_loss
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_rotation_of_space(loss: Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    x = inputs(loss, z, y)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))
    turned = x | {name: x[name] @ rotation for name in x if name in EMBEDDINGS}
    same(loss(**x, reduction="none"), loss(**turned, reduction="none"))


@every_loss
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_length_of_raw_inputs(loss: Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    x = inputs(loss, z, y)
    lengths = {
        name: torch.rand(*t.shape[:-1], 1, generator=generator, dtype=torch.float64) * 10 + 0.1
        for name, t in x.items()
        if name in EMBEDDINGS
    }
    if lengths and not loss.raw:
        same(loss(**x), loss(**x | {name: x[name] * length for name, length in lengths.items()}))
    unit = x | {name: F.normalize(x[name], dim=-1) for name in lengths}
    same(loss(**unit, normalize=False), loss(**x, normalize=True))


@every_loss
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_names_of_classes(loss: Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    x = inputs(loss, z, y)
    names = torch.randperm(3, generator=generator)
    renamed = x | {name: names[x[name]] for name in x if name in ("labels", "queue_labels")}
    for name in x:
        if name in ("prototypes", "concentration", "counts"):
            renamed[name] = x[name][names.argsort()]
        if name == "logits":
            renamed[name] = x[name][:, names.argsort()]
    same(loss(**x, reduction="none"), loss(**renamed, reduction="none"))


@every_loss
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_swap_of_views(loss: Loss, seed: int) -> None:
    z, y, _ = batch(seed)
    x = inputs(loss, z, y)
    x.pop("shares", None)
    swapped = x | {name: x[name].flip(1) for name in ("z", "teacher", "positives") if name in x}
    same(loss(**x), loss(**swapped))


@every_loss
def test_mean_is_the_weighted_mean_of_the_anchors(loss: Loss) -> None:
    z, y, _ = batch(5)
    x = inputs(loss, z, y)
    parts, each = loss.parts(**x), loss(**x, reduction="none")
    weight = parts.get("anchor_weight", torch.ones_like(each))
    same(loss(**x), (each * weight).sum() / weight.sum())
    same(each, parts["loss"])
    assert all(len(part) == len(each) for part in parts.values())


@pytest.mark.parametrize("loss", [soft_nn, focal_supcon, supremix])
def test_anchors_without_a_positive_do_not_count(loss: Loss) -> None:
    z, labels = torch.randn(6, 4), torch.tensor([0, 0, 1, 2, 3, 4])
    x: dict[str, Any] = {"z": z, "labels": labels}
    if loss is supremix:
        x = {"z": z, "targets": labels.float(), "mix_positives": "off"}
    parts = loss.parts(**x)
    assert parts["anchor_weight"].tolist() == [1, 1, 0, 0, 0, 0]
    assert (parts["loss"][2:] == 0).all()
    lonely = {"labels": torch.arange(6)} if "labels" in x else {"targets": torch.arange(6.0)}
    with pytest.raises(ValueError, match="at least one anchor needs a positive"):
        loss(**x | lonely)


EVERYTHING = {loss.name: inputs(loss, torch.randn(6, 2, 4), torch.arange(6) % 2) for loss in LOSSES}
WRONG: dict[str, list[tuple[Any, type[Exception], str]]] = {
    # argument: (what comes, the error, what its message must say)
    "labels": [
        (torch.rand(6), TypeError, "integers"),
        (torch.arange(5), ValueError, r"shape \(B\) with B = 6, .*got \(5,\)"),
        (torch.arange(6) - 1, ValueError, "0 or larger, got -1"),
    ],
    "targets": [
        (torch.arange(6), TypeError, "floating point, got torch.int64"),
        (torch.rand(5), ValueError, r"shape \(B\) with B = 6 or \(B, T\) with B = 6"),
        (torch.rand(6, 2, 2), ValueError, r"got \(6, 2, 2\)"),
    ],
    "prototypes": [
        (torch.randn(2, 3), ValueError, r"shape \(C, D\) with D = 4, no size 0; got \(2, 3\)"),
        (torch.ones(2, 4, dtype=torch.long), TypeError, "floating point"),
        (None, TypeError, "torch.Tensor, got NoneType"),
    ],
    "concentration": [
        (torch.rand(3), ValueError, r"shape \(C\) with C = 2"),
        (torch.tensor([1.0, 0.0]), ValueError, "concentration must be positive, got 0"),
        (torch.tensor([1.0, float("nan")]), ValueError, "concentration must be positive, got nan"),
    ],
    "teacher": [
        (
            torch.randn(6, 3),
            ValueError,
            r"\(B, V, D\) with B = 6 and V = \d and D = 4 or \(B, D\) with B = 6 and D = 4",
        ),
        (torch.randn(5, 2, 4), ValueError, r"got \(5, 2, 4\)"),
    ],
    "rehearsal": [
        (torch.ones(6, dtype=torch.bool), TypeError, "integers"),
        (torch.ones(5, dtype=torch.long), ValueError, r"shape \(B\) with B = 6"),
    ],
    "positives": [(torch.randn(6, 3, 4), ValueError, r"got \(6, 3, 4\)"), (torch.randn(4), ValueError, r"got \(4,\)")],
    "negatives": [(torch.randn(5, 3), ValueError, r"\(M, D\) with D = 4")],
    "logits": [
        (torch.randn(6), ValueError, r"shape \(B, C\)"),
        (torch.ones(6, 2, dtype=torch.long), TypeError, "floating point"),
    ],
    "counts": [
        (torch.rand(2), TypeError, "integers"),
        (torch.tensor([3, 0]), ValueError, "counts must be 1 or larger, got 0"),
        (torch.tensor([1, 2, 3]), ValueError, r"shape \(C\) with C = 2"),
    ],
    "queue": [(torch.randn(6, 3), ValueError, r"\(K, D\) with D = 4")],
    "queue_labels": [
        (torch.arange(7), ValueError, r"shape \(K\) with K = 6"),
        (None, ValueError, "queue and queue_labels must be given together"),
    ],
    "query": [(torch.randn(6, 2, 4), ValueError, r"\(N, D\)")],
    "passages": [(torch.randn(5, 2, 4), ValueError, r"\(N, K, D\) with N = 6 and D = 4")],
    "relevance": [
        (torch.rand(6, 2), TypeError, "integers"),
        (torch.ones(6, 3, dtype=torch.long), ValueError, r"\(N, K\) with N = 6 and K = 2"),
        (-torch.ones(6, 2, dtype=torch.long), ValueError, "0 or larger, got -1"),
    ],
    "shares": [
        (torch.rand(6, 6), ValueError, r"shape \(N, N\) with N = 12, got \(6, 6\)"),
        (torch.linspace(0.5, 1.2, 144).view(12, 12), ValueError, r"shares must be between 0 and 1, got 0\.5 to 1\.2"),
    ],
    "z": [
        ([[1.0, 2.0]], TypeError, "torch.Tensor, got list"),
        (torch.randn(1, 2, 4), ValueError, "at least 2 samples"),
    ],
}


def table() -> list[Any]:
    rows = []
    for loss in LOSSES:
        for name in loss.arguments:
            rows += [(loss, name, *wrong) for wrong in WRONG[name]]
        for knob in loss.knobs:
            if isinstance(knob, Knob):
                wrong = [("often", TypeError), (None, TypeError), (True, TypeError)]
                low = 0.0 if knob.log else knob.minimum - 1
                wrong += [(low, ValueError), (float("nan"), ValueError), (float("inf"), ValueError)]
            else:
                wrong = [("often", ValueError), (None, ValueError), (1, ValueError)]
            rows += [(loss, knob.name, value, error, knob.name) for value, error in wrong]
    return [pytest.param(*row, id=f"{row[0].name}-{row[1]}-{number}") for number, row in enumerate(rows)]


@pytest.mark.parametrize(("loss", "name", "value", "error", "message"), table())
def test_wrong_argument(loss: Loss, name: str, value: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        loss(**EVERYTHING[loss.name] | {name: value})
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "loss", [proxy_nca, normalized_softmax, arcface, cosface, proto_nce, bcl, paco, logit_adjusted]
)
def test_labels_beyond_the_classes(loss: Loss) -> None:
    with pytest.raises(
        ValueError, match=r"labels must be smaller than 2, the size of (prototypes|logits) \(C\), got 5"
    ):
        loss(**EVERYTHING[loss.name] | {"labels": torch.arange(6)})


def test_other_bad_input() -> None:
    x = EVERYTHING["supremix"]
    with pytest.raises(ValueError, match=r"targets must have shape \(B,\), one number for each sample, got \(6, 2\)"):
        supremix(x["z"], torch.rand(6, 2))
    with pytest.raises(ValueError, match=r"anchor_share must be at least 0 and at most 1 and finite, got 1\.5"):
        supremix(x["z"], x["targets"], anchor_share=1.5)
    with pytest.raises(ValueError, match="query must have at least 2 rows to have a covariance, got 1"):
        listwise_wasserstein(torch.randn(1, 4), torch.randn(1, 3, 4), torch.ones(1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="exactly 1 views"):
        paco(**EVERYTHING["paco"] | {"z": torch.randn(6, 2, 4)})
    with pytest.raises(ValueError, match="exactly 2 views"):
        multimodal_supcon(torch.randn(6, 3, 4), torch.arange(6))
    with pytest.raises(ValueError, match="labels must be smaller than 3, the size of prototypes"):
        cluster_concentration(torch.randn(4, 2), torch.arange(4), torch.randn(3, 2))


@every_loss
def test_entries_describe_themselves(loss: Loss) -> None:
    assert loss.title
    assert loss.paper
    assert loss.family
    assert loss.formula
    for knob in loss.knobs:
        default = loss.defaults[knob.name]
        if isinstance(knob, Choice):
            assert default == knob.options[0], "the first option is the default"
        else:
            assert knob.low <= default <= knob.high
    doc = inspect.getdoc(loss) or ""
    assert ">>>" in doc
    assert all(word in doc for word in ("Source:", "Collapsed", "Perfect", *loss.arguments))
