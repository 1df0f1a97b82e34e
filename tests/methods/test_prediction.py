import copy

import torch
from every_loss import networks, views

from cl_explore import losses, nn
from cl_explore.data import Batch
from cl_explore.methods import Predictive


def batch(seed=1, n=5):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def build(loss, decay, **options):
    torch.manual_seed(0)
    return Predictive(*networks(), loss, views, decay=decay, queue=12, **options)


def predictor():
    return nn.MLP([4, 8, 4], batch_norm=False)


def through(network, x):
    return network(views(x, None, 2).flatten(0, 1)).unflatten(0, (len(x), 2))


def whole(method):
    return torch.nn.Sequential(method.encoder, method.head)


def move(method):
    with torch.no_grad():
        for weight in method.encoder.parameters():
            weight += 0.1


def test_byol_predicts_what_the_slow_copy_sees():
    method = build("byol", 0.9, predictor=predictor())
    old = copy.deepcopy(whole(method))
    move(method)
    prediction = through(torch.nn.Sequential(whole(method), method.predictor), batch().x)
    step = method.step(batch(), torch.Generator())
    torch.testing.assert_close(step.loss, losses.byol(through(old, batch().x), prediction))
    step.loss.backward()
    assert all(weight.grad is not None for part in (method.encoder, method.predictor) for weight in part.parameters())
    before = next(method.copy.parameters()).clone()
    method.after_step()
    torch.testing.assert_close(next(method.copy.parameters()), before + 0.01)  # a tenth of the way


def test_with_decay_0_the_target_is_the_encoder_itself():
    method = build("simsiam", 0.0, predictor=predictor())
    assert method.copy is None
    z = through(whole(method), batch().x)
    prediction = through(torch.nn.Sequential(whole(method), method.predictor), batch().x)
    torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, losses.simsiam(z, prediction))


def test_with_decay_1_the_teacher_is_the_network_of_the_start():
    method = build("nspt", 1.0)
    old = copy.deepcopy(whole(method))
    for _ in range(2):
        move(method)
        expected = losses.nspt(through(whole(method), batch().x), batch().labels, through(old, batch().x))
        torch.testing.assert_close(method.step(batch(), torch.Generator()).loss, expected)
        method.after_step()


def test_neighbours_come_from_earlier_first_views():
    method = build("nnclr", 0.0, predictor=predictor())
    method.step(batch(1), torch.Generator())
    method.after_step()
    first = torch.nn.functional.normalize(through(whole(method), batch(1).x)[:, 0], dim=1)
    torch.testing.assert_close(method.queue.rows[:5], first.detach())
    z = through(whole(method), batch(2).x)
    prediction = through(torch.nn.Sequential(whole(method), method.predictor), batch(2).x)
    expected = losses.nnclr(z, prediction, method.queue.rows)
    torch.testing.assert_close(method.step(batch(2), torch.Generator()).loss, expected)


class Product(torch.nn.Module):
    def forward(self, z, prediction):
        assert not z.requires_grad
        return (z * prediction).sum()


def test_targets_carry_no_gradient_whatever_the_loss():
    for decay in (0.0, 0.9):
        step = build(Product(), decay, predictor=predictor()).step(batch(), torch.Generator())
        assert step.loss.requires_grad
