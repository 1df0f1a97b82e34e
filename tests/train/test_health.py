import warnings

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision

from cl_explore import data, nn, train
from cl_explore.methods import JointEmbedding, Step
from cl_explore.train import loop
from cl_explore.train.health import PATIENCE, CollapseWatch
from cl_explore.views import ImageViews


def fit(loss, **options):
    torch.manual_seed(0)
    head = nn.projection_head(64, 64, 16)
    method = JointEmbedding(nn.MLP([64, 64, 64]), head, loss, ImageViews.weak())
    settings = {"epochs": 12, "batch_size": 128, "store": False, "progress": False, "device": "cpu"}
    return train.fit(method, data.load("digits"), **settings | options)


def test_a_collapse_is_told_once_to_the_caller():
    with pytest.warns(train.CollapseWarning, match=r"collapsed at step .*push samples apart") as told:
        fit("alignment")
    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize("loss", ["nt_xent", "supcon"])
def test_a_healthy_run_is_left_alone(loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(loss)


def looks(z, classes=10, step=PATIENCE, total=PATIENCE):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        watch = CollapseWatch(classes, total)
        watch.look(z, step)
        watch.look(z, step + 1)
    return len(told)


def test_what_counts_as_a_collapse():
    generator = torch.Generator().manual_seed(0)
    sphere = torch.randn(500, 8, generator=generator)
    point = torch.ones(500, 8) + 0.01 * sphere
    line = torch.where(torch.arange(500)[:, None] % 2 == 0, 1.0, -1.0) * torch.ones(8) + 0.01 * sphere
    classes = torch.eye(8)[torch.arange(500) % 8]
    assert (looks(sphere), looks(classes), looks(100 * point), looks(line)) == (0, 0, 1, 1)
    assert (looks(line, classes=2), looks(point, classes=2)) == (0, 1)
    assert looks(line[:, :2]) == 0  # on a circle a line is half of all there is
    assert looks(point, step=PATIENCE - 2) == 0
    assert looks(point, step=PATIENCE, total=10 * PATIENCE) == 0
    assert looks(point / 0) == looks(point[:1]) == 0


class Spoiling(JointEmbedding):
    """Its gradient is NaN from the first step on, though its loss is not."""

    def step(self, batch, generator):
        loss, metrics = super().step(batch, generator)
        weight = next(self.parameters())
        return Step(loss + (0 * weight).sum().sqrt(), metrics)


def half(skeleton, epochs, scaler, monkeypatch):
    """Train in half precision, with the scaler of gradients that float16 has on a GPU."""
    if scaler:
        plugin = MixedPrecision("16-mixed", "cpu", scaler)
        monkeypatch.setattr(loop, "make_fabric", lambda *_: Fabric(accelerator="cpu", devices=1, plugins=plugin))
    torch.manual_seed(0)
    method = skeleton(nn.MLP([64, 16]), nn.projection_head(16, 16, 8), "nt_xent", ImageViews.weak())
    settings = {"batch_size": 256, "store": False, "progress": False, "snapshots": 0, "device": "cpu"}
    return train.fit(method, data.load("digits"), epochs=epochs, precision="16-mixed", **settings)


@pytest.mark.parametrize(("epochs", "steps"), [(1, 5), (8, 20)])
def test_a_gradient_that_is_never_finite_is_noticed_in_half_precision_too(epochs, steps, monkeypatch):
    with pytest.raises(FloatingPointError, match=rf"gradient became nan, for {steps} steps in a row, at step {steps} "):
        half(Spoiling, epochs, torch.amp.GradScaler("cpu"), monkeypatch)


@pytest.mark.filterwarnings("ignore:You passed")  # that the CPU takes bfloat16 instead
def test_a_gradient_is_looked_at_where_half_precision_has_no_scaler(monkeypatch):
    with pytest.raises(FloatingPointError, match=r"gradient became nan at step 1 "):
        half(Spoiling, 2, None, monkeypatch)


def test_steps_that_a_scaler_leaves_out_at_first_are_no_fault(monkeypatch):
    method = half(JointEmbedding, 4, torch.amp.GradScaler("cpu", init_scale=2.0**26), monkeypatch).method
    assert all(weight.isfinite().all() for weight in method.parameters())
