import pytest
import torch

from cl_explore.data import pulses

QUIET = {"phase": 0.0, "rate": 0.0, "wander": 0.0, "noise": 0.0}


def drawn(*sizes: int, **options: float):
    return pulses(*sizes, torch.Generator().manual_seed(0), **options)


def test_persons_hold_recordings_which_hold_segments() -> None:
    world = drawn(5, 3, 2, steps=40)
    assert world.x.shape == (30, 1, 40)
    person, recording = world.factors["person"], world.factors["recording"]
    torch.testing.assert_close(recording // 3, person)
    assert recording.bincount().tolist() == [2] * 15
    torch.testing.assert_close(world.labels, person)
    for name, of in (("notch", person), ("delay", person), ("width", person), ("rate", recording)):
        kept = world.factors[name].view(int(of.max()) + 1, -1)
        assert (kept == kept[:, :1]).all()
        assert len(kept[:, 0].unique()) == len(kept)
    torch.testing.assert_close(world.x.mean(2), torch.zeros(30, 1), atol=1e-6, rtol=0)
    torch.testing.assert_close(world.x.std(2, correction=0), torch.ones(30, 1))
    assert drawn(5, 3, 2, steps=40).fingerprint() == world.fingerprint()


@pytest.mark.parametrize(
    ("changes", "within_recording", "within_person"),
    [
        ({}, True, True),
        ({"wander": 1.0}, True, False),
        ({"hum": 1.0}, True, False),
        ({"rate": 0.2}, True, False),
        ({"phase": 1.0}, True, False),
        ({"jitter": 0.05}, False, False),
        ({"noise": 0.1}, False, False),
    ],
    ids=str,
)
def test_each_nuisance_differs_at_its_level(
    changes: dict[str, float], within_recording: bool, within_person: bool
) -> None:
    x = drawn(4, 3, 2, steps=48, **{**QUIET, **changes}).x.view(4, 3, 2, 48)
    assert torch.allclose(x[:, :, 0], x[:, :, 1], atol=1e-5) == within_recording
    assert torch.allclose(x[:, 0, 0], x[:, 1, 0], atol=1e-5) == within_person
    assert not torch.allclose(x[0], x[1], atol=1e-2), "persons differ"


def test_aligned_pulses_have_their_first_peak_a_quarter_of_a_beat_after_the_start() -> None:
    world = drawn(6, 1, 1, steps=120, sampling=120.0, **QUIET)  # a beat has 100 steps
    assert world.x[:, 0, :60].argmax(1).tolist() == [25] * 6
    narrow, wide = world.factors["width"].argmin(), world.factors["width"].argmax()
    high = world.x[:, 0, :60] > 0.5 * world.x.amax(2)
    assert high[narrow].sum() < high[wide].sum()
