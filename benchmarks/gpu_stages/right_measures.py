"""Views, measures of geometry and probes on the device against the CPU."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cl_explore import data, evaluate, geometry, nn, views
from gpu_stages.case import Case


def cases(small: bool, device: str) -> list[Case]:
    rows = 100 if small else 2000
    return [
        Case("views", 30, partial(views_are_same, device, 8 if small else 64)),
        Case("geometry", 60, partial(geometry_is_same, device, rows)),
        Case("probes", 60, partial(probes_are_same, device, rows)),
    ]


def numbers(result: Any) -> list[Tensor]:
    """All numbers in a tensor, a number, a tuple, a dictionary or a record, as float64 on the CPU."""
    if isinstance(result, Tensor):
        return [result.detach().double().cpu()]
    if isinstance(result, bool | int | float):
        return [torch.tensor(float(result), dtype=torch.float64)]
    if result is None:
        return []
    if is_dataclass(result):
        result = {each.name: getattr(result, each.name) for each in fields(result)}
    parts = result.values() if isinstance(result, dict) else result
    return [number for part in parts for number in numbers(part)]


def compare(function: Callable[[str], Any], device: str, allowed: float) -> str:
    """What is wrong on the device, or nothing; errors are measured against the largest number of each result."""
    try:
        pairs = zip(numbers(function(device)), numbers(function("cpu")), strict=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    off = max(float((here - there).abs().max() / there.abs().max().clamp(1e-6)) for here, there in pairs)
    return "" if off <= allowed else f"off by {off:.2g}"


def every(table: dict[str, Callable[[str], Any]], device: str, allowed: float) -> dict[str, Any]:
    found = {name: compare(function, device, allowed) for name, function in table.items()}
    return {"compared": list(found), "wrong": [f"{name}: {why}" for name, why in found.items() if why]}


def views_are_same(device: str, samples: int) -> dict[str, Any]:
    """One generator on the CPU draws for both; then under autocast, which must not reach the colours, and of halves."""
    draw = torch.Generator().manual_seed(0)
    pictures, series = torch.rand(samples, 3, 32, 32, generator=draw), torch.randn(samples, 3, 100, generator=draw)
    tokens = torch.randint(2, 50, (samples, 12), generator=draw)
    kinds: dict[str, tuple[views.Views[Any], Tensor]] = {
        "simclr": (views.ImageViews.simclr(), pictures),
        "weak": (views.ImageViews.weak(), pictures[:, :1]),
        "hard": (views.HardViews(), pictures),
        "video": (views.VideoViews(crop_area=0.5, flip=0.5), pictures.view(samples // 4, 4, 3, 32, 32)),
        "volume": (views.VolumeViews(crop_area=0.5, flip=0.5), pictures.view(samples // 4, 3, 4, 32, 32)),
        "series": (views.SeriesViews(crop=0.5, mask=0.1), series),
        "points": (views.PointViews(), series.transpose(1, 2)),
        "tokens": (views.TokenViews(), tokens),
        "vectors": (views.VectorViews(), series[:, 0]),
    }

    def of(kind: str, where: str, dtype: torch.dtype | None = None) -> Tensor:
        augment, x = kinds[kind]
        x = x.to(where) if dtype is None else x.to(where, dtype)
        return augment(x, torch.Generator().manual_seed(1), 2)

    def under_autocast(where: str) -> Tensor:
        with torch.autocast(where, dtype=torch.bfloat16, enabled=where == device):
            return of("simclr", where)

    table: dict[str, Callable[[str], Any]] = {kind: partial(of, kind) for kind in kinds}
    table["simclr under autocast"] = under_autocast
    found = every(table, device, 1e-4)
    half = every({"simclr of halves": lambda where: of("simclr", where, torch.bfloat16)}, device, 0.05)
    again = [kinds["simclr"][0](pictures.to(device), torch.Generator(device).manual_seed(2), 2) for _ in range(2)]
    twice = [] if torch.equal(*again) else ["simclr: a generator on the device draws otherwise the second time"]
    return {"compared": found["compared"] + half["compared"], "wrong": found["wrong"] + half["wrong"] + twice}


def embeddings(rows: int) -> tuple[Tensor, Tensor]:
    """Points (N, 24) of five classes that overlap, in float64, where no two distances are equal but for rounding."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(rows) % 5
    centres = torch.randn(5, 24, generator=draw)
    return (centres[labels] + torch.randn(rows, 24, generator=draw)).double(), labels


