"""Every public function and class refuses every wrong argument by name, and reads all that is unambiguous."""

import collections.abc
import copy
import dataclasses
import importlib
import inspect
import math
import pkgutil
import re
import signal
import sys
import types
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import cl_explore
from cl_explore import data, geometry, losses, methods, names, plots, train, views, widgets
from cl_explore import nn as networks
from cl_explore.given import Array

sys.path.append(str(Path(__file__).parent / "losses"))
from gpu_stages.inputs import given

ROOMS = [module.name for module in pkgutil.iter_modules(cl_explore.__path__) if module.ispkg]
N = 12
Z = torch.randn(N, 2, 4, generator=torch.Generator().manual_seed(0))
X, Y = Z[:, 0].contiguous(), torch.arange(N) % 3
DATA = data.from_arrays(X.numpy(), Y)
WORLD = data.load("factor_world", n=4)
FACES = {"a": views.VectorViews(), "b": views.VectorViews()}


def two(before: int, after: int) -> dict[str, nn.Module]:
    return {"a": nn.Linear(before, after), "b": nn.Linear(before, after)}


class Hub:
    """What is asked of a set of the package `datasets`."""

    column_names, features, _fingerprint = (
        ("image", "label"),
        types.MappingProxyType({"image": None, "label": None}),
        "",
    )

    def __len__(self) -> int:
        return 2

    def __getitem__(self, key: Any) -> Any:
        return [1, 0] if key == "label" else {"image": Image.new("RGB", (4, 4))}


def own(z: Tensor) -> Tensor:
    """A loss of a reader's own."""
    return z.square().sum((1, 2))


