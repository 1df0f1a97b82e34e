"""FreeCOS: order of intensities, style and losses against the authors' numbers, identities, and the step they serve."""

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore import losses
from cl_explore.papers.freecos import method, panel, study, world
from cl_explore.papers.freecos.method import Pixels

CASES = {
    case["name"]: case
    for case in json.loads((Path(__file__).parents[1] / "golden" / "freecos.json").read_text())["cases"]
}
SETS = ("synthetic_pos", "real_pos", "real_neg", "synthetic_neg")
CLOSE = {"atol": 1e-9, "rtol": 1e-9}
some = settings(max_examples=15, deadline=None)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def contrast(synthetic_pos: Tensor, real_pos: Tensor, real_neg: Tensor, synthetic_neg: Tensor, **options) -> Tensor:
    return method.cmcl(Pixels(synthetic_pos, synthetic_neg), Pixels(real_pos, real_neg), **options)


@pytest.mark.parametrize("name", ["cmcl_equal", "cmcl_more_real_positives", "dice"])
def test_losses_and_gradients_are_those_of_the_authors(name: str) -> None:
    case = CASES[name]
    given = {
        key: torch.tensor(rows, dtype=torch.float64).requires_grad_(key != "target")
        for key, rows in case["inputs"].items()
    }
    value = method.dice(*given.values()) if name == "dice" else contrast(**given)
    torch.testing.assert_close(value.item(), case["loss"], **CLOSE)
    value.backward()
    for key, grad in case["grad"].items():
        if grad is None:
            assert given[key].grad is None
        else:
            torch.testing.assert_close(given[key].grad, torch.tensor(grad, dtype=torch.float64), **CLOSE)


@pytest.mark.parametrize("name", ["liot_uint8_12x11", "fda_L0.0", "fda_L0.1"])
def test_what_the_network_sees_is_what_the_authors_made(name: str) -> None:
    case = CASES[name]
    given = [torch.tensor(rows, dtype=torch.float64) for rows in case["inputs"].values()]
    found = world.liot(*given) if "liot" in name else world.style_swap(*given, case["params"]["L"])
    torch.testing.assert_close(found.double(), torch.tensor(case["output"], dtype=torch.float64), **CLOSE)


@some
@given(st.integers(0, 1000), st.floats(0.2, 4))
def test_order_of_intensities_is_the_same_for_any_rising_map(seed: int, power: float) -> None:
    image = torch.randint(1, 255, (2, 9, 14), generator=torch.Generator().manual_seed(seed)).double()
    code = world.liot(image)
    rising = (torch.arange(256).double() / 255) ** power  # a table: a power may differ in its last bit by place
    torch.testing.assert_close(world.liot(rising[image.long()]), code)
    inner = world.liot(torch.full((20, 20), 7))[:, 8:-8, 8:-8]
    assert not inner.any()
    distinct = torch.randperm(20 * 20, generator=torch.Generator().manual_seed(seed)).view(20, 20) + 1
    one, other = (world.liot(x)[:, 8:-8, 8:-8] for x in (distinct, 500 - distinct))
    assert (one.int() + other.int() == 255).all(), "the complement swaps the bits"


@some
@given(st.integers(0, 1000), st.floats(0, 1), st.integers(5, 9), st.integers(5, 9))
def test_style_is_amplitude_and_the_drawing_is_phase(seed: int, window: float, height: int, width: int) -> None:
    source, target = drawn(2, 3, height, width, seed=seed)
    torch.testing.assert_close(world.style_swap(source, source, window), source)
    found = world.style_swap(source, target, window)
    torch.testing.assert_close(found.mean((1, 2)).abs(), target.mean((1, 2)).abs())
    odd, style = drawn(2, 3, 7, 9, seed=seed)
    ours, theirs, made = (torch.fft.fft2(x) for x in (odd, style, world.style_swap(odd, style, 0.65)))
    torch.testing.assert_close(made, torch.polar(theirs.abs(), ours.angle()))


