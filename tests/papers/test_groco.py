import numpy as np
import pytest
import torch

from cl_explore import losses
from cl_explore.papers.groco.panel import SortPanel, sort_picture, with_cosines


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
    frame = sort_picture(state)
    x = frame["scores"]
    np.testing.assert_allclose(x[:3], [-0.4, 0.1, 0.3])
    step = 1e-6 * np.eye(len(x))
    slopes = [(disorder(x + d, 3, steepness) - disorder(x - d, 3, steepness)) / 2e-6 for d in step]
    np.testing.assert_allclose(frame["pull"], -np.array(slopes), atol=1e-6)
    assert frame["pull"].sum() == pytest.approx(0, abs=1e-9)  # only differences of scores count
    assert dict(frame["readout"])["loss"] == f"{disorder(x, 3, steepness):.3f}"


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
    below = panel.frame["permutation"].reshape(3, 3)
    panel.knobs["p1"].value = 0.9
    above = panel.frame["permutation"].reshape(3, 3)
    assert below[1, 2] > 0.8
    assert above[2, 2] > 0.8
    for permutation in (below, above):
        np.testing.assert_allclose(permutation.sum(0), 1)
        np.testing.assert_allclose(permutation.sum(1), 1)
    np.testing.assert_allclose(panel.frame["chance"], above[:, 2])
    assert dict(panel.frame["readout"])["negatives above a positive"] == "0.0"


def test_every_score_has_a_slider() -> None:
    panel = SortPanel((-0.4, 0.1, 0.3), (0.2, 0.5))
    assert list(panel.knobs) == ["steepness", "p1", "p2", "n1", "n2", "n3"]
    panel.knobs["n1"].value = 0.6
    np.testing.assert_allclose(panel.frame["scores"], [0.1, 0.3, 0.6, 0.2, 0.5])  # sorted within their kind
