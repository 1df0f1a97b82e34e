"""What a file of embeddings is like, on one page that needs nothing else."""

import base64
import io
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from cl_explore import evaluate, geometry
from cl_explore.app.cells import TEMPLATES
from cl_explore.data import Vectors
from cl_explore.widgets import EmbeddingPanel
from cl_explore.widgets.marks import Bars, Heat, Line
from cl_explore.widgets.picture import Axis, Chart, Picture
from cl_explore.widgets.shown import spread_over
from cl_explore.widgets.thumbnails import pixels
from cl_explore.widgets.wire import static_block

K = 15  # neighbours of each point
LISTED = 30  # of each finding
SHOWN = 6  # members of a group
RARE = 5.0  # outlier scores from here on
MANY_CLASSES = 40  # more have no place in a table of all pairs


@dataclass(frozen=True)
class Sample:
    """A row of the file, with what is known of it; `note` says why it is listed."""

    row: int
    label: str = ""
    text: str = ""
    picture: str = ""
    note: str = ""


class Facts(NamedTuple):
    """What the parts of the page share; of these what takes long is found once.

    x: (N, D), the vectors at length 1. spread: (M,), the rows of the map, of the clusters and of measures that take all
    pairs. classes: how many; where there are several, `suspicion` is there.
    """

    vectors: Vectors
    x: Tensor
    graph: geometry.KNNGraph
    hubness: geometry.Hubness
    scores: Tensor
    suspicion: evaluate.Suspicion | None
    classes: int
    spread: Tensor


def page(vectors: Vectors, name: str, layout: str = "umap") -> str:
    """The page about these vectors as HTML; ValueError for fewer than three, or for rows of zeros.

    name: what they are called. layout: of the map, as for `EmbeddingPanel`.
    """
    x, labels = F.normalize(vectors.x, dim=1), vectors.labels
    if len(x) < 3:
        raise ValueError(f"source must hold at least 3 vectors for a report, got {len(x)}")
    if len(zero := (vectors.x.abs().amax(1) == 0).nonzero().flatten()):
        raise ValueError(
            f"source must hold vectors with a direction, but {len(zero)} are all zero, first row {zero[0]}"
        )
    watch = partial(tqdm, desc="nearest neighbours", unit_scale=geometry.neighbours.BLOCK, unit=" points")
    graph = geometry.knn_graph(x, min(K, len(x) - 1), watch=watch)
    classes = len(labels[labels >= 0].unique())
    with tqdm(total=4, desc="page", unit=" part") as bar:
        suspicion = evaluate.suspicious_labels(graph, labels) if classes > 1 else None
        facts = Facts(vectors, x, graph, geometry.hubness(graph), geometry.outlier_scores(graph), suspicion, classes,
                      spread_over(len(x)))  # fmt: skip
        sections = [("Near-duplicates", duplicates(facts)), ("Nearest neighbours of many", hubs(facts)),
                    ("Outliers", outliers(facts))]  # fmt: skip
        if suspicion is not None:
            sections.insert(0, ("Labels that are probably wrong", suspicions(vectors, suspicion)))
        bar.update()
        sections.append(("Clusters", clusters(facts)))
        bar.update()
        measures, picture = geometry_rows(facts), static_block([shape(facts)], []).data
        bar.update()
        panel = EmbeddingPanel(vectors, values={"outlier score": facts.scores}, layout=layout)
        drawn = panel.static().data
        panel.close()
        bar.update()
    return TEMPLATES.get_template("report.html.j2").render(
        name=name, count=len(x), few=len(facts.spread), dim=x.shape[1], classes=classes,
        unlabelled=int((labels < 0).sum()), panel=drawn, measures=measures, picture=picture, sections=sections,
    )  # fmt: skip


def geometry_rows(facts: Facts) -> list[tuple[str, str, str, str]]:
    """Name, value, the value of as many random directions, and what it says, of each measure."""
    vectors, x, k = facts.vectors, facts.x, facts.graph.rows.shape[1]
    few, labels = x[facts.spread], vectors.labels
    even = F.normalize(torch.randn(few.shape, generator=torch.Generator().manual_seed(0)), dim=1)
    rows = [
        ("uniformity", geometry.uniformity(few), geometry.uniformity(even),
         "how evenly directions fill the sphere; 0 if all are one, the lower the more even"),
        ("effective rank", geometry.effective_rank(vectors.x), geometry.effective_rank(even),
         f"how many of the {x.shape[1]} directions carry the variance"),
        ("participation ratio", geometry.participation_ratio(vectors.x), geometry.participation_ratio(even),
         "the same, counting strong directions more"),
        ("hubness", facts.hubness.skewness, geometry.hubness(geometry.knn_graph(even, k)).skewness,
         "skewness of how often a vector is a neighbour: large if a few are neighbours of very many"),
        ("mean cosine", x.mean(0).square().sum(), even.mean(0).square().sum(),
         "of any two vectors: near 1 they all lie in one narrow cone, which a mean taken off opens"),
    ]  # fmt: skip
    if facts.suspicion is not None:
        known = labels >= 0
        y = labels[known]
        wrong = len(facts.suspicion.rows) / len(y)
        chance = (y.bincount() / len(y)).square().sum()
        spreads = geometry.dispersion(x[known], y)
        rows += [
            ("neighbours agree", torch.tensor(1 - wrong), chance,
             f"share of labels for which most of the {k} nearest vote"),
            ("within / between", spreads.ratio, torch.tensor(float("nan")),
             "spread inside classes over spread between their centres: the lower the better they are apart"),
        ]  # fmt: skip
    return [(name, f"{float(a):.3g}", "" if b != b else f"{float(b):.3g}", says) for name, a, b, says in rows]


