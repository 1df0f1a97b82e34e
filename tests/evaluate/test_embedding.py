import pytest
import torch

from cl_explore import nn
from cl_explore.data import Dataset
from cl_explore.evaluate import embed, embed_views
from cl_explore.methods import JointEmbedding
from cl_explore.views import VectorViews


def build():
    torch.manual_seed(0)
    return JointEmbedding(nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1))


def dataset(n=50):
    generator = torch.Generator().manual_seed(1)
    return Dataset(
        "toy", torch.randn(n, 6, generator=generator), torch.arange(n) % 3, torch.arange(n) + 7, tuple("abc")
    )


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_rows_follow_the_data_set_whatever_the_batches(batch_size):
    method, data = build(), dataset()
    method(data.x)  # moves the batch-norm statistics
    embedding = embed(method, data, batch_size)
    method.eval()
    torch.testing.assert_close(embedding.h, method(data.x).detach())
    torch.testing.assert_close(embedding.z, method.project(method(data.x)).detach())
    assert torch.equal(embedding.labels, data.labels)
    assert torch.equal(embedding.index, data.index)


def test_leaves_the_method_as_it_was():
    method = build()
    method.encoder.layers[1].eval()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    embedding = embed(method, dataset())
    assert method.training
    assert not method.encoder.layers[1].training
    assert all(torch.equal(value, state[name]) for name, value in method.state_dict().items())
    assert not embedding.h.requires_grad
    (embedding.z * torch.ones(1, requires_grad=True)).sum().backward()  # usable in later graphs


def test_modes_are_put_back_when_the_method_fails():
    method = build()
    with pytest.raises(ValueError, match="x must have 6 numbers a row, got 5"):
        embed(method, Dataset("odd", torch.ones(4, 5), torch.zeros(4).long(), torch.arange(4), ("a",)))
    assert method.training


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        embed(build(), dataset(), 0)


def test_views_of_the_whole_set_are_those_of_its_batches():
    method, data = build(), dataset()
    z = embed_views(method, data, seed=3)
    assert method.training
    method.eval()
    batch = method.embed_views(data.batch(torch.arange(50)), torch.Generator().manual_seed(3))
    torch.testing.assert_close(z, batch.z.detach())
    assert not torch.equal(z, embed_views(method, data, seed=4))


def test_a_method_without_weights_is_embedded_too():
    data = dataset()
    method = JointEmbedding(torch.nn.Identity(), torch.nn.Identity(), "nt_xent", VectorViews(noise=0.1))
    assert torch.equal(embed(method, data).h, data.x)
    assert embed_views(method, data).shape == (50, 2, 6)