def test_cmcl_is_infonce_with_the_negatives_named() -> None:
    query, key, queue = drawn(6, 5), drawn(6, 5, seed=1), drawn(8, 5, seed=2)
    torch.testing.assert_close(
        contrast(query, key, queue[:5], queue[5:]), losses.moco(query, key, queue, temperature=0.1)
    )
    flat = torch.ones(4, 3)
    assert contrast(flat, flat, flat, flat[:3]).item() == pytest.approx(math.log(8), rel=1e-6)
    assert contrast(flat, flat, flat[:0], flat[:0]).item() == 0
    torch.testing.assert_close(contrast(query, key, queue, queue, queue=4), contrast(query, key, queue[:2], queue[:2]))
    live = queue.clone().requires_grad_()
    contrast(query, key, live, live[:1], negatives="live").backward()
    assert live.grad.norm() > 0
    empty = torch.zeros(3, 3, dtype=torch.float64)
    assert method.dice(empty, empty).item() == pytest.approx(-1)
    assert method.dice(empty + 1, empty + 1).item() == pytest.approx(0, abs=1e-5)


def test_sure_pixels_are_drawn_from_both_sides_of_each_image() -> None:
    features = torch.arange(3 * 16.0).view(3, 1, 4, 4)
    foreground = torch.full((3, 1, 16), 0.5)
    foreground[0, 0, :10], foreground[0, 0, 10:] = 1, 0
    foreground[1, 0, :12], foreground[1, 0, 12:] = 1, 0  # four of background are too few
    found = method.sure_pixels(features, foreground.view(3, 1, 4, 4), torch.Generator().manual_seed(0))
    assert [len(side) for side in found] == [3, 1]
    assert (found.positive < 10).all()
    assert ((found.negative >= 10) & (found.negative < 16)).all()
    assert [*found.positive[:, 0]] == sorted(found.positive[:, 0])


TRAIN, TEST = world.world("walks", 0, number=8, unseen=4, side=32)


def made(**options: object) -> method.FreeCOS:
    torch.manual_seed(0)
    return method.FreeCOS(method.UNet(4, 4, domains=2), method.Projector(4, 8, domains=2), **options)


def test_each_term_teaches_whom_it_should() -> None:
    batch = TRAIN.batch(torch.arange(8))
    whole = made(confidence=0.49)  # so early, pixels are sure of little
    step = whole.step(batch, torch.Generator().manual_seed(1))
    assert step.metrics["pairs"] > 0
    names = {"dice", "bce", "contrast", "adversary", "discriminator"}
    torch.testing.assert_close(step.loss, sum(step.metrics[name] for name in names))
    off = made(passes_real=False, contrast=0, adversary=0).step(batch, torch.Generator().manual_seed(1))
    assert set(off.metrics) == {"dice", "bce", "pairs"}
    torch.testing.assert_close(off.metrics["dice"], step.metrics["dice"])

    drawn, real = (torch.rand(2, 1, 32, 32).requires_grad_() for _ in "12")
    terms = whole._against(whole.discriminator, drawn, real)
    terms["adversary"].backward(retain_graph=True)
    assert real.grad.norm() > 0
    assert all(weight.grad is None for weight in whole.discriminator.parameters())
    real.grad = None
    terms["discriminator"].backward()
    assert real.grad is drawn.grad is None
    assert all(weight.grad is not None for weight in whole.discriminator.parameters())
    for _ in range(48):
        whole.after_step()
    torch.testing.assert_close(whole._against(whole.discriminator, drawn, real)["adversary"], terms["adversary"] / 2)


def test_real_images_have_statistics_of_their_own() -> None:
    net, x = method.UNet(4, 4, domains=2), torch.randn(2, 4, 8, 8)
    net(x, real=True)
    drawn, real = net.blocks[0].norms
    assert drawn.running_mean.abs().sum() == 0 < real.running_mean.abs().sum()
    assert made().predict(TEST.x["real"]).shape == (4, 1, 32, 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: contrast(*[torch.ones(3, 4)] * 3, torch.ones(3, 5)), r"synthetic.negative must have shape \(n, 4\)"),
        (
            lambda: contrast(torch.ones(0, 4), *[torch.ones(3, 4)] * 3),
            r"synthetic.positive must have shape \(N, D\), no size 0",
        ),
        (lambda: method.dice(torch.ones(3), torch.ones(4)), r"mask must have the shape of probability, \(3,\)"),
        (lambda: world.liot(torch.ones(4, 4), 9), "reach be up to 8, got shape"),
        (lambda: world.style_swap(torch.ones(4, 4), torch.ones(4, 5), 0.1), "target must have the shape of source"),
        (lambda: method.UNet(1)(torch.ones(2, 1, 10, 12)), "sides divisible by 4"),
        (lambda: made(passes_real=False), "contrast and adversary must be 0 if no real image passes, got 0.04, 0.25"),
        (lambda: world.world("retinas", 0), "unknown world 'retinas'; did you mean 'retina'"),
    ],
)
def test_wrong_arguments_are_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_drawings_are_dark_where_their_mask_is() -> None:
    generator = torch.Generator().manual_seed(0)
    drawing, mask = world.drawings(5, 32, generator)
    assert ((mask.mean((1, 2, 3)) >= 0.03) & (mask.mean((1, 2, 3)) <= 0.25)).all()
    for picture, vessel in zip(drawing, mask > 0, strict=True):
        assert picture[vessel].max() < picture[~vessel].min()
    words = [world.grown(2, generator) for _ in range(20)]
    assert all(word.count("[") == word.count("]") and "F[-F]F" not in word.replace("+", "") for word in words)
    line = world.painted(torch.tensor([[4.5, 2.0, 4.5, 6.0, 0.9]]), 8)
    assert line.nonzero().tolist() == [[4, column] for column in range(2, 6)]


