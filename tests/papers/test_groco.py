import numpy as np
import pytest
import torch

from cl_explore import losses
from cl_explore.papers.groco.panel import SortPanel, soft_sorted, with_cosines


def disorder(x: np.ndarray, negatives: int, steepness: float) -> float:
    """The anchor's loss from the soft permutation alone: binary cross-entropy of the chance of a positive's rank."""
    _, permutation = losses.soft_sort(torch.from_numpy(x), steepness)
    chance = permutation[:, negatives:].sum(1).numpy()
    return -np.log(np.where(np.arange(len(x)) >= negatives, chance, 1 - chance)).mean()


@pytest.mark.parametrize("positives", [1, 3])
@pytest.mark.parametrize("steepness", [1.0, 20.0])
def test_force_is_the_slope_of_the_loss_by_each_score(positives: int, steepness: float) -> None:
    state = {"steepness": steepness, "n1": 0.3, "n2": -0.4, "n3": 0.1} | {
        f"p{place + 1}": 0.2 + 0.15 * place for place in range(positives)
    }
    at = soft_sorted(state)
    x = at.scores.numpy()
    np.testing.assert_allclose(x[:3], [-0.4, 0.1, 0.3])
    step = 1e-6 * np.eye(len(x))
    slopes = [(disorder(x + d, 3, steepness) - disorder(x - d, 3, steepness)) / 2e-6 for d in step]
    np.testing.assert_allclose(at.pull, -np.array(slopes), atol=1e-6)
    assert float(at.pull.sum()) == pytest.approx(0, abs=1e-9)  # only differences of scores count
    assert dict(at.readout)["loss"] == f"{disorder(x, 3, steepness):.3f}"


def test_vectors_have_the_cosines_asked_for() -> None:
    negatives, positives = torch.tensor([-0.5, 0.2, 0.9]), torch.tensor([0.1, -0.8])
    z = with_cosines(negatives, positives)
    assert z.shape == (4, 3, 2)
    torch.testing.assert_close(z.norm(dim=2), torch.ones(4, 3))
    torch.testing.assert_close(z[1:, 0] @ z[0, 0], negatives)
    torch.testing.assert_close(z[0, 1:] @ z[0, 0], positives)


def test_a_steep_sort_is_a_hard_one_and_crossing_scores_swap_their_ranks() -> None:
    panel = SortPanel((-0.2, 0.4), (0.1,), steepness=50)
    panel.knobs["p1"].value = 0.3
    below = soft_sorted(panel.state()).permutation
    panel.knobs["p1"].value = 0.9
    above = soft_sorted(panel.state()).permutation
    assert below[1, 2] > 0.8
    assert above[2, 2] > 0.8
    for permutation in (below, above):
        np.testing.assert_allclose(permutation.sum(0), 1)
        np.testing.assert_allclose(permutation.sum(1), 1)
    chances = panel.picture.charts[2].marks[0]
    np.testing.assert_allclose(chances.height, above[:, 2], rtol=1e-6)
    assert dict(panel.picture.readout)["negatives above a positive"] == "0.0"


def test_every_score_has_a_slider() -> None:
    panel = SortPanel((-0.4, 0.1, 0.3), (0.2, 0.5))
    assert list(panel.knobs) == ["steepness", "p1", "p2", "n1", "n2", "n3"]
    panel.knobs["n1"].value = 0.6
    scores = panel.picture.charts[0].marks[2]
    np.testing.assert_allclose(scores.y, [0.1, 0.3, 0.6, 0.2, 0.5])  # sorted within their kind
    assert scores.drag_y == ["n2", "n3", "n1", "p1", "p2"]


def test_a_dragged_score_sets_its_slider() -> None:
    panel = SortPanel()
    panel.canvas.moved = {"knobs": {"n5": 0.7123}, "count": 1}
    assert panel.knobs["n5"].value == pytest.approx(0.71)
    panel.canvas.moved = {"knobs": {"n5": 3.0}, "count": 2}
    assert panel.knobs["n5"].value == pytest.approx(0.99)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"negatives": (0.1,)}, r"negatives must be 2 to 8 cosines .* got \(0.1,\)"),
        ({"positives": (1.0,)}, r"positives must be 1 to 4 cosines between -0.99 and 0.99, got \(1.0,\)"),
        ({"steepness": 0}, "steepness must be between 0.5 and 50.0, got 0"),
    ],
)
def test_bad_input_is_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SortPanel(**wrong)
