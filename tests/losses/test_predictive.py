"""BYOL and SimSiam against the authors' numbers, a loop and closed forms."""

import pytest
import torch
from loops import Inputs, one, random, unit
from proofs import Case, Golden, Reference, golden, loops, views
from torch import Tensor

from cl_explore.losses import Loss, byol, simsiam


def byol_call(x: Inputs, case: Case) -> Tensor:
    """The authors add the two directions, where the mean is taken here; one direction is two equal views."""
    if "z0" in x:
        return 2 * byol(views(x, "z0", "z1"), views(x, "p0", "p1"))
    return byol(torch.stack([x["z"]] * 2, 1), torch.stack([x["p"]] * 2, 1))


GOLDEN = [
    Golden("byol", byol_call),
    Golden("simsiam", lambda x, case: simsiam(views(x, "z1", "z2"), views(x, "p1", "p2"))),
]
test_golden = golden(GOLDEN)


def loop_byol(x: Inputs) -> list[float]:
    z, p = unit(x["z"]), unit(x["prediction"])
    return [float((p[b, v] - z[b, 1 - v]).square().sum()) for b in range(6) for v in (0, 1)]


def loop_simsiam(x: Inputs) -> list[float]:
    z, p = unit(x["z"]), unit(x["prediction"])
    return [-float(p[b, v] @ z[b, 1 - v]) for b in range(6) for v in (0, 1)]


REFERENCES = [
    Reference(byol, {}, loop_byol),
    Reference(simsiam, {}, loop_simsiam),
]
test_loop = loops(REFERENCES)


@pytest.mark.parametrize("loss", [byol, simsiam], ids=lambda loss: loss.name)
def test_more_views_are_averaged(loss: Loss) -> None:
    """Each view against the mean over its two others: what the three pairs of views give, averaged."""
    z, p = random(5, 3, 4), random(5, 3, 4, seed=1)
    pairs = [loss(z[:, [a, b]], p[:, [a, b]]) for a, b in ((0, 1), (0, 2), (1, 2))]
    torch.testing.assert_close(loss(z, p), torch.stack(pairs).mean())


def test_landmarks() -> None:
    z = one(8, 2, 4)
    assert float(byol(z, z)) == pytest.approx(0, abs=1e-12)
    assert float(byol(z, -z)) == pytest.approx(4)
    assert float(simsiam(z, z)) == pytest.approx(-1)
