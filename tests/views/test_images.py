"""Image views: closed forms and float64 references of each step, and what every augmentation owes its caller."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from torch import Tensor

from cl_explore.views import Colour, ImageParameters, ImageViews

EVERYTHING = replace(ImageViews.simclr(), noise=0.1)
IDENTITY = ImageViews()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 6, channels: int = 3, size: int = 9, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(n, channels, size, size, generator=seeded(5), dtype=dtype)


def colour(n: int, **given: float) -> ImageParameters:
    neutral = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0} | given
    columns = {name: torch.full((n,), value, dtype=torch.float64) for name, value in neutral.items() if name != "grey"}
    return ImageParameters(colour=Colour(**columns, grey=torch.full((n,), bool(given.get("grey")))))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [EVERYTHING, ImageViews.weak(), ImageViews(crop_area=0.3, crop_ratio=2, flip=1)])
def test_strength_zero_changes_nothing(augment: ImageViews, channels: int) -> None:
    x = pictures(channels=channels, dtype=torch.float32)
    views = replace(augment, strength=0.0)(x, seeded(), n_views=3)
    assert all(torch.equal(views[:, v], x) for v in range(3))


@pytest.mark.parametrize("channels", [1, 3])
def test_views_follow_the_generator_and_differ_from_each_other(channels: int) -> None:
    x = pictures(channels=channels, dtype=torch.float32)
    kept, generator = x.clone(), seeded()
    first, second = EVERYTHING(x, generator), EVERYTHING(x, generator)
    assert first.shape == (6, 2, channels, 9, 9)
    assert first.dtype == torch.float32
    assert torch.equal(first, EVERYTHING(x, seeded()))
    assert not torch.equal(first, second)
    assert ((first[:, 0] - first[:, 1]).abs().amax(dim=(1, 2, 3)) > 0.01).all()
    assert torch.equal(x, kept)


def test_each_image_is_changed_by_itself() -> None:
    same = pictures(1).expand(40, -1, -1, -1)
    views = EVERYTHING(same, seeded()).flatten(0, 1).flatten(1)
    assert torch.pdist(views).min() > 0.01
    drawn = EVERYTHING.parameters(same, seeded())
    assert all(len(drawn.box[:, side].unique()) > 30 for side in range(4))
    assert all(len(column.unique()) > 20 for column in drawn.colour[:4])
    assert 0 < drawn.flip.sum() < 40
    assert 0 < drawn.colour.grey.sum() < 40


def test_a_call_applies_what_parameters_draws() -> None:
    x = pictures()
    rows = x.repeat_interleave(2, dim=0)
    drawn = EVERYTHING.parameters(rows, seeded())
    assert torch.equal(EVERYTHING(x, seeded()).flatten(0, 1), EVERYTHING.apply(rows, drawn))
    assert torch.equal(IDENTITY.apply(rows, drawn), EVERYTHING.apply(rows, drawn)), "the parameters alone decide"


@given(
    area=st.floats(0.01, 1), ratio=st.floats(1, 4), strength=st.floats(0, 3), seed=st.integers(0, 1000)
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_boxes_lie_in_the_image_and_in_the_stated_range(area: float, ratio: float, strength: float, seed: int) -> None:
    augment = ImageViews(crop_area=area, crop_ratio=ratio, strength=strength)
    box = augment.parameters(pictures(50), seeded(seed)).box
    if box is None:
        assert strength * (1 - area) == 0
        return
    width, height = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    assert box.min() >= 0
    assert box.max() <= 1 + 1e-9
    assert ((width * height) >= area**strength - 1e-6).all()
    assert ((width / height).log().abs() <= strength * np.log(ratio) + 1e-6).all()


def test_crop_areas_and_places_are_uniform() -> None:
    x = torch.zeros(4000, 1, 1, 1, dtype=torch.float64)
    left, top, right, bottom = ImageViews.simclr().parameters(x, seeded()).box.T.numpy()
    assert stats.kstest((right - left) * (bottom - top), stats.uniform(0.2, 0.8).cdf).pvalue > 0.01
    for low, high in ((left, right), (top, bottom)):
        free = (high - low) < 0.9
        assert stats.kstest(low[free] / (1 - high + low)[free], "uniform").pvalue > 0.01


@pytest.mark.parametrize("flip", [False, True])
def test_crop_matches_interpolation_by_scipy(flip: bool) -> None:
    x = pictures(4)
    box = torch.tensor([[0, 0, 1, 1], [0.2, 0.1, 0.9, 0.6], [0, 0.5, 0.3, 1], [0.4, 0.4, 0.5, 0.5]]).double()
    made = IDENTITY.apply(x, ImageParameters(box=box, flip=torch.full((4,), flip)))
    centres = (np.arange(9) + 0.5) / 9
    for image, view, (left, top, right, bottom) in zip(x.numpy(), made.numpy(), box.numpy(), strict=True):
        across = left + (right - left) * (centres[::-1] if flip else centres)
        places = np.meshgrid((top + (bottom - top) * centres) * 9 - 0.5, across * 9 - 0.5, indexing="ij")
        expected = [ndimage.map_coordinates(channel, places, order=1, mode="nearest") for channel in image]
        np.testing.assert_allclose(view, expected, atol=1e-12)


def test_a_flip_alone_mirrors_exactly() -> None:
    x = pictures(2)
    made = IDENTITY.apply(x, ImageParameters(flip=torch.tensor([True, False])))
    assert torch.equal(made, torch.stack([x[0].flip(-1), x[1]]))


@pytest.mark.parametrize("hue", [0.0, 0.1, -0.3])
def test_colour_steps_match_a_loop_over_pixels(hue: float) -> None:
    x = pictures(3) * 0.4 + 0.3  # away from the ends, where all would be clamped
    made = IDENTITY.apply(x, colour(3, brightness=1.1, contrast=0.8, saturation=0.7, hue=hue))
    luma = np.array([0.299, 0.587, 0.114])
    to_yiq = np.array([luma, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    for image, view in zip(x.numpy(), made.numpy(), strict=True):
        bright = 1.1 * image
        mean = np.tensordot(luma, bright, 1).mean()
        expected = np.empty_like(image)
        for row, column in np.ndindex(9, 9):
            y, i, q = to_yiq @ (mean + 0.8 * (bright[:, row, column] - mean))
            turned = (i + 1j * q) * np.exp(2j * np.pi * hue) * 0.7
            expected[:, row, column] = np.linalg.inv(to_yiq) @ [y, turned.real, turned.imag]
        np.testing.assert_allclose(view, expected, atol=1e-12)


def test_colour_closed_forms() -> None:
    x = pictures(2)
    luma = (x * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(dim=1, keepdim=True).expand_as(x)
    torch.testing.assert_close(IDENTITY.apply(x, colour(2, grey=True)), luma, atol=1e-7, rtol=0)
    torch.testing.assert_close(IDENTITY.apply(x, colour(2, saturation=0)), luma, atol=1e-7, rtol=0)
    torch.testing.assert_close(IDENTITY.apply(x, colour(2, hue=1)), x)
    torch.testing.assert_close(IDENTITY.apply(x, colour(2, brightness=0.5)), x / 2)
    flat = luma.mean(dim=(1, 2, 3), keepdim=True).expand_as(x)
    torch.testing.assert_close(IDENTITY.apply(x, colour(2, contrast=0)), flat, atol=1e-7, rtol=0)
    grey = pictures(2, channels=1)
    middle = grey.mean(dim=(1, 2, 3), keepdim=True)
    torch.testing.assert_close(IDENTITY.apply(grey, colour(2, contrast=0.5)), (grey + middle) / 2)
    torch.testing.assert_close(IDENTITY.apply(grey, colour(2, saturation=0, hue=0.2, grey=True)), grey)


def test_blur_matches_convolution_by_scipy() -> None:
    x = pictures(3)
    sigma = torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64)
    made = IDENTITY.apply(x, ImageParameters(blur=sigma))
    assert torch.equal(made[0], x[0])
    for image, view, deviation in zip(x[1:].numpy(), made[1:].numpy(), (0.5, 2.0), strict=True):
        kernel = np.exp(-0.5 * (np.arange(-1, 2) / deviation) ** 2)
        kernel = np.outer(kernel, kernel) / kernel.sum() ** 2
        expected = [ndimage.convolve(channel, kernel, mode="nearest") for channel in image]
        np.testing.assert_allclose(view, expected, atol=1e-12)
    thin = pictures(3, size=1)
    torch.testing.assert_close(IDENTITY.apply(thin, ImageParameters(blur=sigma)), thin)


def test_noise_has_the_stated_size_and_values_stay_in_range() -> None:
    x = torch.full((50, 1, 16, 16), 0.5)
    assert ImageViews(noise=0.1)(x, seeded()).std().item() == pytest.approx(0.1, rel=0.02)
    assert ImageViews(noise=0.1, strength=0.5)(x, seeded()).std().item() == pytest.approx(0.05, rel=0.02)
    wild = replace(EVERYTHING, noise=1.0, brightness=1.0, strength=2.0)(pictures(50), seeded())
    assert wild.min() >= 0
    assert wild.max() <= 1
    assert wild.isfinite().all()


def test_strength_scales_every_draw() -> None:
    x = pictures(2000, size=1)
    full, half = (replace(EVERYTHING, strength=strength).parameters(x, seeded()) for strength in (1.0, 0.5))
    both = (full.colour.hue != 0) & (half.colour.hue != 0)
    assert both.any()
    torch.testing.assert_close(half.colour.hue[both], full.colour.hue[both] / 2)
    torch.testing.assert_close(half.colour.contrast[both] - 1, (full.colour.contrast[both] - 1) / 2)
    torch.testing.assert_close(half.noise, full.noise / 2)
    for name, share in {"flip": 0.5, "blur": 0.5, "grey": 0.2, "hue": 0.8}.items():
        for drawn, strength in ((full, 1.0), (half, 0.5)):
            changed = getattr(drawn.colour if name in Colour._fields else drawn, name) != 0
            assert changed.double().mean().item() == pytest.approx(share * strength, abs=0.04)
    distances = [
        (replace(EVERYTHING, strength=s)(pictures(100), seeded())[:, 0] - pictures(100)).square().mean().item()
        for s in (0.1, 0.3, 0.6, 1.0)
    ]
    assert distances == sorted(distances)


def test_weak_views_change_intensity_by_a_tenth() -> None:
    drawn = ImageViews.weak().parameters(pictures(2000, channels=1, size=1), seeded())
    assert drawn.colour.brightness.min().item() == pytest.approx(0.9, abs=0.002)
    assert drawn.colour.brightness.max().item() == pytest.approx(1.1, abs=0.002)
    assert (drawn.colour.contrast == 1).all()
    assert drawn.box is drawn.flip is drawn.blur is None


def test_switching_a_step_off_leaves_the_other_draws() -> None:
    x = pictures()
    full, without = EVERYTHING.parameters(x, seeded()), replace(EVERYTHING, crop_area=1.0).parameters(x, seeded())
    assert without.box is None
    assert torch.equal(full.noise, without.noise)
    assert all(torch.equal(a, b) for a, b in zip(full.colour, without.colour, strict=True))


def test_repr_states_all_settings() -> None:
    for augment in (EVERYTHING, ImageViews.weak(0.3)):
        assert eval(repr(augment)) == augment
        assert all(f"{setting.name}=" in repr(augment) for setting in fields(augment))


def test_data_may_lie_on_another_device_than_the_generator() -> None:
    x = torch.empty(4, 3, 8, 8, device="meta")  # stands for an accelerator: mixing devices raises here too
    assert EVERYTHING(x, seeded()).device.type == "meta"
    if torch.cuda.is_available():
        x = pictures(dtype=torch.float32)
        torch.testing.assert_close(EVERYTHING(x.cuda(), seeded()).cpu(), EVERYTHING(x, seeded()))


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.int32), TypeError, "x must be a floating point tensor, got torch.int32"),
        (torch.full((2, 3, 4, 4), 255.0), ValueError, r"x must be in \[0, 1\], got values in \[255, 255\]"),
        (torch.full((2, 3, 4, 4), float("nan")), ValueError, r"x must be in \[0, 1\]"),
        (torch.zeros(2, 4, 4), ValueError, r"x must have shape \(B, 1, H, W\)"),
        (torch.zeros(2, 2, 4, 4), ValueError, r"got \(2, 2, 4, 4\)"),
        (torch.zeros(0, 3, 4, 4), ValueError, "B >= 1"),
    ],
)
def test_bad_images_are_refused(x: Tensor, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        EVERYTHING(x, seeded())


def test_bad_calls_are_refused() -> None:
    with pytest.raises(TypeError, match=r"generator must be a torch\.Generator, got int"):
        EVERYTHING(pictures(), 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="x must be a floating point tensor, got ndarray"):
        EVERYTHING(pictures().numpy(), seeded())
    with pytest.raises(ValueError, match="n_views must be at least 1, got 0"):
        EVERYTHING(pictures(), seeded(), n_views=0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"strength": -1}, "strength must be at least 0 and finite, got -1"),
        ({"noise": float("nan")}, "noise must be finite, got nan"),
        ({"crop_area": 0}, r"crop_area must be in \(0, 1\], got 0"),
        ({"crop_area": 1.5}, "crop_area must be in"),
        ({"crop_ratio": 0.5}, "crop_ratio must be at least 1, got 0.5"),
        ({"flip": 1.5}, "flip is a probability and must be at most 1, got 1.5"),
    ],
)
def test_bad_settings_are_refused(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageViews(**setting)