METHOD = methods.JointEmbedding(nn.Linear(4, 3), nn.Linear(3, 2), "nt_xent", views.VectorViews())
RUN = train.fit(METHOD, DATA, epochs=2, batch_size=6, snapshots=3, store=False, progress=False)
FEATURES = data.FeatureWorld()
SAMPLED = FEATURES.sample(6, torch.Generator().manual_seed(0))
MIXES = losses.draw_mixes(N, hardest=4, pairs=2, queries=2, generator=torch.Generator())
VALID: dict[str, Any] = {
    # a valid value by the name of the argument, for those without a default
    "graph": geometry.knn_graph(X, 3), "source": X,
    "x": X, "y": X.roll(1, 0), "z": Z, "labels": Y, "k": 3, "count": 2, "counts": 2, "found": Y.roll(1),
    "train_h": X, "train_labels": Y, "test_h": X.roll(1, 0), "test_labels": Y, "shots": 2, "query": X,
    "key": X.roll(1, 0), "relevance": torch.eye(N), "method": METHOD, "dataset": DATA, "train": DATA, "test": DATA,
    "corruptions": {"none": lambda x, generator: x}, "similarity": X[0], "run": RUN, "snapshots": RUN.snapshots,
    "name": "nt_xent", "generator": torch.Generator(), "encoder": nn.Linear(4, 3), "head": nn.Linear(3, 2),
    "loss": "nt_xent", "augment": views.VectorViews(), "fig": plots.figure(), "alt": "what this picture shows" * 2,
    "size": 8, "dim": 4, "prototypes": 3, "sizes": [4, 3], "in_features": 4, "hidden": 4, "out_features": 2,
    "module": nn.Linear(2, 2), "vocabulary": 9, "blocks": [1], "bottleneck": False, "part": networks.MLP([4, 3]),
    "slug": "cacr", "grid": {"lr": [0.1, 0.2]}, "total": 5, "decay": 0.9, "tensors": X, "scores": X, "epsilon": 0.1,
    "iterations": 2, "features": X, "num_classes": 3, "points": X, "first": Y, "second": Y,
    "share": torch.full((N,), 0.5), "shape": 3, "a": X, "b": X, "scale": 1.0, "anchors": 3, "hardest": 4, "pairs": 2,
    "queries": 2, "queue": X, "mixes": MIXES, "params": [nn.Parameter(X)], "lr": 0.1, "ratio": 2.0, "epochs": 1,
    "rows": [0, 1], "sample": 1, "views": 2, "samples": 2, "path": "pictures", "parts": {"loss": X[:, 0]},
    "width": 4, "transformer": networks.Transformer(4), "kind": "loss", "known": ["nt_xent"], "train_y": X[:, 0],
    "test_y": X[:, 1], "persons": 3, "recordings": 2, "segments": 2,
}  # fmt: skip
SPECIAL: dict[str, dict[str, Any]] = {
    "evaluate.knn_accuracy": {"k": 3},
    "evaluate.corrupted_accuracy": {"k": 3},
    "evaluate.linear_probe": {"epochs": 1, "progress": False},
    "plots.circle": {"z": X[:, :2]},
    "plots.sphere": {"z": X[:, :3]},
    "plots.sphere_3d": {"z": X[:, :3]},
    "geometry.nearest": {"own": torch.arange(N)},
    "data.load": {"name": "digits"},
    "data.Dataset": {"name": "mine", "index": torch.arange(N), "class_names": ("a", "b", "c")},
    "losses.beta": {"a": 1.0, "b": 1.0},
    "losses.row_lse": {"a_ids": Y, "b_ids": Y, "exclude": ["same"]},
    "losses.cluster_concentration": {"prototypes": X[:3], "z": X},
    "losses.Loss": {
        "function": own,
        "title": "t",
        "paper": "p",
        "family": "f",
        "formula": "x",
        "knobs": (),
        "min_samples": 2,
        "min_views": 1,
        "max_views": None,
        "raw": False,
    },
    "losses.Choice": {"options": ("a", "b")},
    "losses.Knob": {"low": 0.1, "high": 0.9},
    "losses.Queue.enqueue": {"rows": X, "labels": Y},
    "losses.SogCLR.forward": {"index": torch.arange(N)},
    "losses.ISogCLR.forward": {"index": torch.arange(N)},
    "losses.NNCLR.forward": {"prediction": Z},
    "data.Dataset.to": {"device": "cpu"},
    "data.FactorViews.__call__": {"x": data.factor_rows(WORLD).x},
    "data.FactorViews.plain": {"x": data.factor_rows(WORLD).x},
    "data.FeatureWorld.sample": {"n": 3},
    "data.FeatureWorld.vary": {"f": SAMPLED, "resample": ["pose"]},
    "data.FeatureWorld.observe": {"f": SAMPLED},
    "views.Transform": {"transform": lambda image: image},
    "views.Transform.__call__": {"x": torch.rand(N, 3, 4, 4)},
    "data.from_hugging_face": {"source": Hub(), "size": 4},
    "data.from_torch": {"source": TensorDataset(X, Y), "progress": False},
    "data.from_frame": {"frame": pd.DataFrame(X.numpy(), columns=list("abcd")), "features": ["a", "d"]},
    "data.from_texts": {"texts": ["one", "two", "three"], "tokenizer": lambda text: [ord(letter) for letter in text]},
    "methods.Tower": {"name": "a"},
    "methods.TwoTower.tower": {"name": "a"},
    "losses.Loss.fits": {"views": 2},
    "losses.loss": {"title": "t", "paper": "p", "family": "f", "formula": "x", "knobs": []},
    "methods.Predictive": {"loss": "byol", "predictor": nn.Linear(2, 2)},
    "methods.MomentumContrast": {"loss": "moco"},
    "methods.TwoTower": {"encoder": two(4, 3), "head": two(3, 2), "loss": "clip", "augment": FACES},
    "train.fit": {"batch_size": 6, "store": False, "progress": False},
    "train.Loop": {"batch_size": 6, "epochs": 1},
    "data.factor_rows": {"dataset": WORLD},
    "data.FactorViews": {"resample": ("style",)},
    "plots.pictures": {"images": torch.zeros(2, 2, 1, 4, 4)},
    "widgets.bet": {"question": "Heads or tails?", "options": ["heads", "tails"]},
    "widgets.SweepPanel": {"train": lambda lr: RUN},
    "widgets.TemperaturePanel": {"z": Z},
    "train.sweep": {"train": lambda lr: RUN, "jobs": 1, "progress": False},
    "train.export": {"path": "deep/encoder.pt2", "shape": (4,)},
    "papers.has": {"part": "study"},
}


