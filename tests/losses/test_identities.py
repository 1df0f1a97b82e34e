"""Each identity of the web holds on random batches."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore.losses.identities import IDENTITIES, Identity


@pytest.mark.parametrize("stated", IDENTITIES, ids=lambda stated: stated.__name__)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 12), st.integers(2, 8), st.floats(0.05, 1.0))
def test_identity(stated: Identity, seed: int, samples: int, dimensions: int, tau: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, 2, dimensions, generator=generator, dtype=torch.float64)
    # Labels 0 and 1 always occur, so that every loss has a positive and a negative to work with.
    y = torch.cat([torch.tensor([0, 1]), torch.randint(0, 3, (samples - 2,), generator=generator)])
    left, right = stated(z, y, tau)
    torch.testing.assert_close(left, right, atol=1e-9, rtol=1e-9)


def test_every_identity_is_stated_once() -> None:
    assert len({stated.__name__ for stated in IDENTITIES}) == len(IDENTITIES)
