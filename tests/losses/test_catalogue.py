"""A declared loss: its parts and reductions, what it says of itself, how it is found and called on views."""

import copy
import inspect
import pickle
import re
import runpy
from pathlib import Path

import cloudpickle
import pytest
import torch
from gpu_stages.inputs import given
from proofs import GOLDEN as FILES
from roles import batch, options

from cl_explore import losses
from cl_explore.losses import Choice, Knob, Loss

HERE = Path(__file__).parent
every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)


@every_loss
def test_parts_and_reductions(loss: Loss) -> None:
    """The mean is the mean of the anchors by their weight; every part but a table has a number for each anchor."""
    z, y, _ = batch(5)
    y[0] = 7  # a class of one sample
    for knobs in options(loss):
        x = given(loss, z, y)
        parts, each, value = loss.parts(**x, **knobs), loss(**x, **knobs, reduction="none"), loss(**x, **knobs)
        weight = parts.get("anchor_weight", torch.ones_like(each))
        torch.testing.assert_close(value, (each * weight).sum() / weight.sum(), atol=1e-9, rtol=1e-9)
        assert torch.equal(each, parts["loss"])
        assert (each[weight == 0] == 0).all()
        assert all(len(part) == len(each) for name, part in parts.items() if name != "correlation")
        means = losses.means(parts)
        assert "anchor_weight" not in means
        assert torch.equal(means["loss"], value)
        assert all(mean.ndim == 0 for mean in means.values())


@every_loss
def test_it_describes_itself(loss: Loss) -> None:
    assert all((loss.title, loss.paper, loss.family, loss.formula))
    text = inspect.getdoc(loss) or ""
    for needed in ("Source", ">>>", "Collapsed"):
        assert needed in text, f"{loss.name} lacks {needed}"
    for knob in loss.knobs:
        default = loss.defaults[knob.name]
        if isinstance(knob, Choice):
            assert default == knob.options[0], "the first option is the default"
        else:
            assert knob.minimum <= knob.low <= default <= knob.high <= knob.maximum
            for legal in (knob.low, knob.high, min(knob.maximum, 1e6)):
                knob.check(legal, anchors=1)
    assert pickle.loads(pickle.dumps(loss)) is loss


def test_every_loss_has_a_loop_and_every_golden_file_a_reader() -> None:
    found = [runpy.run_path(str(file)).get("REFERENCES", ()) for file in HERE.glob("test_*.py")]
    assert {row.loss.name for rows in found for row in rows} == set(losses.catalogue)
    read = "".join(file.read_text() for file in HERE.parent.rglob("test_*.py"))
    assert not {file.stem for file in FILES.glob("*.json") if file.stem not in read}


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown loss 'supconn'; did you mean 'supcon'"):
        losses.get("supconn")
    with pytest.raises(ValueError, match="nt_xent"):
        losses.get("NT-Xent-loss")
    with pytest.raises(ValueError, match="known: info_nce"):
        losses.get("zzzz")
    assert losses.get(losses.dcl) is losses.dcl


def test_views_must_hold_what_a_loss_needs() -> None:
    z = torch.randn(6, 2, 4)
    with pytest.raises(ValueError, match="supcon needs labels, which were not given"):
        losses.supcon.on_views(z)
    with pytest.raises(ValueError, match="its two sides from two views"):
        losses.info_nce.on_views(z[:, :1])


def test_sides_are_taken_from_views() -> None:
    """The first view asks, the second answers; all others are candidates."""
    z, y = torch.randn(6, 3, 4), torch.arange(6) % 2
    for loss, sides in (
        (losses.info_nce, (z[:, 0], z[:, 1])),
        (losses.cpc, (z[:, 0], z[:, 1])),
        (losses.mil_nce, (z[:, 0], z[:, 1:])),
        (losses.supcon, (z, y)),
        (losses.nt_xent, (z,)),
    ):
        assert torch.equal(loss.on_views(z, y), loss(*sides))
        assert torch.equal(loss.parts_on_views(z, y)["loss"], loss(*sides, reduction="none"))


def test_how_many_views_fit() -> None:
    assert [losses.nt_xent.fits(v) for v in (1, 2, 3)] == [False, True, True]
    assert [losses.dcl.fits(v) for v in (1, 2, 3)] == [False, True, False]
    assert [losses.supcon.fits(v) for v in (1, 2, 3)] == [True, True, True]
    assert not losses.moco.fits(2)


def test_a_loss_is_declared_with_all_its_knobs() -> None:
    with pytest.raises(TypeError, match="knobs and keyword-only parameters differ"):
        losses.loss(title="t", paper="p", family="f", formula="x", knobs=[])(lambda z, *, temperature=0.1: z.sum(-1))


def test_the_arguments_of_a_call_are_written_out_when_it_fails() -> None:
    with pytest.raises(TypeError, match=re.escape("it is called as nt_xent(z")):
        losses.nt_xent(temperature=0.1)


def test_a_loss_of_ones_own_may_leave_its_knobs_unannotated_and_is_pickled_by_value() -> None:
    declare = losses.loss(title="t", paper="p", family="f", formula="x", knobs=[Knob("scale", 0.1, 1.0)])

    def own(z, *, scale=0.5):  # type: ignore[no-untyped-def]
        return scale * z.flatten(0, 1).sum(1)

    try:
        mine, z = declare(own), torch.ones(2, 1, 4)
        assert mine(z) == 0.5 * mine(z, scale=1.0) == 1.0
        assert copy.deepcopy(mine) is mine
        sent = cloudpickle.loads(cloudpickle.dumps(mine))
        assert losses.catalogue["own"] is mine
        assert (sent(z), sent.name, sent.knobs) == (mine(z), "own", mine.knobs)
    finally:
        losses.catalogue.pop("own", None)

    def strange(z, *, scale: list = 0.5):  # type: ignore[no-untyped-def, type-arg, assignment]
        return z

    with pytest.raises(TypeError, match="strange: knob scale must be annotated as a Scalar, float or int"):
        declare(strange)
