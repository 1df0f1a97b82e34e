"""Sentences that people graded: cosines are held against what was said, and codes of words are the raw input."""

import pytest
import torch

from cl_explore.claims import graded
from cl_explore.data import Dataset, sentences


@pytest.mark.usefixtures("published")
def test_cosines_are_held_against_what_people_said() -> None:
    pairs, sets, captions = sentences.SICK.load("test"), sentences.STS.load("test"), sentences.MULTI30K.load("test")
    words = graded.retrievers("learned", {})["raw words"].build(captions, 0)
    found = graded.agreement(words, captions, pairs, captions=captions, sets=sets)
    assert found[graded.GRADES] > 0.77, "only the three pairs without a shared word change places"
    assert found[graded.SETS] == pytest.approx(0, abs=0.01), "one set agrees, the other says the opposite"
    assert found[graded.FOUND] == 1


def test_a_direction_is_that_of_the_mean_of_the_words() -> None:
    entry = graded.retrievers("learned", {})["untrained encoder"]
    x = torch.tensor([[[2, 3, 0], [3, 2, 2]]])
    captions = Dataset("", x, torch.zeros(1).long(), torch.arange(1), ("an image",), kind=sentences.Sentences())
    method = entry.build(captions, 0)
    weight = method.encoder.weight.detach()
    mean = torch.stack([weight[2] + weight[3], weight[3] + 2 * weight[2]])
    expected = mean / mean.norm(dim=1, keepdim=True)
    torch.testing.assert_close(graded.directions(method, x), expected[None])
