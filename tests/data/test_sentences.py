"""Sentences: graded pairs and captions are read from the folders of their clones, and what is damaged is named."""

from pathlib import Path

import pytest
import torch
from torch import Generator

from cl_explore.data import sentences


def test_published_pairs_and_captions_are_read(published: Path) -> None:
    pairs, sets, captions = sentences.SICK.load("train"), sentences.STS.load("test"), sentences.MULTI30K.load("test")
    assert pairs.factors["first"].tolist() == [0, 0, 0, 0, 5, 5]
    assert pairs.factors["score"].tolist() == pytest.approx([5, 1.3, 3.6, 2.2, 2, 1])
    assert pairs.x[0, 0].tolist() == sentences.tokens("a dog, RUNS fast!")
    assert (sets.class_names, sets.labels.tolist()) == (("2014/images", "2015/belief"), [0, 0, 1, 1])
    assert captions.x.shape == (12, 5, 32)
    assert captions.x[2, 4].tolist() == sentences.tokens("caption 5 of image 2")
    assert [pairs.class_names[label] for label in pairs.labels[:3]] == ["ENTAILMENT", "NEUTRAL", "CONTRADICTION"]
    file = published / "dataset-sts/data/sts/sick2014/SICK_train.txt"
    file.write_text("pair_ID\n1\tbroken\n")
    with pytest.raises(ValueError, match=r"SICK_train.txt must have the columns pair_ID"):
        sentences.SICK.load("train")
    file.write_text("pair_ID\n1\ta\tb\t3\tPERHAPS\n")
    with pytest.raises(ValueError, match=r"SICK_train.txt must judge each pair as one of .*got 'PERHAPS'"):
        sentences.SICK.load("train")


def test_two_captions_are_two_of_an_image() -> None:
    x = torch.arange(20).view(4, 5, 1)
    drawn = sentences.two_captions(x, Generator().manual_seed(0), 2)
    assert drawn.shape == (4, 2, 1)
    assert torch.equal(drawn // 5, torch.arange(4)[:, None, None].expand(4, 2, 1))
    assert (drawn[:, 0] != drawn[:, 1]).all()
