"""The list of data sets: loading by name, and errors that help to find the right one."""

import pytest
import torch

from cl_explore import data

SHIPPED = [name for name in data.names() if name not in data.PUBLISHED]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_set_loads_the_same_twice(name: str) -> None:
    for split in ("train", "test"):
        loaded = data.load(name, split)
        assert loaded.name == name
        assert loaded.fingerprint() == data.load(name, split).fingerprint()
        assert set(loaded.labels.tolist()) == set(range(loaded.num_classes))
        assert len(loaded.index.unique()) == len(loaded)
    assert data.load(name).fingerprint() != loaded.fingerprint()


@pytest.mark.parametrize("name", ["gaussians", "hierarchical_gaussians", "factor_world", "factor_world_features"])
def test_another_seed_gives_other_data(name: str) -> None:
    assert data.load(name, seed=1).fingerprint() != data.load(name).fingerprint()
    assert data.load(name, "test", seed=0).fingerprint() != data.load(name, "train", seed=1).fingerprint()


def test_digits_are_the_default_in_a_fixed_stratified_split() -> None:
    train, test = data.load(), data.load(split="test")
    assert train.name == "digits"
    assert train.x.shape == (1437, 1, 8, 8)
    assert test.x.shape == (360, 1, 8, 8)
    assert train.x.max() == 1
    assert torch.equal(torch.cat([train.index, test.index]).sort().values, torch.arange(1797))
    share = test.labels.bincount() / (train.labels.bincount() + test.labels.bincount())
    assert ((share - 0.2).abs() < 0.005).all()
    assert test.fingerprint() == "f257976ead6832a7", "the split must not change: recorded results rest on it"


def test_digits_have_their_source_values() -> None:
    from sklearn.datasets import load_digits

    train = data.load("digits")
    torch.testing.assert_close(train.x[:, 0] * 16, torch.from_numpy(load_digits().images).float()[train.index])
    assert torch.equal(train.labels, torch.from_numpy(load_digits().target)[train.index])


def test_unknown_names_bring_the_nearest() -> None:
    with pytest.raises(
        ValueError, match=r"unknown data set 'digit'; did you mean 'digits'.*known: cifar10, cifar100, digits"
    ):
        data.load("digit")
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'valid'"):
        data.load("digits", "valid")


def test_unknown_options_are_named_with_the_accepted_ones() -> None:
    with pytest.raises(
        TypeError, match="'factor_world' has no option 'sizes'; it accepts: n, size, preset, noise, seed"
    ):
        data.load("factor_world", sizes=3)
    with pytest.raises(TypeError, match="'digits' has no option 'seed'; it accepts: none"):
        data.load("digits", seed=3)
