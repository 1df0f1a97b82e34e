import pytest
import torch

from cl_explore import nn


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("build", "parameters", "features"), [(nn.resnet18, 11_168_832, 512), (nn.resnet50, 23_500_352, 2048)]
)
def test_resnets_have_the_published_size(build, parameters, features):
    # torchvision's networks without the classifier and with 3x3 instead of 7x7 weights in the stem
    with torch.device("meta"):
        network = build()
    assert count(network) == parameters
    assert network.out_features == features


@pytest.mark.parametrize("build", [nn.resnet18, nn.resnet50])
def test_resnet_keeps_32x32_until_the_second_stage_and_halves_three_times(build):
    network = build(width=8)
    sizes = []
    for block in network.layers:
        block.register_forward_hook(lambda _, __, out: sizes.append(out.shape[-1]))
    assert network(torch.randn(2, 3, 32, 32)).shape == (2, network.out_features)
    blocks = [size for size, block in zip(sizes, network.layers, strict=True) if type(block).__name__ == "Residual"]
    assert sizes[0] == 32
    assert blocks[0] == 32
    assert blocks[-1] == 4
    assert sorted(set(blocks)) == [4, 8, 16, 32]


@pytest.mark.parametrize("build", [nn.resnet18, nn.resnet50])
def test_an_untrained_residual_block_is_its_shortcut(build):
    network = build(width=8)
    first, second = (block for block in network.layers[3:5])
    x = torch.randn(4, 8, 6, 6)
    torch.testing.assert_close(first(x), first.shortcut(x).relu())
    torch.testing.assert_close(second(first(x)), first(x))


def test_resnet_gives_every_parameter_a_gradient_after_one_step_and_takes_grey_images():
    torch.manual_seed(0)
    network = nn.resnet18(in_channels=1, width=8)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x, target = torch.randn(4, 1, 16, 16), torch.randn(4, network.out_features)
    for _ in range(2):
        optimizer.zero_grad()
        (network(x) * target).sum().backward()
        optimizer.step()
    assert all(p.grad.abs().sum() > 0 for p in network.parameters())


def test_mlp_flattens_and_matches_its_layers_by_hand():
    torch.manual_seed(0)
    mlp = nn.MLP([6, 5, 3], batch_norm=False)
    x = torch.randn(4, 1, 2, 3)
    first, _, last = mlp.layers
    by_hand = (x.flatten(1) @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias
    torch.testing.assert_close(mlp(x), by_hand)
    assert mlp.out_features == 3
    assert count(mlp) == 6 * 5 + 5 + 5 * 3 + 3
    assert count(nn.MLP([6, 5, 3])) == 6 * 5 + 2 * 5 + 5 * 3 + 3  # scale and shift of the norm, no idle bias


def test_mlp_batch_norm_makes_hidden_features_standard():
    mlp = nn.MLP([6, 50, 3])
    hidden = mlp.layers[:2](torch.randn(200, 6))
    torch.testing.assert_close(hidden.mean(0), torch.zeros(50), atol=1e-5, rtol=0)
    torch.testing.assert_close(hidden.var(0, correction=0), torch.ones(50), atol=1e-3, rtol=0)


def test_projection_head_is_linear_relu_linear():
    head = nn.projection_head(64, 32, 16)
    assert [type(layer).__name__ for layer in head.layers] == ["Linear", "ReLU", "Linear"]
    assert head(torch.randn(5, 64)).shape == (5, head.out_features) == (5, 16)


@pytest.mark.parametrize("size", [1, 8, 28, 33])
def test_convnet_takes_images_of_any_size(size):
    network = nn.ConvNet(in_channels=2, width=4, depth=3).eval()
    assert network(torch.randn(3, 2, size, size)).shape == (3, network.out_features) == (3, 16)


@pytest.mark.parametrize("sizes", [[], [4], [4, 0], [4, -1, 2]])
def test_mlp_refuses_sizes(sizes):
    with pytest.raises(ValueError, match="sizes must be at least two positive numbers"):
        nn.MLP(sizes)


def test_errors_name_the_argument():
    with pytest.raises(ValueError, match="x must have 64 numbers a row, got 12"):
        nn.MLP([64, 8])(torch.zeros(5, 3, 2, 2))
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        nn.ConvNet(width=0)


@pytest.mark.parametrize(("dims", "shape"), [(1, (40,)), (2, (16, 12)), (3, (8, 16, 12))])
def test_convnet_takes_series_images_and_volumes(dims, shape):
    network = nn.ConvNet(2, width=4, depth=2, dims=dims)
    assert network(torch.randn(3, 2, *shape)).shape == (3, network.out_features) == (3, 8)
    assert count(network) == 2 * 4 * 3**dims + 4 * 8 * 3**dims + 2 * (4 + 8)
    with pytest.raises(ValueError, match="dims must be 1, 2 or 3, got 4"):
        nn.ConvNet(2, dims=4)


@pytest.mark.parametrize("pool", ["mean", "max"])
def test_pooled_does_not_mind_the_order_of_parts(pool):
    network = nn.Pooled(nn.MLP([3, 8, 5]), pool).eval()
    x = torch.randn(4, 7, 3)
    parts = torch.stack([network.part(x[:, place]) for place in range(7)])
    torch.testing.assert_close(network(x), parts.mean(0) if pool == "mean" else parts.amax(0))
    torch.testing.assert_close(network(x[:, torch.randperm(7)]), network(x))
    assert network.out_features == 5
    with pytest.raises(ValueError, match='pool must be "mean" or "max"'):
        nn.Pooled(nn.MLP([3, 5]), "sum")


def test_bag_of_tokens_is_the_mean_of_the_vectors_of_its_words():
    bag = nn.BagOfTokens(10, 4)
    tokens = torch.tensor([[3, 5, 0, 0], [7, 0, 0, 0], [0, 0, 0, 0]])
    expected = torch.stack([(bag.weight[3] + bag.weight[5]) / 2, bag.weight[7], torch.zeros(4)])
    torch.testing.assert_close(bag(tokens), expected)
    assert bag.out_features == 4
