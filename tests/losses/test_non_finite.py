"""What comes in not finite goes out not finite or is refused: no loss makes a plausible value of a broken network."""

import itertools
import math
import re
from collections.abc import Iterator

import pytest
import torch
from gpu_stages.inputs import Inputs, given
from proofs import OF_ANGLES
from roles import batch, options

from cl_explore import losses
from cl_explore.losses import Loss, similarity

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
LEGAL = {("log_mean", -math.inf), ("logits", -math.inf)}
"""What an argument may hold: the average of a sample not yet seen, a class that is ruled out."""


def broken(x: Inputs) -> Iterator[tuple[str, Inputs]]:
    """The batch with NaN or infinity in one argument: in all of it, in its third row, in one number."""
    for name, value in x.items():
        for bad in (math.nan, math.inf, -math.inf):
            if value.is_floating_point() and (name, bad) not in LEGAL:
                row, one = value.clone(), value.clone()
                row[2 % len(row)] = bad
                one.view(-1)[0] = bad
                for what, spoiled in {"all": torch.full_like(value, bad), "a row": row, "a number": one}.items():
                    yield f"{name}, {what} {bad}", x | {name: spoiled}


@every_loss
@pytest.mark.parametrize("mode", ["as it is", "values not seen", "in tiles"])
def test_non_finite_arguments(loss: Loss, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where looking at values would make a device wait, and where a large table is not stored."""
    if mode == "values not seen":
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    if mode == "in tiles":
        monkeypatch.setattr(similarity, "_dense_limit", lambda device: 0)
    z, y, _ = batch(0, samples=6)
    for optional, normalize in itertools.product((True, False), (True, False)):
        x = given(loss, z.float(), y, optional)
        x.pop("present", None)  # what an empty bag holds plays no part
        if mode == "values not seen":
            x.pop("shares", None)  # nor does the share of a pair that does not mix; elsewhere it is refused
        for knobs in options(loss):
            for what, spoiled in broken(x):
                if loss.name in OF_ANGLES and not normalize:
                    continue
                where = f"{what}, {knobs}, normalize={normalize}"
                try:
                    value, refused = loss(**spoiled, **knobs, normalize=normalize), ""
                except ValueError as error:
                    value, refused = torch.tensor(math.nan), str(error)
                assert not value.isfinite(), where
                assert not refused or mode != "values not seen", where
                assert not refused or re.search(r"must be .*(finite|larger|between|positive)", refused), where


def test_concentration_of_a_broken_cluster() -> None:
    z, labels, centres = torch.randn(6, 4), torch.arange(6) % 2, torch.zeros(2, 4)
    for bad in (math.nan, math.inf):
        z[3, 1] = bad
        assert not losses.cluster_concentration(z, labels, centres).isfinite().all()
