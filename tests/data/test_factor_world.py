"""The factor world: what is drawn, what a second view shares, and what is painted."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore import data
from cl_explore.data import factor_world, rendering
from cl_explore.data.factor_world import PERIODS, PRESETS, RANGES, SHAPES, STYLES, alpha, render, sample, vary

# Areas of d < 0 in units of the squared scale: of the triangle with inradius .6, of the star's curve r(angle), ...
AREAS = {
    "disc": math.pi, "square": 1.7**2, "triangle": 3 * math.sqrt(3) * 0.6**2, "ring": math.pi * (1 - 0.5**2),
    "cross": 4 * 0.66 - 0.66**2, "bar": 2.2 * 0.8, "star": math.pi * (0.7**2 + 0.3**2 / 2), "half-disc": math.pi / 2,
}  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("preset", PRESETS)
def test_draws_fill_the_stated_ranges(preset: str) -> None:
    f = sample(4000, seeded(), preset)
    for name, (low, high) in (RANGES | PRESETS[preset]).items():
        if name in ("shape", "style"):
            assert f[name].dtype == torch.int64
            assert f[name].unique().tolist() == list(range(low, high))
        else:
            span = high - low
            assert low <= f[name].min() <= low + 0.01 * span + 1e-6
            assert high + 1e-6 >= f[name].max() >= high - 0.01 * span - 1e-6
            assert f[name].mean().item() == pytest.approx((low + high) / 2, abs=0.03 * span + 1e-6)


def test_fixed_factors_leave_the_other_draws() -> None:
    free = sample(50, seeded())
    hue = torch.linspace(0, 1, 50)
    fixed = sample(50, seeded(), shape=2, hue=hue)
    assert (fixed["shape"] == 2).all()
    assert torch.equal(fixed["hue"], hue)
    assert all(torch.equal(fixed[name], free[name]) for name in free if name not in ("shape", "hue"))


@given(
    changed=st.sets(st.sampled_from(sorted(RANGES))),
    strength=st.floats(0, 1),
    preset=st.sampled_from(sorted(PRESETS)),
    by_keep=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_vary_keeps_bit_for_bit_and_stays_in_range(
    changed: set[str], strength: float, preset: str, by_keep: bool
) -> None:
    f = sample(40, seeded(), preset)
    lists = {"keep": set(RANGES) - changed} if by_keep else {"resample": changed}
    view = vary(f, seeded(1), **lists, strength=strength, preset=preset)
    assert list(view) == list(f)
    for name, (low, high) in (RANGES | PRESETS[preset]).items():
        assert view[name].dtype == f[name].dtype
        if name not in changed or strength == 0:
            torch.testing.assert_close(view[name], f[name], rtol=0, atol=0 if name not in changed else 1e-6)
        assert view[name].min() >= low - 1e-6
        assert view[name].max() <= high + 1e-6


def test_vary_at_full_strength_is_a_new_draw() -> None:
    f, fresh = sample(200, seeded()), sample(200, seeded(1))
    view = vary(f, seeded(1), resample=["shape", "x", "hue"])
    assert torch.equal(view["shape"], fresh["shape"])
    torch.testing.assert_close(view["x"], fresh["x"])
    assert torch.equal(vary(f, seeded(1), resample="shape")["shape"], view["shape"]), "one name needs no list"
    torch.testing.assert_close(view["hue"], fresh["hue"], atol=1e-6, rtol=0)


def test_vary_strength_is_a_share_of_the_way() -> None:
    f, fresh = sample(4000, seeded(), "shortcut"), sample(4000, seeded(1), "shortcut")
    view = vary(f, seeded(1), keep=[], strength=0.3, preset="shortcut")
    torch.testing.assert_close(view["x"], f["x"] + 0.3 * (fresh["x"] - f["x"]))
    changed = (view["shape"] != f["shape"]).float().mean().item()
    assert changed == pytest.approx(0.3 * 7 / 8, abs=0.02)
    for name, period in PERIODS.items():
        way = torch.remainder(view[name] - f[name] + period / 2, period) - period / 2
        assert way.abs().max() <= 0.3 * period / 2 + 1e-5, "angles go the shorter way round"
        whole = torch.remainder(fresh[name] - f[name] + period / 2, period) - period / 2
        torch.testing.assert_close(way, 0.3 * whole, atol=1e-5, rtol=0)


def test_pictures_depend_on_their_factors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    f = sample(700, seeded(), "shortcut")
    whole = render(f, 15)
    for chunk in (1, 7, 100, 1024):
        monkeypatch.setattr(rendering, "CHUNK", chunk)
        part = {name: values[:40] for name, values in f.items()} if chunk == 1 else f
        assert torch.equal(render(part, 15), whole[: len(part["x"])])
    assert torch.equal(alpha(f, 15)[3:4], alpha({name: values[3:4] for name, values in f.items()}, 15))


def test_noise_follows_the_generator() -> None:
    f = sample(600, seeded())
    clean, noisy = render(f, 16), render(f, 16, 0.03, seeded(2))
    assert torch.equal(noisy, render(f, 16, 0.03, seeded(2)))
    inside = (clean > 0.15) & (clean < 0.85)  # where nothing is clipped
    assert (noisy - clean)[inside].std().item() == pytest.approx(0.03, rel=0.01)
    assert noisy.min() >= 0
    assert noisy.max() <= 1
    assert clean.min() >= 0
    assert clean.max() <= 1


@pytest.mark.parametrize("shape", range(len(SHAPES)), ids=SHAPES)
def test_cover_has_the_area_of_the_shape_wherever_it_stands(shape: int) -> None:
    f = sample(60, seeded(), shape=shape, scale=0.5)  # far from every border
    f["rot"] = torch.linspace(0, 2 * math.pi, 60)
    cover = alpha(f, 64)
    assert cover.min() >= 0
    assert cover.max() <= 1
    area = cover.mean(dim=(1, 2)) * 4
    assert ((area / (0.25 * AREAS[SHAPES[shape]]) - 1).abs() < 0.025).all()
    assert area.std() / area.mean() < 0.003


def test_object_and_background_have_their_colours() -> None:
    colours = {0.0: (1, 0.1, 0.1), 1 / 3: (0.1, 1, 0.1), 0.5: (0.1, 1, 1), 5 / 6: (1, 0.1, 1)}
    for hue, expected in colours.items():
        f = sample(1, seeded(), shape=0, x=0, y=0, scale=0.6, hue=hue, bright=1, style=0, bhue=hue, bgscale=0.5)
        picture = render(f, 33)[0]
        torch.testing.assert_close(picture[:, 16, 16], torch.tensor(expected).float(), atol=2e-3, rtol=0)
        ground = 0.5 * 0.725 * 0.75 * torch.where(torch.tensor(expected) == 1, 1.0, 0.4)
        torch.testing.assert_close(picture[:, 0, 0], ground, atol=2e-3, rtol=0)


def test_positions_and_rotation_have_the_stated_direction() -> None:
    right_and_down = alpha(sample(1, seeded(), shape=0, x=0.4, y=0.2, scale=0.3, rot=0), 40)[0]
    rows, columns = torch.meshgrid(*[(torch.arange(40) + 0.5) / 20 - 1] * 2, indexing="ij")
    assert (columns * right_and_down).sum() / right_and_down.sum() == pytest.approx(0.4, abs=0.01)
    assert (rows * right_and_down).sum() / right_and_down.sum() == pytest.approx(0.2, abs=0.01)
    lying, turned = alpha(sample(2, seeded(), shape=5, x=0, y=0, scale=0.5, rot=torch.tensor([0, math.pi / 2])), 40)
    assert (lying * columns.abs()).sum() > 1.5 * (lying * rows.abs()).sum()
    torch.testing.assert_close(turned, lying.T, atol=1e-4, rtol=0)


def test_styles_differ_as_named() -> None:
    fixed = {"x": 0, "y": 0, "scale": 0.01, "bang": 0, "phase": 0, "freq": 2, "bhue": 0, "bgscale": 1}
    flat, gradient, stripes, checker = render(sample(4, seeded(), style=torch.arange(4), **fixed), 32)[:, 0, 2] / 0.75
    assert flat.std() == pytest.approx(0, abs=1e-6)
    assert flat[0] == pytest.approx(0.725, abs=1e-5)
    assert (gradient.diff() > 0).all()
    assert gradient[-1] == pytest.approx(1, abs=0.02)
    assert len(stripes.unique()) > 8
    assert stripes[4] == pytest.approx(1, abs=0.03), "sin(2 pi w) is highest at w = -.75, pixel 4 of 32"
    assert sorted({round(value, 3) for value in checker.tolist()}) == [0.45, 1.0]
    assert len(STYLES) == 4


def test_the_data_set_holds_the_pictures_as_bytes_with_all_factors() -> None:
    loaded = data.load("factor_world", n=1100, size=12, preset="shortcut", noise=0.0)
    assert loaded.x.dtype == torch.uint8
    assert loaded.x.shape == (1100, 3, 12, 12)
    assert loaded.class_names == SHAPES
    assert set(loaded.factors) == set(RANGES)
    assert torch.equal(loaded.labels, loaded.factors["shape"])
    assert (loaded.batch(loaded.index).x - render(loaded.factors, 12)).abs().max() <= 0.5 / 255 + 1e-6


def test_the_shape_can_be_read_off_the_pictures() -> None:
    from sklearn.linear_model import LogisticRegression

    cover = alpha(sample(900, seeded(), "patches"), 12).flatten(1).numpy()
    shape = sample(900, seeded(), "patches")["shape"].numpy()
    probe = LogisticRegression(max_iter=300).fit(cover[:600], shape[:600])
    assert probe.score(cover[600:], shape[600:]) > 0.9
    shuffled = shape[torch.randperm(900, generator=seeded()).numpy()]
    assert probe.score(cover[600:], shuffled[600:]) < 0.2


def test_bad_input_is_refused() -> None:
    f = sample(3, seeded())
    with pytest.raises(ValueError, match="unknown preset 'easier'; did you mean 'easy'"):
        sample(3, seeded(), "easier")
    with pytest.raises(ValueError, match="unknown factor 'colour'"):
        sample(3, seeded(), colour=1)
    with pytest.raises(ValueError, match=r"shape must be in \[0, 8\), got 8 to 8"):
        sample(3, seeded(), shape=8)
    with pytest.raises(ValueError, match=r"shape must be whole numbers, got 2\.5"):
        sample(3, seeded(), shape=2.5)
    with pytest.raises(ValueError, match="hue must be finite, got nan"):
        sample(3, seeded(), hue=float("nan"))
    with pytest.raises(ValueError, match="f must hold every factor, but shape is missing"):
        vary({name: value for name, value in f.items() if name != "shape"}, seeded(), keep=["x"])
    with pytest.raises(ValueError, match=r"hue must be one number or \(3,\), got shape \(2,\)"):
        sample(3, seeded(), hue=torch.zeros(2))
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        sample(0, seeded())
    with pytest.raises(ValueError, match="give either keep or resample, got neither"):
        vary(f, seeded())
    with pytest.raises(ValueError, match="give either keep or resample, got both"):
        vary(f, seeded(), keep=["x"], resample=["y"])
    with pytest.raises(ValueError, match="unknown factor 'shapes'; did you mean 'shape'"):
        vary(f, seeded(), keep=["shapes"])
    with pytest.raises(ValueError, match=r"strength must be in \[0, 1\], got 2"):
        vary(f, seeded(), keep=["x"], strength=2)
    with pytest.raises(ValueError, match=r"generator must be given to draw the noise of 0\.1"):
        render(f, 16, 0.1)
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        render(f, 16, -1)
    with pytest.raises(ValueError, match="size must be at least 4 pixels, got 2"):
        render(f, 2)
    with pytest.raises(ValueError, match="unknown preset 'video'"):
        factor_world.vary(f, seeded(), keep=["x"], preset="video")
