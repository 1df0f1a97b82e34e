import pytest
import torch

from cl_explore import losses, nn
from cl_explore.data import Batch
from cl_explore.methods import JointEmbedding, Method
from cl_explore.views import VectorViews


def build(loss="nt_xent", **options):
    torch.manual_seed(0)
    return JointEmbedding(nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4), loss, VectorViews(noise=0.1), **options)


def batch(n=12):
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.randn(n, 6, generator=generator), torch.arange(n) % 3, torch.arange(n))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", [name for name, loss in losses.catalogue.items() if loss.fits(2)])
def test_step_is_the_loss_of_the_views_embedded_together(name):
    method = build(name)
    loss, metrics = method.step(batch(), seeded())
    views = method.augment(batch().x, seeded(), 2)
    z = method.project(method(torch.cat([views[:, 0], views[:, 1]])))  # one batch of both: batch norm sees all views
    z = torch.stack(z.split(12), dim=1)
    expected = losses.get(name).on_views(z, batch().labels)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert all(p.grad is not None for p in method.parameters())
    assert all(value.ndim == 0 and not value.requires_grad and value.isfinite() for value in metrics.values())
    assert not {"loss", "anchor_weight"} & metrics.keys()


def test_metrics_are_means_over_the_anchors_that_count():
    lonely = batch(5)._replace(labels=torch.tensor([0, 0, 0, 1, 2]))
    method = build("supcon", n_views=1)
    loss, metrics = method.step(lonely, seeded())
    z = method.project(method(method.augment(lonely.x, seeded(), 1).flatten(0, 1)))
    torch.testing.assert_close(loss, losses.supcon(z, lonely.labels))
    unit = torch.nn.functional.normalize(z[:3], dim=1)
    pairs = torch.stack([unit[0] @ unit[1], unit[0] @ unit[2], unit[1] @ unit[2]])
    torch.testing.assert_close(metrics["positive"], pairs.mean().detach())


def test_views_come_from_the_generator_alone():
    method = build()
    first, again, other = (method.step(batch(), seeded(seed)).loss for seed in (0, 0, 1))
    assert first == again != other


def test_knobs_may_be_turned_between_steps():
    method = build(temperature=0.5)
    assert method.knobs == {"temperature": 0.5}
    cool, warm = method.step(batch(), seeded()).loss, None
    method.knobs["temperature"] = 2.0
    warm = method.step(batch(), seeded()).loss
    torch.testing.assert_close(warm, build(temperature=2.0).step(batch(), seeded()).loss)
    assert warm != cool


@pytest.mark.parametrize("n_views", [2, 3, 5])
def test_more_views(n_views):
    assert build(n_views=n_views).step(batch(), seeded()).loss.isfinite()


def test_repr_says_everything_that_decides_the_run():
    text = repr(build("varcon", temperature=0.25))
    for part in ("varcon", "temperature=0.25", "epsilon=", "n_views=2", "noise=0.1", "in_features=6"):
        assert part in text


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match="nt_xent"):
        build("nt_xnet")
    with pytest.raises(TypeError, match="nt_xent has no knob temprature; its knobs: temperature"):
        build(temprature=0.1)
    with pytest.raises(ValueError, match="temperature must be positive"):
        build(temperature=-1.0)
    with pytest.raises(ValueError, match="nt_xent needs n_views of at least 2, got 1"):
        build(n_views=1)
    with pytest.raises(ValueError, match="info_nce needs n_views of at least 2, got 1"):
        build("info_nce", n_views=1)
    with pytest.raises(ValueError, match="dcl needs n_views of at least 2 and at most 2, got 3"):
        build("dcl", n_views=3)
    with pytest.raises(ValueError, match="arcface needs prototypes: give classes, how many there are"):
        build("arcface")


def test_a_method_without_step_says_so():
    method = Method(torch.nn.Identity(), torch.nn.Identity(), VectorViews())
    with pytest.raises(NotImplementedError, match="Method must define step"):
        method.step(batch(), seeded())


def gradients(method, autocast=False):
    torch.manual_seed(5)  # of the dropout
    method.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        loss = method.step(batch(), seeded()).loss
    loss.backward()
    return loss.detach(), [parameter.grad.clone() for parameter in method.parameters()]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("chunk", [1, 5, 24, 100])
def test_chunks_give_the_gradient_of_the_whole_batch(chunk, autocast):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.LayerNorm(16), torch.nn.GELU(), torch.nn.Linear(16, 8)
    )
    direct, chunked = (
        JointEmbedding(encoder, nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1), chunk=size)
        for size in (None, chunk)
    )
    chunked.load_state_dict(direct.state_dict())
    expected, got = gradients(direct, autocast), gradients(chunked, autocast)
    tolerance = {"atol": 2e-2, "rtol": 2e-2} if autocast else {}  # bfloat16 products differ by the size of the chunk
    torch.testing.assert_close(got, expected, **tolerance)


def test_chunks_replay_their_dropout():
    """The gradient of a chunk is that of the very forward pass whose embeddings the loss saw."""
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.Dropout(0.5), torch.nn.Linear(16, 8))
    method = JointEmbedding(encoder, nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1), chunk=7)
    value, got = gradients(method)
    torch.manual_seed(5)
    views = method.augment(batch().x, seeded(), 2).flatten(0, 1)
    z = torch.cat([method.project(method(part)) for part in views.split(7)]).unflatten(0, (12, 2))
    loss = losses.nt_xent(z)
    torch.testing.assert_close(value, loss.detach())
    torch.testing.assert_close(got, list(torch.autograd.grad(loss, list(method.parameters()))))


def test_chunks_keep_less():
    """What the graph of a step holds for the backward pass: the activations of all views, or their inputs alone."""

    def held(chunk):
        sizes = []
        encoder = torch.nn.Sequential(*[layer for _ in range(8) for layer in (torch.nn.Linear(6, 6), torch.nn.Tanh())])
        method = JointEmbedding(encoder, torch.nn.Identity(), "alignment", VectorViews(noise=0.1), chunk=chunk)
        with torch.autograd.graph.saved_tensors_hooks(lambda x: (sizes.append(x.numel()), x)[1], lambda x: x):
            method.step(batch(512), seeded())
        return sum(sizes)

    assert held(64) < held(None) / 2


def test_a_chunk_of_nothing_is_refused():
    with pytest.raises(ValueError, match="chunk must be at least 1, got 0"):
        build(chunk=0)


@pytest.mark.parametrize(("chunk", "sizes"), [(23, [24]), (7, [7, 7, 7, 3]), (24, [24]), (2, [2] * 12), (25, [24])])
def test_no_view_is_left_alone_at_the_end(chunk, sizes):
    method, seen = build(chunk=chunk), []
    method.encoder.register_forward_hook(lambda module, given, made: seen.append(len(made)))
    method.step(batch(), seeded())
    assert seen == sizes


def test_batch_norm_over_chunks_of_one_is_refused():
    method = build(chunk=1)
    with pytest.raises(ValueError, match=r"chunk must be at least 2 for batch norm, .* got 1"):
        method.step(batch(), seeded())
    method.eval()
    assert method.step(batch(), seeded()).loss.isfinite()
