"""What holds of every loss: it is exported, and its knobs reach it in the form its signature names."""

import importlib
import inspect
import pkgutil

import pytest
import torch
from gpu_stages.inputs import given
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.losses import Choice, Loss
from cl_explore.losses.arguments import ROLES
from cl_explore.losses.knob import Scalar


def test_every_loss_and_every_module_with_state_is_exported() -> None:
    for found in pkgutil.iter_modules(losses.__path__):
        module = importlib.import_module(f"cl_explore.losses.{found.name}")
        for name, value in vars(module).items():
            is_module = isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == module.__name__
            if isinstance(value, Loss) or is_module:
                assert getattr(losses, name) is value, f"{name} of {module.__name__} is not exported"
    assert losses.catalogue.keys() <= vars(losses).keys()


def seen(kind: object, value: object, z: Tensor) -> object:
    """What a knob annotated `kind` and called with `value` is in the body of a loss of z."""
    caught = []

    def body(z: Tensor, *, temperature: kind = 0.5) -> Tensor:  # type: ignore[valid-type]
        caught.append(temperature)
        return z.sum((1, 2)).repeat_interleave(z.shape[1])

    name = body.__name__
    declared = Loss(
        body, title="t", paper="p", family="f", formula="x", knobs=(losses.catalogue["nt_xent"].knobs[0],),
        min_samples=2,
        min_views=1, max_views=None, raw=True,
    )  # fmt: skip
    assert name not in losses.catalogue
    declared(z, temperature=value)
    return caught[0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_a_scalar_knob_is_a_tensor_like_the_embeddings(dtype: torch.dtype) -> None:
    z = torch.randn(4, 2, 3, dtype=dtype)
    found = seen(Scalar, 0.1, z)
    assert isinstance(found, Tensor)
    assert (found.shape, found.dtype) == ((), torch.promote_types(dtype, torch.float32))
    each = seen(Scalar, torch.full((8,), 0.1, dtype=torch.float64, requires_grad=True), z)
    assert isinstance(each, Tensor)
    assert (each.shape, each.dtype, each.requires_grad) == ((8,), torch.promote_types(dtype, torch.float32), True)


def test_a_number_knob_is_a_number_and_no_tensor() -> None:
    z = torch.randn(4, 2, 3)
    assert seen(float, 1, z) == 1.0
    assert seen(int, 2.6, z) == 3
    for kind in (float, int):
        with pytest.raises(TypeError, match="temperature must be a Python number, got a tensor"):
            seen(kind, torch.tensor(0.5), z)


def test_losses_run_on_the_meta_device() -> None:
    z, labels = torch.randn(4, 2, 3, device="meta"), torch.zeros(4, dtype=torch.long, device="meta")
    for loss in (losses.nt_xent, losses.supcon, losses.align_uniform, losses.circle):
        value = loss.on_views(z, labels)
        assert (value.shape, value.device.type) == ((), "meta")


def test_choices_are_strings() -> None:
    assert all(
        isinstance(loss.defaults[k.name], str)
        for loss, k in ((loss, k) for loss in losses.catalogue.values() for k in loss.knobs if isinstance(k, Choice))
    )


LANDMARKS = ["Parts", "Source", "Collapsed", "Perfect", "Raises", "Note"]


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
def test_the_docstring_says_of_each_argument_its_shape_and_then_the_landmarks(loss: Loss) -> None:
    fields = loss.fields
    rest = list(fields)[len(loss.arguments) :]
    assert list(fields)[: len(loss.arguments)] == list(loss.arguments)
    assert rest == [name for name in LANDMARKS if name in rest]
    assert {"Source", "Collapsed"} <= set(rest)
    assert all(fields.values())
    assert loss.summary.endswith(".")
    for name in loss.arguments:
        shapes = [", ".join(shape.split()) + "," * (" " not in shape) for shape in ROLES[name].shapes]
        written = [f"({shape.replace('V', letter)})" for shape in shapes for letter in ("V", "2")]
        assert any(shape in fields[name] for shape in [*written, "(B, D)", "as z"]), f"{loss.name}: {name}"


def test_the_signature_is_that_of_a_call() -> None:
    signature = inspect.signature(losses.nt_xent)
    assert list(signature.parameters) == ["z", "temperature", "reduction", "normalize"]
    assert signature.return_annotation is Tensor
    assert inspect.signature(losses.cpc).parameters["normalize"].default is False


ONE_SAMPLE = {
    "swav": "at least 2 samples to share the prototypes among, got 1 .or give a memory",
    "info_nce": "key must have at least 2 rows", "label_nce": "key must have at least 2 rows",
    "cpc": "key must have at least 2 rows",
    "clip": "key must have at least 2 rows", "n_pair": "key must have at least 2 rows",
    "spectral": "key must have at least 2 rows", "mil_nce": "query must have at least 2 rows",
    "collossl": "query must have at least 2 rows",
    "mochi": "key must have at least 2 rows", "listwise_wasserstein": "at least 2 rows to have a covariance",
}  # fmt: skip
"""Losses that take one sample, or refuse it, with optional arguments or without: negatives, a queue, a memory."""
ALONE = {
    "alignment", "byol", "simsiam", "proxy_nca", "normalized_softmax", "arcface", "cosface", "proto_nce", "bcl", "paco",
    "logit_adjusted", "moco", "siglip", "listwise_kl", "deviation", "selfie",
}  # fmt: skip
"""Losses that compare no sample of the batch with another, or whose sum over others may be empty."""


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
def test_a_batch_of_one(loss: Loss) -> None:
    """Computed where the formula is defined without other samples; all the rest says that it needs two."""
    z = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(0))
    of_all = ("queue", "queue_labels", "memory", "prototypes", "counts", "concentration", "logits", "critic")

    def call(optional: bool) -> Tensor:
        x = given(loss, z, torch.arange(6) % 3, optional)
        x = {
            n: v if n in of_all[:-2] or n == "critic" else v[:1] for n, v in x.items() if n not in ("shares", "weights")
        }
        value = loss(**{n: v.clone().requires_grad_() if v.is_floating_point() else v for n, v in x.items()})
        value.backward()
        return value

    if loss.name in ALONE:
        assert call(True).isfinite()
        assert call(False).isfinite()
        return
    if loss.name in ("swav", "info_nce", "mochi"):
        assert call(True).isfinite()
    with pytest.raises(
        ValueError, match=ONE_SAMPLE.get(loss.name, "z must hold at least 2 samples to contrast, got 1")
    ):
        call(False)
