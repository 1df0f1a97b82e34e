import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from static_pages import unpacked

from cl_explore import losses
from cl_explore.widgets import TemperaturePanel
from cl_explore.widgets.marks import Bars, Points, Rule
from cl_explore.widgets.temperature_panel import (
    COUNTS,
    CURVE,
    decoupling,
    limits,
    measures,
    similarities,
)

cosine = st.floats(-1, 1)
negatives = st.lists(cosine, min_size=2, max_size=40).map(np.array)


@settings(deadline=None)
@given(positive=cosine, negatives=negatives, temperature=st.floats(0.03, 3))
def test_measures_are_those_of_the_softmax_over_the_negatives(
    positive: float, negatives: np.ndarray, temperature: float
) -> None:
    now = {name: value[0] for name, value in measures(positive, negatives, [temperature]).items()}
    weights = softmax(negatives / temperature)
    np.testing.assert_allclose(now["weights"], weights, atol=1e-12)
    np.testing.assert_allclose(now["weights"].sum(), 1)
    kept = weights[weights > 0]
    np.testing.assert_allclose(now["entropy"], -(kept * np.log(kept)).sum(), atol=1e-9)
    with_positive = softmax(np.append(negatives, positive) / temperature)
    np.testing.assert_allclose(now["q"], with_positive[:-1].sum(), atol=1e-12)
    hard = int(np.ceil(0.1 * len(negatives)))
    np.testing.assert_allclose(now["hard"], np.sort(weights)[::-1][:hard].sum(), atol=1e-12)


def test_pull_is_the_positives_share_of_the_lengths_of_all_pair_forces() -> None:
    z = torch.nn.functional.normalize(
        torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    )
    anchor = z[0].clone().requires_grad_()
    lengths = []
    for j in range(1, 7):  # the pair force: the gradient of the anchor through the similarity with one point alone
        s = torch.stack([anchor.detach() @ z[k] if k != j else anchor @ z[k] for k in range(1, 7)])
        (gradient,) = torch.autograd.grad(-(s / 0.2).log_softmax(0)[0], anchor)
        lengths.append((gradient - (gradient @ z[0]) * z[0]).norm())  # along the sphere
    cosines = (z[1:] @ z[0]).numpy()
    pull = measures(cosines[0], cosines[1:], [0.2])["pull"][0]
    assert pull == pytest.approx(float(lengths[0] / sum(lengths)), abs=1e-9)


@pytest.mark.parametrize("positive", [0.8, 0.4, 0.0])
def test_limits_are_where_the_measures_go(positive: float) -> None:
    s = np.array([0.4, -0.2, 0.4, 0.1, -0.7])  # two are equally near
    for name, ends in limits(positive, s, 0.3).items():
        reached = measures(positive, s, [1e-3, 1e4], 0.3)[name]
        np.testing.assert_allclose(ends, reached, atol=2e-4, err_msg=name)


def test_decoupling_passes_through_q_and_grows_with_the_negatives() -> None:
    s = np.linspace(-0.5, 0.6, 100)
    curve = decoupling(0.8, s, 0.2)
    assert (np.diff(curve) > 0).all()
    assert np.interp(np.log(100), np.log(COUNTS), curve) == pytest.approx(measures(0.8, s, [0.2])["q"][0], abs=2e-3)
    twice = measures(0.8, np.tile(s, 2), [0.2])["q"][0]  # the same similarities twice
    assert np.interp(np.log(200), np.log(COUNTS), curve) == pytest.approx(twice, abs=2e-3)


def test_entropy_strictly_rises_with_temperature_between_its_limits() -> None:
    s = np.linspace(-0.5, 0.6, 12)
    entropy = measures(0.8, s, CURVE)["entropy"]
    assert (np.diff(entropy) > 0).all()
    cold, hot = measures(0.8, s, [1e-3, 1e3])["entropy"]
    assert cold == pytest.approx(0, abs=1e-6)
    assert hot == pytest.approx(np.log(12), abs=1e-6)


def test_q_is_the_share_of_the_decoupled_gradient_that_nt_xent_keeps() -> None:
    # NT-Xent = softplus(DCL) for each anchor, so its gradient is sigmoid(DCL) = q times that of DCL
    z = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    decoupled = losses.dcl(z, temperature=0.3, reduction="none")
    for anchor in range(12):
        q = measures(*similarities(z, anchor), [0.3])["q"][0]
        assert q == pytest.approx(torch.sigmoid(decoupled[anchor]).item(), abs=1e-6)


def test_similarities_of_an_anchor_leave_out_its_own_sample() -> None:
    z = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(1))
    unit = z / z.norm(dim=2, keepdim=True)
    positive, others = similarities(z, 5)  # sample 1, view 2: the next view is 0
    assert positive == pytest.approx((unit[1, 2] @ unit[1, 0]).item(), abs=1e-6)
    expected = torch.cat([unit[:1], unit[2:]]).flatten(0, 1) @ unit[1, 2]
    np.testing.assert_allclose(others, expected, atol=1e-6)