def shape(facts: Facts) -> Picture:
    """Variance along each direction and, of classes, how close their centres are and how wide each is."""
    vectors = facts.vectors
    values = geometry.spectrum(vectors.x).numpy()
    share = np.clip(values / values.sum(), 1e-6, None)
    place = np.arange(1, len(share) + 1)
    line = Line(place, share, hover="direction {place}: {share}", fields={"place": place, "share": share})
    charts = [
        Chart([line], "Share of variance along each direction", Axis("direction", log=True), Axis(log=True, grid=True))
    ]
    names = vectors.class_names
    if facts.classes > 1 and len(names) <= MANY_CLASSES:
        known = vectors.labels >= 0
        x, y = vectors.x[known], vectors.labels[known]
        there = [names[label] for label in y.unique().tolist()]
        ticks, shown = np.arange(len(there), dtype=float), [name[:10] for name in there]
        across, down = Axis(ticks=ticks + 0.5, names=shown), Axis(ticks=ticks + 0.5, names=shown, range=(len(there), 0))
        cosines = geometry.centroid_similarity(x, y).float().numpy()
        charts.append(
            Chart(
                [Heat(cosines, low=float(min(0.0, cosines.min())), text=len(there) <= 10)],
                "Cosine of class centres",
                across,
                down,
            )
        )
        widths = geometry.dispersion(x, y).per_class.float().numpy()
        bars = Bars(ticks, widths, hover="{class}: {width}", fields={"class": there, "width": widths})
        charts.append(Chart([bars], "Dispersion of each class", Axis(ticks=ticks, names=shown)))
    alt = f"Variance along {len(share)} directions, from {share[0]:.3g} to {share[-1]:.3g} of all"
    return Picture("Shape", alt + (", centres and widths of classes." if len(charts) > 1 else "."), [charts])


def sample(vectors: Vectors, row: int, note: str = "") -> Sample:
    """What is known of a row."""
    label = int(vectors.labels[row])
    name = vectors.class_names[label] if label >= 0 else ""
    text = vectors.texts[row] if vectors.texts else ""
    return Sample(row, name, text, "" if vectors.images is None else picture(vectors.images[row]), note)


def picture(image: Tensor) -> str:
    """An image (C, H, W) as a small data URL."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels(image[None])[0]).save(file, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def duplicates(facts: Facts) -> dict[str, Any]:
    """Groups of vectors that nearly coincide."""
    vectors, found = facts.vectors, geometry.near_duplicates(facts.graph)
    groups = [[sample(vectors, row) for row in group[:SHOWN].tolist()] for group in found[:LISTED]]
    sizes = [len(group) for group in found]
    y = vectors.labels
    split = sum(len(y[group][y[group] >= 0].unique()) > 1 for group in found)
    says = f"Groups of vectors closer than a cosine of .995: {len(found)}, with {sum(sizes)} vectors in all"
    says += f"; groups with different labels: {split}." if vectors.class_names else "."
    notes = [f"{size} vectors" for size in sizes[:LISTED]]
    return {"says": says, "groups": list(zip(notes, groups, strict=True))}


def outliers(facts: Facts) -> dict[str, Any]:
    """Vectors far from their neighbours."""
    vectors, scores = facts.vectors, facts.scores
    order = scores.argsort(descending=True)[: int((scores > RARE).sum())].tolist()
    says = f"Farther from their neighbours than is usual by more than {RARE:.0f} deviations: {len(order)}."
    return {"says": says, "samples": [sample(vectors, row, f"score {scores[row]:.1f}") for row in order[:LISTED]]}


def suspicions(vectors: Vectors, suspicion: evaluate.Suspicion) -> dict[str, Any]:
    """Labels that neighbours contradict."""
    rows, suggested, margins = suspicion
    sure = int((margins > 0.5).sum())
    says = f"Samples whose neighbours vote for another class: {len(rows)}, by more than half of the vote: {sure}."
    listed = zip(rows.tolist(), suggested.tolist(), margins.tolist(), strict=True)
    notes = [(row, f"rather {vectors.class_names[other]}? (by {margin:.2f})") for row, other, margin in listed]
    return {"says": says, "samples": [sample(vectors, row, note) for row, note in notes[:LISTED]]}


def hubs(facts: Facts) -> dict[str, Any]:
    """Vectors that are neighbours of very many."""
    vectors, counts, k = facts.vectors, facts.hubness.counts, facts.graph.rows.shape[1]
    top = counts.argsort(descending=True)[:SHOWN].tolist()
    says = f"Each vector has {k} neighbours. Nobody's neighbour: {int((counts == 0).sum())}. Those of most:"
    return {"says": says, "samples": [sample(vectors, row, f"of {counts[row]}") for row in top]}


def clusters(facts: Facts) -> dict[str, Any]:
    """Clusters of k-means, as many as classes or twelve, with the members nearest to their centres."""
    vectors, spread = facts.vectors, facts.spread
    few = facts.x[spread]
    count = min(facts.classes if 1 < facts.classes <= MANY_CLASSES else 12, len(few))
    found = evaluate.kmeans(few, count)
    groups = []
    for cluster in found.bincount(minlength=count).argsort(descending=True).tolist():
        members = (found == cluster).nonzero().flatten()
        centre = F.normalize(few[members].mean(0), dim=0)
        best = members[(few[members] @ centre).argsort(descending=True)[:SHOWN]]
        y = vectors.labels[spread[members]]
        most = "" if not (y >= 0).any() else vectors.class_names[int(y[y >= 0].mode().values)]
        note = f"{len(members) / len(few):.1%} of all" + (f", mostly {most}" if most else "")
        groups.append((note, [sample(vectors, int(row)) for row in spread[best]]))
    return {"says": f"k-means of {len(few)} vectors; the members nearest to each centre.", "groups": groups}
