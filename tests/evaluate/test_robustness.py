import pytest
import torch

from cl_explore import nn
from cl_explore.data import Dataset
from cl_explore.evaluate import IMAGE_CORRUPTIONS, corrupted_accuracy, embed, knn_accuracy
from cl_explore.methods import JointEmbedding
from cl_explore.views import VectorViews


def dataset(seed, n=60):
    labels = torch.arange(n) % 3
    noise = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))
    return Dataset("corners", 3 * torch.eye(3)[labels] + noise, labels, torch.arange(n), ("a", "b", "c"))


@pytest.fixture(scope="module")
def method():
    torch.manual_seed(0)
    return JointEmbedding(nn.MLP([3, 8]), torch.nn.Identity(), "nt_xent", VectorViews(noise=0.1))


def test_the_test_part_alone_is_changed(method):
    train, test = dataset(0), dataset(1)
    corruptions = {"none": lambda x, generator: x, "all the same": lambda x, generator: torch.ones_like(x)}
    found = corrupted_accuracy(method, train, test, corruptions)
    seen, unseen = embed(method, train), embed(method, test)
    assert found["none"] == knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels)
    assert found["all the same"] == pytest.approx(1 / 3)
    assert method.training


def test_each_corruption_draws_from_the_seed(method):
    train, test = dataset(0), dataset(1)
    noise = {name: lambda x, generator: x + 2 * torch.randn(x.shape, generator=generator) for name in ("one", "two")}
    found = corrupted_accuracy(method, train, test, noise, seed=3)
    assert found["one"] == found["two"]
    assert found != corrupted_accuracy(method, train, test, noise, seed=4)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_samples_that_are_not_finite_are_refused(method, bad):
    """Also where the corruption would hide them."""
    test = dataset(1)
    test.x[5, 1] = bad
    with pytest.raises(ValueError, match="test must be finite, got 1 of 60 rows with NaN or infinity"):
        corrupted_accuracy(method, dataset(0), test, {"clamp": lambda x, generator: x.nan_to_num().clamp(0, 1)})
    with pytest.raises(ValueError, match="test_h must be finite"):
        corrupted_accuracy(method, dataset(0), dataset(1), {"break": lambda x, generator: x * bad})


@pytest.mark.parametrize("name", IMAGE_CORRUPTIONS)
def test_corrupted_images_are_images_and_other_ones(name):
    x = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    changed, again = (IMAGE_CORRUPTIONS[name](x, torch.Generator().manual_seed(1)) for _ in range(2))
    assert changed.shape == x.shape
    assert torch.equal(changed, again)
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert (changed != x).float().mean() > 0.9
