"""Bring your own: texts and the tokenizer that numbers their words."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cl_explore.data.arrays import from_arrays
from cl_explore.data.dataset import Dataset
from cl_explore.given import integers, numbers
from cl_explore.takes import takes
from cl_explore.views import MASK, PADDING


@takes
def from_texts(
    texts: Sequence[Any],
    tokenizer: Callable[[str], Any],
    labels: Tensor | ArrayLike | None = None,
    *,
    name: str = "texts",
    class_names: Sequence[str] | None = None,
) -> Dataset:
    """The data set of texts as tokens (N, L), 0 filling each row up to the longest.

    texts: strings, in a list, an array or a column of a data frame.
    tokenizer: gives a list of whole numbers of a string, or what Hugging Face's give, with "input_ids". Words count
        from 2, as 0 is padding (which it may put at the end) and 1 the mask; truncation is its own.
    labels, class_names: as for `from_arrays`.

    Raises TypeError or ValueError naming the text that is none or of which no such numbers are made.

    >>> words = {"a": 2, "red": 3, "ball": 4}
    >>> from_texts(["a red ball", "red"], lambda text: [words[word] for word in text.split()]).x
    tensor([[2, 3, 4],
            [3, 0, 0]])
    """
    if not texts:
        raise ValueError("texts must be at least one, got none")
    rows = [_tokens(text, tokenizer, place) for place, text in enumerate(texts)]
    x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PADDING)
    return from_arrays(x, labels, kind="tokens", name=name, class_names=class_names)


def _tokens(text: Any, tokenizer: Callable[[str], Any], place: int) -> Tensor:
    """The numbers of one text, without padding."""
    if not isinstance(text, str):
        raise TypeError(f"texts must be strings, got {text!r:.40} ({type(text).__name__}) as text {place}")
    made: Any = tokenizer(text)
    made = made.get("input_ids") if isinstance(made, Mapping) else made
    what = f"what tokenizer gives for text {place}"
    found = numbers(made, what)
    if found.ndim != 1 or len(found) == 0:
        raise ValueError(f"{what} must be a list of at least one number, got shape {tuple(found.shape)}: {text!r:.40}")
    found = integers(found, what).cpu()
    found = found[: len(found) - int((found.flip(0) != PADDING).int().argmax())]
    if found.min() <= MASK:
        raise ValueError(
            f"{what} must count words from {MASK + 1}, as {PADDING} is padding and {MASK} the mask, got "
            f"{int(found.min())}: count from there by lambda text: [number + {MASK + 1} for number in tokenizer(text)]"
        )
    return found
