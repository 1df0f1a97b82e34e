"""Gaussian classes and the long tail: the stated spreads, shared class structure, the stated imbalance."""

import pytest
import torch

from cl_explore import data


def latent_spread(x: torch.Tensor, groups: torch.Tensor) -> tuple[float, float]:
    """Mean variance within the groups, and variance of the group means, per latent dimension (the sizes are equal)."""
    means = torch.stack([x[groups == group].mean(dim=0) for group in groups.unique()])
    within = torch.stack([x[groups == group].var(dim=0) for group in groups.unique()]).mean()
    return within.item(), means.var(dim=0).mean().item()


def test_the_default_sizes_are_those_of_the_papers_settings() -> None:
    train, test = data.load("hierarchical_gaussians"), data.load("hierarchical_gaussians", "test")
    assert train.x.shape == (1300, 64)
    assert test.x.shape == (1000, 64)
    assert train.labels.bincount().tolist() == [13] * 100
    assert torch.equal(train.factors["superclass"], train.labels // 5)
    assert train.class_names[7] == "class 1.2"
    assert data.load("gaussians").labels.bincount().tolist() == [200] * 8


@pytest.mark.parametrize("name", ["gaussians", "hierarchical_gaussians"])
def test_every_class_comes_in_turn(name: str) -> None:
    loaded = data.load(name)
    assert torch.equal(loaded.labels[: loaded.num_classes], torch.arange(loaded.num_classes))


def test_hierarchical_spreads_are_the_stated_ones() -> None:
    sizes = {"superclasses": 60, "fine": 12, "train_per_class": 40, "latent": 16, "features": 24}
    spreads = {"super_sd": 0.08, "fine_sd": 0.06, "within_sd": 0.04}  # so small that tanh is the identity
    loaded = data.load("hierarchical_gaussians", **sizes, **spreads)
    # a random projection of entries N(0, 1/latent) keeps the mean square over features of independent dimensions
    within, _ = latent_spread(loaded.x, loaded.labels)
    means = torch.stack([loaded.x[loaded.labels == c].mean(dim=0) for c in range(loaded.num_classes)])
    fine, between = latent_spread(means, torch.arange(720) // 12)
    scale = within / 0.04**2
    assert scale == pytest.approx(1, rel=0.2)
    assert (fine - within / 40) / scale == pytest.approx(0.06**2, rel=0.1)
    assert (between - fine / 12) / scale == pytest.approx(0.08**2, rel=0.15)


@pytest.mark.parametrize("name", ["gaussians", "hierarchical_gaussians"])
def test_splits_share_their_classes_and_no_points(name: str) -> None:
    sizes = {"train_per_class": 30, "test_per_class": 30}
    train, test = (data.load(name, split, **sizes) for split in ("train", "test"))
    means = [
        torch.stack([part.x[part.labels == c].mean(dim=0) for c in range(part.num_classes)]) for part in (train, test)
    ]
    assert torch.equal(torch.cdist(*means).argmin(dim=1), torch.arange(train.num_classes))
    assert torch.cdist(train.x, test.x).min() > 0.05
    more = data.load(name, "test", **(sizes | {"train_per_class": 60}))
    assert torch.equal(more.x, test.x), "the test points do not depend on the number of training points"


def test_bad_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="fine must be at least 1, got 0"):
        data.load("hierarchical_gaussians", fine=0)
    with pytest.raises(ValueError, match="test_per_class must be at least 1, got 0"):
        data.load("gaussians", test_per_class=0)


@pytest.mark.parametrize("ratio", [1, 10, 100])
def test_long_tail_counts_follow_the_exponential(ratio: float) -> None:
    whole = data.load("gaussians", classes=5)
    cut = data.long_tail(whole, ratio, torch.Generator().manual_seed(0))
    assert cut.labels.bincount().tolist() == [round(200 * ratio ** (-c / 4)) for c in range(5)]
    assert torch.equal(cut.x, whole.x[cut.index])
    assert (cut.index.diff() > 0).all()
    assert torch.equal(cut.index, data.long_tail(whole, ratio, torch.Generator().manual_seed(0)).index)
    if ratio > 1:
        other = data.long_tail(whole, ratio, torch.Generator().manual_seed(1))
        assert not torch.equal(cut.index, other.index)
        assert len(cut.labels.bincount().unique()) == 5


def test_long_tail_of_unequal_classes_keeps_the_profile() -> None:
    whole = data.load("gaussians", classes=3)
    kept = torch.cat([(whole.labels == c).nonzero().squeeze(1)[:count] for c, count in enumerate((200, 40, 200))])
    cut = data.long_tail(whole.subset(kept), 4, torch.Generator().manual_seed(0))
    assert cut.labels.bincount().tolist() == [80, 40, 20], "class 1 has 40, so class 0 may have 80"


def test_long_tail_refuses_what_it_cannot_do() -> None:
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(ValueError, match=r"ratio must be at least 1, got 0\.5"):
        data.long_tail(data.load("gaussians"), 0.5, generator)
    with pytest.raises(ValueError, match="ratio must leave a sample in every class, got 1000 for classes of"):
        data.long_tail(data.load("gaussians"), 1000, generator)
    with pytest.raises(ValueError, match="dataset must have at least 2 classes, got 1"):
        data.long_tail(data.load("gaussians", classes=1), 2, generator)