class OwnViews(views.Views[Tensor]):
    """What a reader writes: the form for views, with nothing of its own."""

    def _apply(self, x: Tensor, parameters: Tensor) -> Tensor:
        return x + parameters

    def _draw(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(x.shape, generator=generator).to(x)


FORMS = {"views.Views": OwnViews}
"""What cannot be made itself, and a subclass that is tried in its place."""
METHODS: dict[str, Any] = {
    "losses.Loss": (losses.nt_xent, ["bounds", "fits"]),
    "losses.Queue": (losses.Queue(8, 4), ["enqueue"]),
    "losses.SogCLR": (losses.SogCLR(N), ["forward"]),
    "losses.ISogCLR": (losses.ISogCLR(N), ["forward"]),
    "losses.SwAV": (losses.SwAV(prototypes=3, dim=4), ["forward"]),
    "losses.CLIP": (losses.CLIP(), ["forward"]),
    "losses.SigLIP": (losses.SigLIP(), ["forward"]),
    "losses.MoCo": (losses.MoCo(size=24, dim=4), ["forward"]),
    "losses.NNCLR": (losses.NNCLR(size=24, dim=4), ["forward"]),
    "data.Dataset": (DATA, ["rows", "batch", "subset", "to", "thumbnails"]),
    "data.Modality": (data.KINDS["vector"], ["check"]),
    "data.FactorViews": (data.FactorViews(("style",)), ["__call__", "plain"]),
    "data.FeatureWorld": (FEATURES, ["sample", "vary", "observe"]),
    "views.Views": (OwnViews(), ["__call__", "parameters"]),
    "views.Transform": (views.Transform(lambda image: image), ["__call__"]),
    "views.VectorViews": (views.VectorViews(), ["__call__", "parameters"]),
    "views.ImageViews": (views.ImageViews, ["weak", "simclr"]),
    "methods.TwoTower": (methods.TwoTower(two(4, 3), two(3, 2), "clip", FACES), ["tower"]),
    "widgets.EmbeddingPanel": (widgets.EmbeddingPanel(RUN), ["choose", "select"]),
}
"""An instance of each class with methods that readers call, and these."""
BETWEEN = {
    "methods",
    "nn",
    "train",
    "losses.Loss",
    "losses.Knob",
    "losses.Choice",
    "losses.PaCo",
    "widgets.SweepPanel",
    "widgets.EmbeddingPanel",
}
"""Rooms and classes whose further methods are called by loops, by networks and by their subclasses."""
LEFT_OUT = {"data.Modality": "takes nothing; see its methods"}


def public() -> dict[str, Any]:
    """Every public function, loss and class by its full name, without the records that functions give back."""
    found = {}
    for room in ROOMS:
        module = importlib.import_module(f"cl_explore.{room}")
        for name, value in vars(module).items():
            if name.startswith("_") or name in ("takes", "needed") or not callable(value):
                continue
            form = isinstance(value, type) and (hasattr(value, "_fields") or issubclass(value, Warning))
            record = dataclasses.is_dataclass(value) and not hasattr(value, "__post_init__")
            if (
                str(getattr(value, "__module__", "")).startswith("cl_explore.")
                and value is not names.unknown
                and not form
                and not record
            ):
                found[f"{room}.{name}"] = value
    found = {name: FORMS.get(name, value) for name, value in found.items() if name not in LEFT_OUT}
    methods = {f"{owner}.{one}": getattr(instance, one) for owner, (instance, each) in METHODS.items() for one in each}
    return found | methods


def test_every_class_is_in_the_table_with_its_methods() -> None:
    missing = []
    for owner, value in public().items():
        if isinstance(value, type) and not {owner, owner.partition(".")[0]} & BETWEEN:
            for one, method in vars(value).items():
                takes_something = inspect.isfunction(method) and len(inspect.signature(method).parameters) > 1
                if takes_something and not one.startswith("_") and one not in METHODS.get(owner, (None, []))[1]:
                    missing.append(f"{owner}.{one}")
    assert missing == []


WRONG: dict[str, Any] = {
    "None": None, "a text": "no such thing", "texts": ["1", "b"], "bytes": b"12", "a set": {1, 2}, "a map": {"a": 1},
    "an object": object(), "complex": 1j, "True": True, "zero": 0, "minus one": -1, "half": 2.5, "huge": 10**30,
    "minus huge": -(10**30), "NaN": math.nan, "infinity": -math.inf, "nothing": [], "ragged": [[1.0], [1.0, 2.0]],
    "gaps": np.array([1.0, None]), "a scalar array": np.array(math.nan), "a meta tensor": torch.ones(N, device="meta"),
    "dates": np.array(["2020-01-01"], dtype="datetime64[D]"),
}  # fmt: skip
CHANGES: dict[str, Callable[[Tensor], Any]] = {
    "empty": lambda a: a[:0],
    "a row too few": lambda a: a[:-1],
    "a row too many": lambda a: torch.cat([a, a[:1]]),
    "one number": lambda a: a.flatten()[0],
    "two axes more": lambda a: a[..., None, None],
    "no width": lambda a: a[..., None][..., :0],
    "bool": lambda a: a > 0,
    "complex numbers": lambda a: a + 0j,
    "the other kind": lambda a: a.long() if a.is_floating_point() else a.float(),
    "sparse": lambda a: a.to_sparse(),
    "masked": lambda a: np.ma.masked_equal(a.numpy(), a.flatten()[0].item()),
    "below all": lambda a: a > 0 if a.is_floating_point() else a - 5,
}
RIGHT = {
    "data.Modality.check(argument)": {*WRONG, "a generator"},
    "data.Dataset.rows(rows)": {"a set", "a generator", "nothing"},
    "data.Dataset.batch(rows)": {"a set", "a generator", "nothing"},
    "data.Dataset.thumbnails(rows)": {"a set", "a generator", "nothing"},
    "widgets.EmbeddingPanel.select(rows)": {"a set", "a generator"},
    "data.Dataset.subset(rows)": {"a set", "a generator"},
    "losses.Knob(minimum)": {"infinity"},
    "losses.Knob(maximum)": {"infinity"},
    "losses.Queue.enqueue(labels)": {"below all"},
    "views.Views.__call__(x)": {"two axes more", "no width", "a meta tensor"},
    "data.FactorViews.plain(x)": {"two axes more"},
    "views.Views.parameters(x)": {"two axes more", "no width", "a meta tensor"},
    "geometry.class_means(x)": {"two axes more", "no width"},
    "losses.soft_sort(x)": {"a meta tensor"},
    "methods.gather(tensors)": {"a meta tensor", *CHANGES},
    "methods.Skeleton(classes)": {"a meta tensor"},
    "data.from_arrays(x)": {"bool", "the other kind", "below all"},
    "data.Dataset(index)": {"below all"},
    "losses.row_lse(a_ids)": {"below all"},
    "losses.row_lse(b_ids)": {"below all"},
    "train.LARS(params)": {"a meta tensor"},
    "evaluate.ndcg(relevance)": {"bool", "the other kind", "below all"},
    "evaluate.ridge_regression(train_y)": {"bool", "the other kind", "below all"},
    "evaluate.ridge_regression(test_y)": {"bool", "the other kind", "below all"},
    "plots.pictures(images)": {"the other kind"},
}
"""What looks wrong and is taken, by function and argument: any number of axes, any type of numbers."""
LABELS = {"labels", "train_labels", "test_labels", "found"}
OF_TWO_CLASSES = {"bool"}
"""What labels outside of losses may be as well: truth values, as in a column of a data frame."""
SLOW = {"widgets.RedrawPanel"}
"""What takes seconds to make, which is left at values of a wrong type."""
OF_ROWS = {"a row too few", "a row too many", "empty"}
"""Changes of which the error may name the argument that they no longer fit to."""


def wrong(value: Any) -> Iterator[tuple[str, Any]]:
    """Everything that is tried where `value` is right."""
    yield from WRONG.items()
    yield "a generator", (number for number in range(3))
    if isinstance(value, Tensor):
        yield from ((name, change(value)) for name, change in CHANGES.items())


def legal(hint: Any, value: Any) -> bool:
    """Whether a plain argument annotated so may have this value."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return legal(parts[0], value)  # what is out of range is refused, which no annotation of ours can say too late
    if origin in (Union, types.UnionType):
        return any(legal(part, value) for part in parts)
    if origin is Literal:
        return isinstance(value, str) and value in parts
    if origin in (collections.abc.Sequence, collections.abc.Iterable, list, tuple):
        return isinstance(value, list) and all(legal(parts[0], one) for one in value)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if hint is Tensor or getattr(hint, "_is_protocol", False):
        return False  # every tensor that is tried is wrong
    kind = origin or hint
    return hint is Any or (isinstance(kind, type) and isinstance(value, kind))


def arguments(name: str, function: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A valid value of each argument that is tried, and the annotation of each."""
    if isinstance(function, losses.Loss):
        knobs = {k: str if isinstance(v, str) else float for k, v in function.defaults.items()}
        hints = knobs | {"reduction": Literal["mean", "none"], "normalize": bool | None}
        optional = set(function.arguments) - set(function.needs)
        return given(function, Z, Y), hints | dict.fromkeys(optional, type(None))
    maker = function.__init__ if isinstance(function, type) else function
    try:
        hints = get_type_hints(maker, include_extras=True)
    except NameError:  # a return type that only type checkers import
        hints = dict(maker.__annotations__)
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    return {one: VALID[one] for one in needed if one in VALID} | SPECIAL.get(name, {}), hints


def call(function: Any, values: dict[str, Any]) -> Any:
    """The function called by name, but for an argument that stands for any number of them."""
    parameters = inspect.signature(function).parameters.values()
    several = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL and p.name in values), None)
    if several is None:
        return function(**values)
    before = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name in values]
    rest = {name: value for name, value in values.items() if name not in (*before, several)}
    return function(*(values[name] for name in before), values[several], **rest)


