"""Captions: a word for each factor, fillers after them, and no token shared between factors."""

import pytest
import torch

from cl_explore.data.captions import captions


def test_every_factor_has_words_of_its_own_and_fillers_say_nothing() -> None:
    classes = torch.cartesian_prod(torch.arange(3), torch.arange(4))
    made = captions(classes, (3, 4), torch.Generator().manual_seed(0), fillers=5, of=6)
    assert made.shape == (12, 7)
    assert torch.equal(made[:, 0], 2 + classes[:, 0])
    assert torch.equal(made[:, 1], 5 + classes[:, 1])
    assert made[:, 2:].unique().tolist() == list(range(9, 15))
    assert torch.equal(made, captions(classes, (3, 4), torch.Generator().manual_seed(0), fillers=5, of=6))


@pytest.mark.parametrize("wrong", [[[3, 0]], [[0, -1]], [[0]], [0, 1]])
def test_classes_outside_their_counts_are_refused(wrong: list) -> None:
    with pytest.raises(ValueError, match=r"classes must be \(N, 2\), each from 0 to below \(3, 4\)"):
        captions(torch.tensor(wrong), (3, 4), torch.Generator())
