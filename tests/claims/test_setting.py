"""The shared setting: equal starts for equal seeds, hard views that are what they say, and measures of a known run."""

import torch
from torch import nn

from cl_explore.claims.setting import build, embed_views, measures, splits, weak_views
from cl_explore.data import Dataset
from cl_explore.methods import JointEmbedding
from cl_explore.train import fit


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(channels: int, size: int, count: int = 4) -> Dataset:
    x = torch.rand(count, channels, size, size, generator=generator())
    return Dataset("pictures", x, torch.zeros(count, dtype=torch.int64), torch.arange(count), ("one",))


def test_equal_seeds_start_from_equal_weights_and_leave_the_global_state() -> None:
    dataset = splits("digits")[0]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    (first, head), (again, _), (other, _) = build(dataset, 1), build(dataset, 1), build(dataset, 2)
    assert torch.rand(1) == expected
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert not torch.equal(pairs[0][0], pairs[0][2])
    assert head(first(dataset.x[:3])).shape == (3, 32)


def test_larger_pictures_get_a_residual_network() -> None:
    dataset = pictures(3, 32)
    encoder, head = build(dataset, 0, embedding=16)
    assert head(encoder(dataset.x)).shape == (4, 16)
    assert sum(weights.numel() for weights in encoder.parameters()) == 11_168_832
    assert "crop_area=0.2" in repr(weak_views(dataset))
    assert "crop_area=1.0" in repr(weak_views(pictures(1, 8)))
    assert weak_views(splits("gaussians")[0]).dropout == 0


def test_a_cut_keeps_all_classes_and_is_always_the_same() -> None:
    train, test = splits("digits", samples=200)
    assert len(train) == len(test) == 200
    assert len(train.labels.unique()) == 10
    assert torch.equal(train.index, splits("digits", samples=200)[0].index)


def test_views_are_embedded_in_evaluation_mode() -> None:
    train, _ = splits("digits", samples=50)
    method = JointEmbedding(*build(train, 0), "nt_xent", weak_views(train))
    state = {name: value.clone() for name, value in method.state_dict().items()}
    z = embed_views(method, train, lambda x, _, views: x[:, None].expand(-1, views, *x.shape[1:]), n_views=3)
    assert z.shape == (50, 3, 32)
    torch.testing.assert_close(z[:, 0], z[:, 2])
    assert all(torch.equal(state[name], value) for name, value in method.state_dict().items())


def test_measures_of_a_run() -> None:
    train, test = splits("digits", samples=300)
    method = JointEmbedding(nn.Flatten(), nn.Linear(64, 8), "nt_xent", weak_views(train))
    found = measures(fit(method, train, epochs=1, snapshots=0, store=False, progress=False), train, test)
    assert found.keys() == {"kNN h", "kNN z", "linear h", "−uniformity", "tolerance", "effective rank", "seconds"}
    assert found["kNN h"] > 0.9  # of the pixels themselves
    assert 1 <= found["effective rank"] <= 8
    assert found["seconds"] > 0
