import numpy as np
import pytest
import torch

from cl_explore.papers.sogclr_individual_temperature import panel as module
from cl_explore.papers.sogclr_individual_temperature.panel import (
    SHOTS,
    Course,
    TauPanel,
    tau_picture,
    train_temperatures,
)


@pytest.fixture(scope="module")
def course() -> Course:
    return train_temperatures(0.2, 0.03, 10.0)


def test_frequent_classes_learn_higher_temperatures(course: Course) -> None:
    assert course.temperature.shape == course.nats.shape == (len(SHOTS), len(course.labels))
    np.testing.assert_allclose(course.temperature[0], 0.1)
    assert course.temperature.min() >= 0.05
    assert course.temperature.max() <= 1
    picture = tau_picture({"rho": 0.2, "step": 80}, course)
    assert float(dict(picture.readout)["rank correlation of class size and class-mean τ"]) > 0.5
    means = picture.charts[0].marks[-1]
    assert means.x[0] == 60
    assert means.x[-1] == 6


def test_temperatures_settle_where_the_negatives_carry_rho_nats(course: Course) -> None:
    assert (course.nats > 0).all()  # a divergence from uniformity
    assert course.nats[0].mean() > 1
    assert course.nats[-1].mean() == pytest.approx(0.2, abs=0.05)


def test_a_training_is_the_same_every_time_and_leaves_the_global_generator_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST", 12)
    before = torch.get_rng_state()
    first, second = (train_temperatures(0.4, 0.03, 4.0) for _ in range(2))
    np.testing.assert_array_equal(first.temperature, second.temperature)
    assert torch.equal(before, torch.get_rng_state())


def test_class_means_are_taken_over_the_samples_of_a_class(course: Course) -> None:
    for label in range(10):
        own = course.temperature[:, course.labels == label].mean(1)
        np.testing.assert_allclose(course.means[:, label], own, rtol=1e-5)


def temperatures(panel: TauPanel) -> np.ndarray:
    return panel.picture.charts[0].marks[0].y


def test_steps_are_scrubbed_without_training_and_a_new_rho_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 12)
    panel = TauPanel(ratio=4.0)
    panel.knobs["step"].value = 0
    np.testing.assert_allclose(temperatures(panel), 0.1)
    assert dict(panel.picture.readout)["rank correlation of class size and class-mean τ"] == "none"
    panel.knobs["step"].value = 80
    cold = temperatures(panel).mean()
    panel.knobs["rho"].value = 0.8
    panel.wait()
    assert temperatures(panel).mean() < cold
    assert panel.picture.charts[2].marks[-1].y == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rho": 0.01}, "rho must be between 0.05 and 2.0, got 0.01"),
        ({"ratio": 50}, "ratio must be between 1 and 20, got 50"),
    ],
)
def test_bad_input_is_named(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TauPanel(**wrong)
