"""Columns of data frames become vectors and labels; what is missing is named by its column and row."""

import numpy as np
import pandas as pd
import pytest

from cl_explore.data import from_frame

FRAME = pd.DataFrame(
    {
        "height": [1.5, 2.0, 3.0],
        "count": pd.array([1, 2, 3], dtype="Int64"),
        "old": [True, False, True],
        "thin": pd.arrays.SparseArray([0.0, 1.0, 0.0]),
        "gap": [1.0, np.nan, 0.0],
        "hole": pd.array([1, 2, None], dtype="Int64"),
        "huge": [0.0, 1e300, 0.0],
        "sort": ["b", "a", None],
        "size": pd.Categorical(["small", "large", "small"], categories=["small", "large"]),
        "day": pd.to_datetime(["2026-01-01"] * 3),
        7: [0, 1, 0],
    },
    index=[10, 20, 30],
)


def test_columns_become_vectors_in_the_order_asked_for() -> None:
    dataset = from_frame(FRAME, ["old", "height", "count", "thin", 7])
    assert dataset.x.tolist() == [[1, 1.5, 1, 0, 0], [0, 2, 2, 1, 1], [1, 3, 3, 0, 0]]
    assert dataset.labels.tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("label", "coded", "class_names"),
    [
        ("sort", [1, 0, -1], "ab"),
        ("size", [0, 1, 0], ("small", "large")),
        ("gap", [1, -1, 0], "01"),
        ("hole", [1, 2, -1], "012"),
        ("old", [1, 0, 1], "01"),
        (7, [0, 1, 0], "01"),
    ],
)
def test_a_column_becomes_the_labels(label: str | int, coded: list[int], class_names: str | tuple[str, ...]) -> None:
    dataset = from_frame(FRAME, ["height"], label)
    assert (dataset.labels.tolist(), dataset.class_names) == (coded, tuple(class_names))


@pytest.mark.parametrize(
    ("features", "label", "error", "message"),
    [
        (
            ["height", "gap"],
            None,
            ValueError,
            r"'gap' holds nan in row 1 \(index 20\), and 1 such in all: frame.dropna",
        ),
        (["hole"], None, ValueError, r"'hole' holds <NA> in row 2 \(index 30\)"),
        (["huge"], None, ValueError, r"'huge' holds 1e\+300 in row 1"),
        (["sort"], None, TypeError, "features must be columns of numbers, but 'sort' holds .*: pandas.to_numeric"),
        (["size"], None, TypeError, "'size' holds category"),
        (["day"], None, TypeError, "'day' holds datetime64"),
        (["depth"], None, ValueError, "features must be in frame, once, which has 'height', .* got 'depth'"),
        (["height"], "depth", ValueError, "label must be in frame, once, .* got 'depth'"),
        (["height", "sort"], "sort", ValueError, r"features must be at least one column, and not the label, got \["),
        ([], None, ValueError, "features must be at least one column"),
        ("height", None, TypeError, "features must be a sequence"),
        (["height"], "day", ValueError, "labels must be 3 whole numbers or texts"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_what_is_missing_or_no_number_is_named(
    features: list[str], label: str | None, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        from_frame(FRAME, features, label)


def test_a_name_of_two_columns_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features must be in frame, once, .* got 'a'"):
        from_frame(pd.DataFrame(np.zeros((2, 2)), columns=["a", "a"]), ["a"])
