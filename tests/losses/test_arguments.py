"""Every loss answers every wrong argument with an error that names the argument, what came and what is needed."""

from collections.abc import Iterable

import pytest
import torch
from gpu_stages.inputs import VALUES, given
from roles import Wrong, wrong_knobs, wrong_tensors

from cl_explore import losses
from cl_explore.losses import Loss
from cl_explore.losses.arguments import ROLES

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
Z, Y = torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2


def refused(loss: Loss, wrong: Iterable[Wrong]) -> None:
    good = given(loss, Z, Y)
    for change, error, message in wrong:
        try:
            with pytest.raises(error, match=message):
                loss(**good | change)
        except (Exception, pytest.fail.Exception) as problem:
            raise AssertionError(f"{loss.name} with {change}: needed {error.__name__} {message!r}") from problem


@every_loss
def test_wrong_tensors(loss: Loss) -> None:
    assert loss(**given(loss, Z, Y)).isfinite()
    refused(loss, wrong_tensors(loss, given(loss, Z, Y)))


@every_loss
def test_wrong_knobs(loss: Loss) -> None:
    anchors = len(loss(**given(loss, Z, Y), reduction="none"))
    refused(loss, wrong_knobs(loss, anchors))
    with pytest.raises(TypeError, match=rf"{loss.name}\(\): missing"):
        loss()
    with pytest.raises(TypeError, match="tmperature"):
        loss(**given(loss, Z, Y), tmperature=0.1)
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'none', got 'sum'"):
        loss(**given(loss, Z, Y), reduction="sum")


def test_the_table_has_every_argument() -> None:
    assert VALUES.keys() == ROLES.keys()
