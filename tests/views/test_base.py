"""What every kind of views owes its caller."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore.views import (
    HardViews,
    ImageViews,
    PointViews,
    SeriesViews,
    TokenViews,
    VectorViews,
    VideoViews,
    Views,
    VolumeViews,
)
from cl_explore.views.base import FULL_SCALE, as_numbers

IMAGE = {**vars(ImageViews.simclr()), "noise": 0.1}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def words(rows: int = 6, length: int = 30) -> Tensor:
    x = torch.randint(2, 500, (rows, length), generator=seeded(7))
    return x.masked_fill(torch.arange(length) >= length - 5, 0)


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=seeded(7))


CASES: dict[str, tuple[Views[Any], Tensor]] = {
    "hard": (HardViews(), uniform(6, 1, 8, 8)),
    "image": (ImageViews(**IMAGE), uniform(6, 3, 8, 8)),
    "points": (PointViews(), uniform(6, 20, 3)),
    "points in the plane": (PointViews(), uniform(6, 20, 2)),
    "series": (SeriesViews(crop=0.5, mask=0.2), uniform(6, 3, 25)),
    "tokens": (TokenViews(drop=0.3, mask=0.3), words()),
    "vector": (VectorViews(), uniform(6, 12)),
    "video": (VideoViews(**IMAGE), uniform(6, 4, 3, 8, 8)),
    "volume": (VolumeViews(crop_area=0.5, flip=0.5, brightness=0.4, noise=0.1), uniform(6, 2, 4, 8, 8)),
}


@pytest.mark.parametrize("name", CASES)
def test_strength_zero_changes_nothing(name: str) -> None:
    augment, x = CASES[name]
    views = replace(augment, strength=0.0)(x, seeded(), n_views=3)
    assert all(torch.equal(views[:, v], x) for v in range(3))


@pytest.mark.parametrize("name", CASES)
def test_one_generator_state_one_result_and_the_samples_stay_as_they_are(name: str) -> None:
    augment, x = CASES[name]
    kept, generator = x.clone(), seeded()
    first, second = augment(x, generator), augment(x, generator)
    assert first.shape == (len(x), 2, *x.shape[1:])
    assert first.dtype == x.dtype
    assert torch.equal(first, augment(x, seeded()))
    assert not torch.equal(first, second)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("name", CASES)
def test_each_view_is_drawn_by_itself(name: str) -> None:
    augment, x = CASES[name]
    views = augment(x[:1].expand(12, *x.shape[1:]), seeded()).flatten(0, 1)
    assert len(views.flatten(1).unique(dim=0)) == 24


@pytest.mark.parametrize("name", CASES)
def test_a_sample_is_changed_the_same_whatever_the_others_are(name: str) -> None:
    augment, x = CASES[name]
    other = x.clone()
    other[1:] = other[1:].flip(0)
    other[1:] = other[1:].flip(1) if name != "tokens" else other[1:]
    assert torch.equal(augment(x, seeded())[0], augment(other, seeded())[0])


@pytest.mark.parametrize("name", CASES)
def test_a_call_applies_what_parameters_draws(name: str) -> None:
    augment, x = CASES[name]
    rows = x.repeat_interleave(2, dim=0)
    drawn = augment.parameters(rows, seeded())
    assert torch.equal(augment(x, seeded()).flatten(0, 1), augment.apply(rows, drawn))
    weaker = replace(augment, strength=0.1)
    assert torch.equal(weaker.apply(rows, drawn), augment.apply(rows, drawn)), "the parameters alone decide"


@pytest.mark.parametrize("name", CASES)
def test_samples_may_lie_on_another_device_than_the_generator(name: str) -> None:
    augment, x = CASES[name]
    views = augment(x.to("meta"), seeded())
    assert (views.device.type, views.shape) == ("meta", (len(x), 2, *x.shape[1:]))


@pytest.mark.parametrize("name", CASES)
def test_bad_calls_are_refused(name: str) -> None:
    augment, x = CASES[name]
    with pytest.raises(ValueError, match="n_views must be at least 1, got 0"):
        augment(x, seeded(), n_views=0)
    with pytest.raises(TypeError, match=r"generator must be a torch.Generator, got int"):
        augment(x, 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"x must be an? .*tensor, got torch.int32"):
        augment(x.to(torch.int32), seeded())
    with pytest.raises(TypeError, match=r"x must be an? .*tensor, got list"):
        augment(x.tolist(), seeded())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"x must have shape \(B, .*got \(6,\)"):
        augment(x.flatten(1)[:, 0], seeded())
    with pytest.raises(ValueError, match="strength must be at least 0 and finite, got -1"):
        replace(augment, strength=-1)


PICTURES = {"hard", "image", "video", "volume"}


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", [name for name in CASES if name != "tokens"])
def test_what_is_not_finite_stays_so_or_is_refused(name: str, bad: float) -> None:
    augment, x = CASES[name]
    for rows in (slice(None), slice(2, 3)):
        spoiled = x.clone()
        spoiled[rows, ..., -1] = bad
        try:
            views, refused = augment(spoiled, seeded()), ""
        except ValueError as error:
            views, refused = torch.full((6, 2, 1), torch.nan), str(error)
        assert refused.startswith("x must be in [0, 1], got") == (name in PICTURES)
        assert not views[rows].flatten(2).isfinite().all(2).any()


@pytest.mark.parametrize("name", [name for name in CASES if name != "tokens"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_and_autocast_change_no_view(name: str, dtype: torch.dtype) -> None:
    augment, x = CASES[name]
    half = x.to(dtype)
    expected = augment(half.float(), seeded())
    assert torch.equal(augment(half, seeded()), expected)
    drawn = augment.parameters(half, seeded())
    with torch.autocast("cpu", dtype=dtype):
        assert torch.equal(augment(half.float(), seeded()), expected)
        assert torch.equal(augment.apply(half, drawn), augment.apply(half.float(), drawn))


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name][0].stored])
def test_stored_integers_are_read_as_the_numbers_they_stand_for(name: str) -> None:
    augment, x = CASES[name]
    stored = (x * (FULL_SCALE[augment.stored] - 1)).round().to(augment.stored)  # type: ignore[index, arg-type]
    assert torch.equal(augment(stored, seeded()), augment(as_numbers(stored), seeded()))


@pytest.mark.parametrize("name", CASES)
def test_the_default_type_and_device_of_torch_change_no_view(name: str) -> None:
    augment, x = CASES[name]
    expected = augment(x, seeded())
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        assert torch.equal(augment(x, seeded()), expected)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
