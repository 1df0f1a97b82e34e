"""The kind of samples: recognised where nothing else can be meant, asked for by name elsewhere."""

import pickle
from typing import Any

import pytest
import torch
from torch import nn

from cl_explore.data import KINDS, Dataset, Modality
from cl_explore.data.kinds import Image, Vector
from cl_explore.views import VectorViews, Views
from cl_explore.views.base import as_numbers


def of(x: object, kind: object = None) -> Dataset:
    return Dataset("some", x, torch.zeros(2, dtype=torch.int64), torch.arange(2), ("one",), kind=kind)


def test_only_vectors_and_images_need_no_name() -> None:
    assert isinstance(of(torch.zeros(2, 5)).modality, Vector)
    assert isinstance(of(torch.zeros(2, 1, 4, 4, dtype=torch.uint8)).modality, Image)
    for x in (torch.zeros(2, 3, 9), torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, 1, 4, 4)):
        with pytest.raises(ValueError, match=r"for other samples name their kind, one of series \(N, C, T\), .*volume"):
            of(x)


def test_parts_have_kinds_of_their_own() -> None:
    x = {"image": torch.zeros(2, 1, 4, 4), "sound": torch.zeros(2, 1, 50, dtype=torch.int16)}
    dataset = of(x, {"sound": "waveform"})
    assert {name: kind.name for name, kind in dataset.modality.items()} == {"image": "image", "sound": "waveform"}
    assert dataset.subset(torch.tensor([1])).modality == dataset.modality


def test_a_kind_of_ones_own() -> None:
    class Angles(Modality):
        name, axes, bounds = "angle", "N, A", (0, 6)

        def encoder(self, x: torch.Tensor) -> nn.Module:
            return nn.Flatten()

        def weak(self, x: torch.Tensor) -> Views[Any]:
            return VectorViews(noise=0.1)

        hard = weak

    assert of(torch.ones(2, 3), Angles()).modality.weak(torch.ones(2, 3)).noise == 0.1
    with pytest.raises(ValueError, match=r"x must be in \[0, 6\] for float angles, got values in \[7, 7\]"):
        of(torch.full((2, 3), 7.0), Angles())
    assert "angle" not in KINDS


@pytest.mark.parametrize(
    ("x", "kind", "error", "message"),
    [
        (torch.zeros(2, 5), "vectors", ValueError, "unknown kind 'vectors'; did you mean 'vector'"),
        (torch.zeros(2, 5), 3, TypeError, "kind must be a name or a Modality for x, got 3"),
        (torch.zeros(2, 5), {"x": "vector"}, TypeError, "kind must be a name or a Modality for x, got {'x'"),
        ({"a": torch.zeros(2, 5)}, "vector", TypeError, "kind must be a dictionary as x is one, got 'vector'"),
        ({"a": torch.zeros(2, 5)}, {"b": "vector"}, ValueError, "unknown part of x in kind 'b'.*known: a"),
        ({"a": torch.zeros(2, 5, 5)}, {}, ValueError, r"x\['a'\] must have shape \(N, F\)"),
        (
            torch.zeros(2, 5),
            "series",
            ValueError,
            r"x must have shape \(N, C, T\) with N >= 1 for series, got \(2, 5\)",
        ),
        (torch.zeros(2, 0), "vector", ValueError, "N >= 1 for vector"),
        (torch.zeros(2, 5), "tokens", ValueError, r"x must be int64 for tokens, got torch.float32"),
        (torch.full((2, 5), -1), "tokens", ValueError, "x must be at least 0 .padding. for tokens, got -1"),
        (
            torch.zeros(2, 1, 5).long(),
            "waveform",
            ValueError,
            "x must be float32 or int16 for waveform, got torch.int64",
        ),
        (torch.full((2, 1, 5), 2.0), "waveform", ValueError, r"x must be in \[-1, 1\] for float waveforms"),
        (torch.full((2, 3, 5), torch.inf), "series", ValueError, "x must be finite"),
    ],
)
def test_what_does_not_fit_is_named(x: object, kind: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        of(x, kind)


def test_integers_become_shares_of_full_scale() -> None:
    assert as_numbers(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [0, 1]
    assert as_numbers(torch.tensor([-32768, 16384], dtype=torch.int16)).tolist() == [-1, 0.5]
    tokens = torch.tensor([3, 4])
    assert as_numbers(tokens) is tokens


def test_a_data_set_can_be_sent_to_other_processes() -> None:
    dataset = of({"a": torch.zeros(2, 5), "b": torch.ones(2, 3, 9)}, {"b": "series"})
    again = pickle.loads(pickle.dumps(dataset))
    assert again.fingerprint() == dataset.fingerprint()
    assert again.modality["b"].name == "series"
