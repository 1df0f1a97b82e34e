"""What no loss may depend on: order of samples and views, rotation of space, length of the inputs, names of classes."""

from typing import Any

import pytest
import torch
from gpu_stages.inputs import Inputs, given, letters
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st
from proofs import OF_ANGLES
from roles import LABELLED, batch, options
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Loss
from cl_explore.losses.arguments import ROLES

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
OF_VIEWS = [loss for loss in losses.catalogue.values() if loss.fits(2)]
OF_LABELS = [loss for loss in losses.catalogue.values() if "labels" in loss.needs]
some = settings(max_examples=8, deadline=None)
SEEDS = st.integers(0, 10_000)
OF_COORDINATES = {"barlow_twins", "vicreg", "shamisa", "deviation"}  # their formulas name single coordinates
OF_ONE_DIRECTION = {
    "info_nce",
    "cpc",
    "n_pair",
    "mochi",
    "selfie",
    "collossl",
    "label_nce",
}  # one side asks, the other answers
OF_A_FLAG = {"sepclr"}  # its labels are 0 for background and anything else for targets


def same(left: Tensor, right: Tensor, where: object = "") -> None:
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9, msg=lambda message: f"{where}: {message}")


def knows_views(loss: Loss, knobs: dict[str, Any]) -> bool:
    """Whether the formula names single views: the later ones, or the first two."""
    return (
        loss.name == "deviation"
        or (loss.name == "cacr" and knobs.get("pairs") != "all")
        or knobs.get("positives") == "first_two"
    )


def reordered(x: Inputs, rows: Tensor, turn: Tensor) -> Inputs:
    """The batch with its samples in the order `rows` (B,) and their views in the order `turn` (V,)."""
    anchors = (rows[:, None] * len(turn) + turn).flatten()
    out = dict(x)
    for name, value in x.items():
        for axis, letter in enumerate(letters(name, value)):
            order = {"V": turn, "B": rows, "N": rows if value.shape[axis] == len(rows) else anchors}.get(letter)
            if order is not None:
                out[name] = out[name].index_select(axis, order)
    return out


@every_loss
@some
@drawn(SEEDS)
def test_order_of_samples_and_views(loss: Loss, seed: int) -> None:
    most = loss.max_views or 3
    z, y, generator = batch(seed, views=max(most, 2))
    rows, turn = torch.randperm(8, generator=generator), torch.randperm(most, generator=generator)
    x = given(loss, z, y)
    for knobs in options(loss):
        kept = torch.arange(most) if knows_views(loss, knobs) else turn
        each = loss(**x, **knobs, reduction="none").view(8, -1)
        moved = loss(**reordered(x, rows, kept), **knobs, reduction="none").view(8, -1)
        same(moved, each[rows][:, kept] if each.shape[1] == most else each[rows], knobs)


@pytest.mark.parametrize("loss", OF_VIEWS, ids=lambda loss: loss.name)
@some
@drawn(SEEDS)
def test_order_of_sides(loss: Loss, seed: int) -> None:
    """First and second view change places, also where they are query and key."""
    z, y, _ = batch(seed)
    for knobs in options(loss):
        value, swapped = (loss.on_views(views, y, **knobs) for views in (z, z.flip(1)))
        one_by_one = knobs == {"objective": "binary"}  # of each pair by itself: no side asks
        from_one_side = (loss.name in OF_ONE_DIRECTION and not one_by_one) or knobs == {"direction": "query"}
        if from_one_side or (loss.name == "cacr" and knows_views(loss, knobs)):
            assert not torch.isclose(value, swapped), knobs
        else:
            same(value, swapped, knobs)


def turned(x: Inputs, rotations: dict[str, Tensor]) -> Inputs:
    """The batch with every axis that is a space turned by the rotation of this space."""
    out = dict(x)
    for name, value in x.items():
        for axis, letter in enumerate(letters(name, value)):
            if letter in rotations and (letter != "S" or axis == value.ndim - 1):  # S also counts synthetic points
                out[name] = torch.tensordot(out[name], rotations[letter], ([axis], [0])).movedim(-1, axis)
    return out


@every_loss
@some
@drawn(SEEDS)
def test_rotation_of_space(loss: Loss, seed: int) -> None:
    """Each space of its own: of embeddings (D), of contexts (E), of salient codes (S)."""
    z, y, generator = batch(seed)
    x = given(loss, z, y)
    spaces = {
        letter: torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64))[0] for letter in "DES"
    }
    for knobs in options(loss):
        each, found = (loss(**given, **knobs, reduction="none") for given in (x, turned(x, spaces)))
        if loss.name in OF_COORDINATES:
            assert not torch.allclose(each, found)
        else:
            same(found, each, knobs)


@every_loss
@some
@drawn(SEEDS)
def test_length_of_the_inputs(loss: Loss, seed: int) -> None:
    z, y, generator = batch(seed)
    x = given(loss, z, y)
    embeddings = [name for name in x if ROLES[name].kind == "embeddings"]
    shorter = x | {
        name: x[name] * (0.4 * torch.rand(*x[name].shape[:-1], 1, generator=generator, dtype=torch.float64) + 0.02)
        for name in embeddings
    }
    unit = x | {name: torch.nn.functional.normalize(x[name], dim=-1) for name in embeddings}
    for knobs in options(loss):
        value = loss(**x, **knobs, normalize=True)
        same(loss(**shorter, **knobs, normalize=True), value, knobs)
        if loss.name not in OF_ANGLES:
            same(loss(**unit, **knobs, normalize=False), value, knobs)
        raw, scaled = (loss(**given, **knobs, reduction="none") for given in (x, shorter))
        assert torch.allclose(raw, scaled) is not (loss.raw and bool(embeddings)), knobs


@pytest.mark.parametrize("loss", OF_LABELS, ids=lambda loss: loss.name)
@some
@drawn(SEEDS)
def test_names_of_classes(loss: Loss, seed: int) -> None:
    """Any whole numbers will do; where they are rows of prototypes or logits, in any order."""
    z, y, generator = batch(seed)
    x = given(loss, z, y)
    axes = {letter for name, value in x.items() for letter in letters(name, value)}
    names = torch.randperm(3 if "C" in axes else 1000, generator=generator)[:3]
    if loss.name in OF_A_FLAG:
        names = torch.cat([torch.zeros(1, dtype=torch.long), names[1:] + 1])
    renamed = {name: names[value] if name in LABELLED else value for name, value in x.items()}
    for name, value in x.items():
        if "C" in letters(name, value):
            renamed[name] = value.index_select(letters(name, value).index("C"), names.argsort())
    for knobs in options(loss):
        same(loss(**renamed, **knobs, reduction="none"), loss(**x, **knobs, reduction="none"), knobs)