def answers(name: str, function: Any, one: str, values: dict[str, Any], hint: Any) -> Iterator[str]:
    """What is wrong with the answers to each wrong value of one argument."""
    default = inspect.signature(function).parameters[one].default
    right = RIGHT.get(f"{name}({one})", set()) | (OF_TWO_CLASSES if hint == Array and one in LABELS else set())
    for label, value in wrong(values.get(one, default)):
        if (value is True or name in SLOW) and legal(hint, value):
            continue
        try:
            call(function, copy.deepcopy(values) | {one: value} if "method" in values else values | {one: value})
        except (TypeError, ValueError, FileNotFoundError) as error:
            patterns = [each.replace("_", "[_ ]") for each in (values if label in OF_ROWS else [one])]
            if not any(re.search(rf"\b{each}\b|^unknown ", str(error)) for each in patterns):
                yield f"{label}: {type(error).__name__} names no {one}: {error!s:.80}"
        except ImportError as error:  # of a set of a hub whose package is not here
            if one != "source" or not isinstance(value, str):
                yield f"{label}: {error!r}"
        except FloatingPointError:  # training that diverges says so
            if label != "huge":
                yield f"{label}: diverged"
        except Exception as error:
            yield f"{label}: {type(error).__name__}: {error!s:.80}"
        else:
            fits = label in OF_ROWS and values[one].is_floating_point()  # there may be any number of these
            if not (legal(hint, value) or fits or label in right):
                yield f"{label}: accepted"


def hang(number: int, frame: Any) -> None:
    raise TimeoutError("took more than ten seconds")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", public())
def test_every_wrong_argument_is_refused_by_name(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    function = public()[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    Path("pictures").mkdir()
    Image.new("RGB", (4, 4)).save("pictures/one.png")
    values, hints = arguments(name, function)
    before = signal.signal(signal.SIGALRM, hang)
    try:
        problems = []
        for one, parameter in inspect.signature(function).parameters.items():
            if parameter.kind is not parameter.VAR_KEYWORD:
                signal.alarm(10)
                hint = hints.get(one, parameter.annotation)
                problems += [f"{one}, {problem}" for problem in answers(name, function, one, values, hint)]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert not problems, "\n" + "\n".join(problems)