def weights_of(panel: TemperaturePanel) -> np.ndarray:
    return next(mark for mark in panel.picture.charts[1].marks if isinstance(mark, Bars)).height


def test_weights_are_drawn_hardest_first() -> None:
    panel = TemperaturePanel([0.1, 0.9, -0.3], 0.5, temperature=0.2)
    np.testing.assert_allclose(weights_of(panel), softmax(np.array([0.9, 0.1, -0.3]) / 0.2), rtol=1e-6)
    assert dict(panel.picture.readout)["largest share"] == f"{weights_of(panel)[0]:.1%}"


def test_sliders_set_from_code_change_what_is_drawn() -> None:
    z = torch.randn(8, 2, 4, generator=torch.Generator().manual_seed(2))
    panel = TemperaturePanel(z=z, temperature=1.0)
    flat = weights_of(panel)
    panel.temperature.value = 0.1
    sharp = weights_of(panel)
    assert sharp[0] > flat[0]
    panel.anchor.value = 9
    (points,) = (mark for mark in panel.picture.charts[0].marks if isinstance(mark, Points))
    np.testing.assert_allclose(points.y, np.sort(similarities(z, 9)[1])[::-1], rtol=1e-6)
    assert panel.anchor.max == 15
    before = dict(panel.picture.readout)["hardest 2 get"]
    panel.hardest.value = 0.5
    after = dict(panel.picture.readout)["hardest 7 get"]
    assert float(after.rstrip("%")) > float(before.rstrip("%"))


def test_the_line_at_the_temperature_is_dragged() -> None:
    panel = TemperaturePanel([0.1, 0.2], 0.5)
    (rule,) = (mark for mark in panel.picture.charts[2].marks if isinstance(mark, Rule))
    assert (rule.x, rule.drag) == (0.5, "temperature")
    panel.canvas.moved = {"knobs": {"temperature": 0.1}, "count": 1}
    assert panel.temperature.value == pytest.approx(0.1)


def test_given_similarities_may_be_a_list_an_array_or_a_tensor_with_gradient() -> None:
    drawn = [
        weights_of(TemperaturePanel(kind, 0.7))
        for kind in ([0.5, 0.25], np.array([0.5, 0.25]), torch.tensor([0.5, 0.25], requires_grad=True))
    ]
    np.testing.assert_allclose(drawn, [drawn[0]] * 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give either negatives with their positive, or embeddings z"),
        ({"negatives": [0.1, 0.2]}, "give either"),
        ({"negatives": [0.1, 0.2], "positive": 0.5, "z": torch.zeros(2, 2, 2)}, "give either"),
        ({"negatives": [0.1], "positive": 0.5}, r"negatives must be at least 2 similarities, \(K,\), got shape \(1,\)"),
        ({"negatives": [0.1, float("nan")], "positive": 0.5}, "similarities must be finite"),
        ({"negatives": [0.1, 0.2], "positive": float("inf")}, "positive must be finite"),
        ({"negatives": [0.1, 0.2], "positive": 0.5, "temperature": 0.0}, "temperature must be between 0.03 and 3.0"),
        ({"negatives": [0.1, 0.2], "positive": 0.5, "hardest": 0.0}, "hardest must be between 0.01 and 1, got 0.0"),
        ({"z": torch.randn(2, 3)}, r"z must be floats \(B, V, D\).*got torch.float32 of shape \(2, 3\)"),
        ({"z": torch.zeros(4, 2, 3, dtype=torch.int64)}, "got torch.int64"),
        ({"z": torch.full((4, 2, 3), float("nan"))}, "z must be finite"),
    ],
)
def test_bad_input_is_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemperaturePanel(**arguments)


@pytest.mark.parametrize(
    "negatives",
    [
        torch.tensor([0.5, 0.25], dtype=torch.bfloat16),
        np.array([0.25, 0.5])[::-1],
        np.array([0.5, 0.25], ">f4"),
        [0.5, 0.25],
    ],
)
def test_negatives_of_any_kind_are_shown(negatives: object) -> None:
    panel = TemperaturePanel(negatives, positive=np.float32(0.75))
    np.testing.assert_allclose(panel._of.negatives, [0.5, 0.25])
    assert panel._of.positive == 0.75


def test_a_page_without_a_kernel_begins_at_the_temperature_that_was_given() -> None:
    frames, (slider,) = unpacked(TemperaturePanel([0.1, 0.2], positive=0.5, temperature=0.123).static().data)
    assert slider["stops"][slider["start"]] == "0.123"
    assert len(frames) == 61
