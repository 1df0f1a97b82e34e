import pytest
import torch

from cl_explore.nn import AttentionPool, Transformer


@pytest.mark.parametrize("length", [0, 6])
def test_only_learned_places_make_the_order_of_tokens_count(length):
    torch.manual_seed(0)
    network, tokens, order = Transformer(8, depth=2, heads=2, length=length), torch.randn(3, 5, 8), torch.randperm(5)
    assert order.tolist() != [0, 1, 2, 3, 4]
    moved = torch.allclose(network(tokens[:, order]), network(tokens)[:, order], atol=1e-5)
    assert moved == (length == 0)
    assert not torch.equal(network.layers[0].linear1.weight, network.layers[1].linear1.weight)


@pytest.mark.parametrize("train", [True, False])
def test_padding_is_not_seen_by_others(train):
    torch.manual_seed(0)
    network, tokens = Transformer(8, depth=2).train(train), torch.randn(3, 5, 8)
    padding = torch.arange(5).expand(3, 5) >= 3
    with torch.no_grad():
        torch.testing.assert_close(network(tokens, padding)[:, :3], network(tokens[:, :3]))
        other = network(torch.where(padding[..., None], 9.0, tokens), padding)
        torch.testing.assert_close(other[:, :3], network(tokens[:, :3]))


def test_a_pool_does_not_mind_the_order_and_without_layers_gives_its_own_token():
    torch.manual_seed(0)
    pool, tokens = AttentionPool(Transformer(8, depth=2)), torch.randn(3, 5, 8)
    assert pool(tokens).shape == (3, pool.out_features)
    torch.testing.assert_close(pool(tokens[:, torch.randperm(5)]), pool(tokens))
    pool.transformer.layers = torch.nn.ModuleList()
    torch.testing.assert_close(pool(tokens), pool.summary.expand(3, 8))


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="width must be a multiple of the 3 heads, got 8"):
        Transformer(8, heads=3)
    with pytest.raises(ValueError, match="tokens must be at most 2 a sample, got 3"):
        Transformer(8, length=2)(torch.zeros(1, 3, 8))
