"""What is said where a data set is needed and something else is given, whoever asks for one."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from cl_explore import data, evaluate, methods, nn, train, views

X = torch.rand(4, 3)
RAW = {
    "from_torch(...)": [TensorDataset(X), DataLoader(TensorDataset(X))],
    'from_frame(..., features=["column", ...], label="column")': [pd.DataFrame({"a": [1.0]})],
    "from_texts(texts, tokenizer, labels)": [["a red ball"], pd.Series(["a red ball"]), np.array(["a", "b"])],
    'from_arrays({"name": x, ...}, labels, kind={"name": "series", ...})': [{"left": X, "right": X}],
    "from_arrays(x, labels)": [X, X.numpy(), X.tolist(), [], (X, torch.arange(4)), pd.Series([1.0])],
    "load('digits')": ["digits"],
    "from_folder(...)": ["pictures", Path("pictures")],
}


@pytest.mark.parametrize(("line", "given"), [(line, given) for line, each in RAW.items() for given in each])
def test_the_line_that_makes_a_data_set_of_it_is_named(line: str, given: Any) -> None:
    method = methods.JointEmbedding(nn.MLP([3, 4]), nn.MLP([4, 4]), "nt_xent", views.VectorViews())
    good: Any = data.from_arrays(X)
    with pytest.raises(TypeError, match=rf"^dataset must be a Dataset, got .*: write dataset=data.{re.escape(line)}"):
        train.fit(method, given, epochs=1)
    with pytest.raises(TypeError, match=rf"^snapshot_data must be a .*: write snapshot_data=data.{re.escape(line)}"):
        train.fit(method, good, epochs=1, snapshot_data=given)
    with pytest.raises(TypeError, match=rf"^dataset must be a .*: write dataset=data.{re.escape(line)}"):
        evaluate.embed(method, given)


@pytest.mark.parametrize("given", [None, 3, object(), np.array(1.0), torch.tensor(1.0), {1, 2}])
def test_what_no_line_helps_is_only_refused(given: Any) -> None:
    with pytest.raises(TypeError, match=r"^dataset must be a Dataset, got \w+$"):
        train.fit(
            methods.JointEmbedding(nn.MLP([3, 4]), nn.MLP([4, 4]), "nt_xent", views.VectorViews()), given, epochs=1
        )