def test_the_retina_is_read_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    if not world.RETINA.elsewhere:
        with pytest.raises(FileNotFoundError, match=r"pip install scikit-image(.|\n)*retina.jpg"):
            world.world("retina", 0)
    (tmp_path / "skimage" / "data").mkdir(parents=True)
    picture = Image.new("RGB", (400, 400), (10, 60, 250))
    picture.paste((10, 200, 250), (200, 0, 400, 400))
    picture.save(tmp_path / "skimage" / "data" / "retina.jpg")
    train, test = world.world("retina", 0, number=3, unseen=2, side=32)
    torch.testing.assert_close(train.x["real"].mean().item(), 60 / 255, atol=0.02, rtol=0)
    torch.testing.assert_close(test.x["real"].mean().item(), 200 / 255, atol=0.02, rtol=0)
    assert not test.x["mask"].any()


def test_the_study_scores_what_is_found() -> None:
    mask = torch.tensor([[[[1.0, 1, 0, 0]]]])
    assert study.f1(mask > 0, mask) == 1
    assert study.f1(torch.tensor([[[[True, False, True, False]]]]), mask) == pytest.approx(0.5)
    assert study.f1(mask < 0, mask) == 0
    assert study.overlap(mask > 0, mask.flip(-1) > 0) == 1
    rows = study.run(0, number=8, unseen=3, side=24, epochs=1)
    assert [row["method"] for row in rows][:3] == ["raw input", study.UNTRAINED, study.RAW]
    assert all({study.F1, study.DARK, study.LOST} <= set(row) for row in rows)
    assert all(-1 <= row[study.NEAR] <= 1 for row in rows[1:])


def test_the_panel_changes_raw_findings_with_gamma_and_hardly_those_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "EPOCHS", 2)
    monkeypatch.setattr(panel, "SEEN", 24)
    panel.learn.cache_clear()
    shown = panel.VesselPanel(window=0.0, gamma=1.0)
    assert len(shown.picture.alt) <= 200
    before = dict(shown.picture.readout)
    assert before["pixels changed, raw intensities"] == before["pixels changed, their order (LIOT)"] == "0.0%"
    assert before["amplitudes swapped"] == "0%"
    made, tested, _ = shown.picture.charts
    source = made.marks[0].pixels.reshape(4, 32, 32)
    shown.knobs["window"].value, shown.knobs["gamma"].value = 0.5, 2.2
    after = {name: float(value.rstrip("%")) for name, value in dict(shown.picture.readout).items()}
    assert after["amplitudes swapped"] == 100
    assert after["pixels changed, raw intensities"] > after["pixels changed, their order (LIOT)"]
    made, darker, _ = shown.picture.charts
    assert (made.marks[0].pixels.reshape(4, 32, 32)[2] != source[2]).any()
    assert darker.marks[0].pixels.reshape(4, 32, 32)[0].mean() < tested.marks[0].pixels.reshape(4, 32, 32)[0].mean()
    shown.knobs["image"].value = 2
    assert (shown.picture.charts[0].marks[0].pixels.reshape(4, 32, 32)[0] != source[0]).any()
    panel.learn.cache_clear()
    with pytest.raises(ValueError, match="gamma must be one of"):
        panel.VesselPanel(gamma=1.1)