def geometry_is_same(device: str, rows: int) -> dict[str, Any]:
    points, classes = embeddings(rows)

    def on(function: Callable[[Tensor, Tensor], Any]) -> Callable[[str], Any]:
        return lambda where: function(points.to(where), classes.to(where))

    table = {
        "alignment": on(lambda x, y: geometry.alignment(x.unflatten(0, (-1, 2)))),
        "alpha_req": on(lambda x, y: geometry.alpha_req(x)),
        "centroid_similarity": on(geometry.centroid_similarity),
        "class_means": on(geometry.class_means),
        "dispersion": on(geometry.dispersion),
        "effective_rank": on(lambda x, y: geometry.effective_rank(x)),
        "hubness": on(lambda x, y: geometry.hubness(geometry.knn_graph(x, 5))),
        "knn_overlap": on(lambda x, y: geometry.knn_overlap(x, x[:, :12], 5)),
        "nearest": on(lambda x, y: geometry.nearest(x, x, 5)),
        "neural_collapse": on(geometry.neural_collapse),
        "participation_ratio": on(lambda x, y: geometry.participation_ratio(x)),
        "spectrum": on(lambda x, y: geometry.spectrum(x)),
        "summary": on(geometry.summary),
        "tolerance": on(geometry.tolerance),
        "uniformity": on(lambda x, y: geometry.uniformity(x)),
    }
    return every(table, device, 1e-4)


def probes_are_same(device: str, rows: int) -> dict[str, Any]:
    """Accuracies: of what is trained, a few samples in a hundred may lie so near a border that rounding decides."""
    x, y = embeddings(2 * rows)
    world = data.load("gaussians", "train")
    test = data.load("gaussians", "test")

    def parts(where: str) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return tuple(each.to(where) for each in (x[:rows], y[:rows], x[rows:], y[rows:]))  # type: ignore[return-value]

    def method(where: str) -> torch.nn.Module:
        torch.manual_seed(0)
        encoder = nn.MLP([world.x.shape[1], 32, 16])
        encoder.project = nn.projection_head(16, 16, 8)  # type: ignore[assignment]
        return encoder.to(where)

    of_features: dict[str, Callable[[str], Any]] = {
        "knn_accuracy": lambda where: evaluate.knn_accuracy(*parts(where)),
        "linear_accuracy": lambda where: evaluate.linear_accuracy(*parts(where)),
        "few_label_accuracy": lambda where: evaluate.few_label_accuracy(*parts(where), shots=5),
        "recall": lambda where: evaluate.recall(x[:rows].to(where), x[:rows].roll(1, 1).to(where), 5),
        "ndcg": lambda where: evaluate.ndcg(
            x[:20].to(where), x[20:50].to(where), (torch.arange(600).view(20, 30) % 4).to(where), 5
        ),
        "kmeans": lambda where: evaluate.agreement(evaluate.kmeans(x[:rows].to(where), 5), y[:rows].to(where)),
        "ward": lambda where: evaluate.agreement(evaluate.ward(x[:100].to(where), 5)[0], y[:100].to(where)),
        "embed": lambda where: evaluate.embed(method(where), test).h,
    }
    trained: dict[str, Callable[[str], Any]] = {
        "linear_probe": lambda where: (
            evaluate.linear_probe(method(where), world, test, epochs=3, progress=False).history
        ),
    }
    strict, loose = every(of_features, device, 1e-3), every(trained, device, 0.05)
    return {key: strict[key] + loose[key] for key in ("compared", "wrong")}
