"""Texts become tokens by any tokenizer, and what gives no numbers of words is named by its text."""

from collections import UserDict
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from cl_explore.data import from_texts

TEXTS = ["abc", "d", "ef"]
TOKENS = [[97, 98, 99], [100, 0, 0], [101, 102, 0]]


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


@pytest.mark.parametrize("texts", [TEXTS, tuple(TEXTS), np.array(TEXTS), pd.Series(TEXTS, index=[7, 8, 9])])
def test_texts_from_anywhere(texts: Any) -> None:
    dataset = from_texts(texts, letters, ["x", "y", None])
    assert dataset.x.tolist() == TOKENS
    assert (dataset.labels.tolist(), dataset.class_names, dataset.modality.name) == ([0, 1, -1], ("x", "y"), "tokens")


@pytest.mark.parametrize(
    "tokenizer",
    [
        lambda text: torch.tensor(letters(text)),
        lambda text: np.array(letters(text), np.int32),
        lambda text: {"input_ids": letters(text), "attention_mask": [1] * len(text)},
        lambda text: UserDict(input_ids=[*letters(text), 0, 0, 0][:3]),  # as Hugging Face's, with padding
    ],
)
def test_tokenizers_of_any_make(tokenizer: Any) -> None:
    assert from_texts(TEXTS, tokenizer).x.tolist() == TOKENS


@pytest.mark.parametrize(
    ("texts", "tokenizer", "error", "message"),
    [
        ([], letters, ValueError, "texts must be at least one, got none"),
        ("abc", letters, TypeError, "texts must be a sequence, got 'abc'"),
        (["a", float("nan")], letters, TypeError, r"texts must be strings, got nan \(float\) as text 1"),
        (
            ["a", ""],
            letters,
            ValueError,
            r"tokenizer gives for text 1 must be a list of at least one number.*\(0,\): ''",
        ),
        (["a"], lambda text: [letters(text)], ValueError, r"tokenizer gives for text 0 .* got shape \(1, 1\): 'a'"),
        (["a"], lambda text: [0.5], TypeError, "tokenizer gives for text 0 must be integers"),
        (["a"], lambda text: None, TypeError, "tokenizer gives for text 0 must be a tensor or array, got NoneType"),
        (["a"], lambda text: {"ids": [5]}, TypeError, "tokenizer gives for text 0 must be .* got NoneType"),
        (["a"], lambda text: text.split(), TypeError, "tokenizer gives for text 0 must be numbers"),
        (["a"], lambda text: [0, 5], ValueError, "must count words from 2, .* got 0: count from there by lambda text"),
        (["a"], lambda text: [5, 1, 0], ValueError, "must count words from 2, as 0 is padding and 1 the mask, got 1"),
        (["a"], "bert", TypeError, "tokenizer must be a function, got 'bert'"),
        (["a"], letters, ValueError, "labels must be 1 whole numbers or texts"),
    ],
)
def test_what_gives_no_words_is_named(texts: Any, tokenizer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        from_texts(texts, tokenizer, [1, 2] if "labels" in message else None)
