import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from cl_explore.data import Dataset
from cl_explore.evaluate import linear_probe, protocol
from cl_explore.methods import JointEmbedding
from cl_explore.views import VectorViews


def blobs(n=120, spread=0.5, seed=0, classes=3):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    x = 3 * torch.eye(classes, 6)[labels] + spread * torch.randn(n, 6, generator=generator)
    return Dataset("blobs", x, labels, torch.arange(n), tuple("abc"))


def as_it_is(encoder=None):
    return JointEmbedding(encoder or nn.BatchNorm1d(6), nn.Identity(), "nt_xent", VectorViews())


SETTINGS = {"epochs": 10, "batch_size": 32, "progress": False}


def test_separable_classes_are_found_with_and_without_views():
    for augment in (None, VectorViews(noise=0.1, dropout=0.0)):
        probe = linear_probe(as_it_is(), blobs(), blobs(60, seed=1), lr=0.5, augment=augment, **SETTINGS)
        assert probe.accuracy == probe.history[-1] == 1
        assert len(probe.history) == 10
        assert (probe.lr, probe.held_out) == (0.5, {})


def test_samples_of_several_parts_are_probed_like_their_one_part():
    class Reading(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * (x["left"] + x["right"] if isinstance(x, dict) else x)

    def halved(blobs):
        return replace(blobs, x={"left": 0.25 * blobs.x, "right": 0.75 * blobs.x})

    def both(x, generator, n_views):
        return {name: part[:, None] for name, part in x.items()}

    def alone(x, generator, n_views):
        return x[:, None]

    train, test = blobs(spread=1.5), blobs(60, spread=1.5, seed=1)
    one = linear_probe(as_it_is(Reading()), train, test, lr=0.5, augment=alone, **SETTINGS)
    two = linear_probe(as_it_is(Reading()), halved(train), halved(test), lr=0.5, augment=both, **SETTINGS)
    assert two.history == one.history


def test_the_classifier_is_trained_by_plain_sgd():
    train, test = blobs(40), blobs(30, spread=4, seed=1)
    method = as_it_is().eval()
    probe = linear_probe(method, train, test, lr=0.3, epochs=10, batch_size=40, seed=3, progress=False)
    torch.manual_seed(3)
    head = nn.Linear(6, 3)
    velocity = [torch.zeros_like(weight) for weight in head.parameters()]
    h, unseen = method(train.x).detach(), method(test.x).detach()
    for epoch in range(10):
        lr = 0.3 * 0.2 ** ((epoch >= 6) + (epoch >= 7.5) + (epoch >= 9))
        gradients = torch.autograd.grad(nn.functional.cross_entropy(head(h), train.labels), list(head.parameters()))
        with torch.no_grad():
            for weight, v, gradient in zip(head.parameters(), velocity, gradients, strict=True):
                weight -= lr * v.mul_(0.9).add_(gradient)
            assert probe.history[epoch] == pytest.approx((head(unseen).argmax(1) == test.labels).float().mean().item())


def test_the_rate_is_chosen_without_the_test_part():
    train, test = blobs(spread=1.5), blobs(60, spread=1.5, seed=1)
    probe = linear_probe(as_it_is(), train, test, lr=(1e-6, 0.5), **SETTINGS)
    assert probe.lr == 0.5
    assert probe.held_out.keys() == {1e-6, 0.5}
    assert probe.held_out[0.5] > probe.held_out[1e-6]
    alone = linear_probe(as_it_is(), train, test, lr=0.5, **SETTINGS)
    assert probe.history == alone.history, "at last it is trained on the whole training part"
    shuffled = Dataset("shuffled", test.x, test.labels.roll(1), test.index, test.class_names)
    assert linear_probe(as_it_is(), train, shuffled, lr=(1e-6, 0.5), **SETTINGS).held_out == probe.held_out


def test_several_rates_are_trained_as_if_alone():
    train, test = blobs(spread=1.5), blobs(60, spread=1.5, seed=1)
    run = protocol._Training(as_it_is(), VectorViews(), 3, 32, 0, False)
    together = list(run.scores(train, test, [0.01, 1.0, 1e30]))
    for position, rate in enumerate((0.01, 1.0)):
        assert [scores[position] for scores in together] == [score for (score,) in run.scores(train, test, [rate])]


def test_the_held_out_part_is_a_tenth_of_each_class():
    labels = torch.tensor([0] * 50 + [1] * 20 + [2] * 2 + [3])
    many = Dataset("many", torch.zeros(73, 2), labels, torch.arange(73), tuple("abcd"))
    assert many.labels[protocol._held_out(many, 0)].bincount(minlength=4).tolist() == [5, 2, 1, 0]
    assert not torch.equal(protocol._held_out(many, 0), protocol._held_out(many, 1))


def test_the_encoder_stays_as_it_was():
    method = as_it_is()
    state = {name: value.clone() for name, value in method.state_dict().items()}
    linear_probe(method, blobs(), blobs(), lr=0.5, augment=VectorViews(), **SETTINGS)
    assert method.training
    assert all(torch.equal(value, state[name]) for name, value in method.state_dict().items())
    assert all(weight.grad is None for weight in method.parameters())


def test_the_same_seed_gives_the_same_and_the_global_state_is_left_alone():
    train, test = blobs(spread=3), blobs(60, spread=3, seed=1)
    before = torch.get_rng_state()
    first = linear_probe(as_it_is(), train, test, lr=1.0, augment=VectorViews(), **SETTINGS)
    assert torch.equal(torch.get_rng_state(), before)
    assert linear_probe(as_it_is(), train, test, lr=1.0, augment=VectorViews(), **SETTINGS) == first
    assert linear_probe(as_it_is(), train, test, lr=1.0, augment=VectorViews(), seed=1, **SETTINGS) != first


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lr": 0}, ValueError, "lr must be positive and finite, got 0"),
        ({"lr": ()}, ValueError, "lr must be positive"),
        ({"lr": (0.1, math.nan)}, ValueError, "lr must be positive and finite"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"lr": 1e38}, FloatingPointError, r"diverged in epoch 1: lr 1e\+38 is too large"),
    ],
)
def test_bad_settings_are_named(change, error, message):
    with pytest.raises(error, match=message):
        linear_probe(as_it_is(), blobs(), blobs(), **SETTINGS | change)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_representations_that_are_not_finite_are_refused(bad):
    class Broken(nn.Module):
        def forward(self, x):
            return torch.where(x > 3.5, bad, x)

    for augment, lr in itertools.product((None, VectorViews()), (0.5, (0.1, 0.5))):
        with pytest.raises(
            (ValueError, FloatingPointError), match=r"test must be finite|train must be finite|diverged"
        ):
            linear_probe(as_it_is(Broken()), blobs(), blobs(60, seed=1), lr=lr, augment=augment, **SETTINGS)
    with pytest.raises(ValueError, match=r"the representation of test must be finite, got .* of 60 rows"):
        linear_probe(as_it_is(Broken()), blobs(), blobs(60, seed=1), lr=0.5, **SETTINGS)


def test_unlabelled_parts_are_named():
    part = blobs()
    bare = Dataset("bare", part.x, torch.full_like(part.labels, -1), part.index, part.class_names)
    for name, parts in {"train": (bare, part), "test": (part, bare)}.items():
        with pytest.raises(ValueError, match=f"{name} must be labelled throughout"):
            linear_probe(as_it_is(), *parts, **SETTINGS)


def test_the_probe_leaves_torchs_own_generators_and_defaults_alone(monkeypatch):
    """`torch.manual_seed` would seed the generators of all GPUs anew."""
    expected = linear_probe(as_it_is(), blobs(), blobs(60, seed=1), augment=VectorViews(), **SETTINGS)
    monkeypatch.setattr(torch, "manual_seed", None)
    method, parts, state = as_it_is(), (blobs(), blobs(60, seed=1)), torch.get_rng_state()
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    try:
        found = linear_probe(method, *parts, augment=VectorViews(), **SETTINGS)
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert found == expected
    assert torch.equal(torch.get_rng_state(), state)
