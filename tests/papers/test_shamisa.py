"""SHAMISA: graphs against golden numbers, distortions and their tuples, the method, what is measured, the panel."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from cl_explore import losses
from cl_explore.data import Dataset
from cl_explore.methods import Method
from cl_explore.papers.shamisa import method, panel, study, world
from cl_explore.papers.shamisa.method import METADATA, Nodes, Tuples, by_metadata, nodes

CASES = json.loads((Path(__file__).parents[1] / "golden" / "shamisa.json").read_text())["cases"]
GRAPHS = [case for case in CASES if "H" in case["inputs"]]
SMALL = Tuples(contents=2, scales=1, compositions=2, levels=3)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def theirs(case: dict) -> Nodes:
    """The nodes of a golden case: references first, then the distorted, all row by row."""
    sizes = [case["inputs"]["shape"][name] for name in ("tuples_B", "views_V", "compositions_J", "levels_K")]
    varying = torch.tensor(case["inputs"]["varying_axis"])[:, :, None, None]
    level = tensor(case["inputs"]["levels"]).gather(3, varying.expand(-1, -1, sizes[3], 1))[:, None, ..., 0]
    places = torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")
    clean = [place[:, :, 0, 0].flatten() for place in places[:2]]
    none = -torch.ones_like(clean[0])
    columns = zip((*clean, none, none, none * 0.0), (*places, level.expand(*sizes)), strict=True)
    return Nodes(*(torch.cat([first.double(), rest.flatten().double()]) for first, rest in columns))


@pytest.mark.parametrize("case", GRAPHS, ids=lambda case: case["name"])
def test_graphs_are_the_authors(case: dict) -> None:
    """Their gaps of levels are of float32."""
    z, h, anchors = (tensor(case["inputs"][name]).requires_grad_() for name in ("Z", "H", "anchors"))
    of, params = theirs(case), case["params"]
    graphs = by_metadata(of, curve={"exponential": "exponential", "original": "reciprocal"}[params["curve"]])
    assert not any(graph.requires_grad for graph in graphs.values())
    assert graphs["structural"].sum() == 0, "of two views no two have the same parity"
    branches, anchored = params["branches"], z.new_zeros(())
    if "knn" in branches:
        graphs["knn"] = method.by_neighbours(h, branches["knn"]["k"])
    if "transport" in branches:
        found = method.by_transport(h, anchors, kept=branches["transport"]["transport"]["g_sparse_k"] * len(h))
        graphs["transport"], anchored = found.graph, 0.49 * found.loss(graphs["structural"])
    graph = method.fused(graphs, {name: branch["coeff"] for name, branch in branches.items()})
    graph = graph if params["soft"] else (graph > 0).double()
    alone = {"invariance": 1.0, "variance": 0.0, "covariance": 0.0, "statistics": "whole"}
    loss = losses.shamisa(z, graph, regulariser=params["regularizer_coeff"], **alone) + 2 * anchored
    exact = params["soft"] is False or not any("dist" in name for name in branches)
    close = {"atol": 1e-9 if exact else 1e-7, "rtol": 0}
    torch.testing.assert_close(loss.detach(), tensor(case["loss"]), **close)
    slopes = torch.autograd.grad(loss, [z, h, anchors], allow_unused=True)
    for slope, wanted in zip(slopes, (case["grad"][name] for name in ("Z", "H", "anchors")), strict=True):
        assert (slope is None) == (wanted is None)
        if slope is not None:
            torch.testing.assert_close(slope, tensor(wanted), **close)


def test_codes_are_the_authors() -> None:
    (case,) = [case for case in CASES if case["name"] == "sinkhorn_codes"]
    logits, p = tensor(case["inputs"]["logits"]), case["params"]
    found = losses.sinkhorn(logits, p["eps"], p["iterations"])
    torch.testing.assert_close(found, tensor(case["output"]), atol=1e-9, rtol=0)
    unit = torch.eye(5, dtype=torch.float64)  # of which anchors are the logits
    codes = method.by_transport(unit, logits[:5].T, kept=5, epsilon=p["eps"], rounds=p["iterations"]).codes
    torch.testing.assert_close(codes, losses.sinkhorn(logits[:5], p["eps"], p["iterations"]))


def test_nodes_say_what_pictures_have_in_common() -> None:
    tuples = Tuples(contents=3, scales=2, compositions=4, levels=5)
    assert tuples.each == 42
    of = nodes(tuples, torch.rand(6, 42))
    assert len(of.tuple) == 252, "the paper's batch"
    assert of.tuple.bincount().tolist() == [126, 126]
    assert of.view.bincount().tolist() == [42] * 6
    assert (of.composition < 0).sum() == (of.step < 0).sum() == 12
    assert (of.composition + 1).bincount().tolist() == [12, 60, 60, 60, 60]
    with pytest.raises(ValueError, match=r"level must have shape \(B, 42\) with B a multiple of 3, got \(4, 42\)"):
        nodes(tuples, torch.rand(4, 42))


def test_edges_of_metadata_by_a_loop() -> None:
    tuples = Tuples(contents=2, scales=2, compositions=2, levels=2)
    of = nodes(tuples, 4 * torch.rand(4, tuples.each, generator=Generator().manual_seed(0)))
    graphs = by_metadata(of, rate=2.0)
    assert graphs["structural"].sum() > 0
    for i, (t, v, c, s, level) in enumerate(zip(*(column.tolist() for column in of), strict=True)):
        for j, (t2, v2, c2, s2, level2) in enumerate(zip(*(column.tolist() for column in of), strict=True)):
            near = torch.tensor(-abs(level - level2) / 2).exp().item()
            chain = t == t2 and c == c2 >= 0
            wanted = {
                "ref_ref": float(c < 0 and c2 < 0),
                "ref_dist": near * ((c < 0) != (c2 < 0) and t == t2 and v == v2),
                "dist_dist": near * chain,
                "structural": float(chain and s == s2 and v != v2 and v % 2 == v2 % 2),
            }
            assert {name: graph[i, j].item() for name, graph in graphs.items()} == pytest.approx(wanted, abs=1e-6)


def test_rate_0_is_binary_and_the_curves_start_at_1() -> None:
    gap = torch.tensor([0.0, 1.0, 4.0])
    assert method.closeness(gap, 0.0).tolist() == [1, 1, 1]
    torch.testing.assert_close(method.closeness(gap), torch.tensor([1, 0.47236655, 0.04978707]))
    torch.testing.assert_close(method.closeness(gap, curve="reciprocal"), torch.tensor([1, 0.8, 0.5]))
    with pytest.raises(ValueError, match="rate must be at least 0, got -1"):
        method.closeness(gap, -1.0)
    with pytest.raises(ValueError, match="curve must be 'exponential' or 'reciprocal', got 'linear'"):
        method.closeness(gap, curve="linear")


def test_mutual_neighbours_count_twice() -> None:
    h = torch.tensor([[0.0], [1.0], [3.0]], dtype=torch.float64)
    graph = method.by_neighbours(h, 1)
    torch.testing.assert_close(graph, tensor([[0, 1, 0], [1, 0, 1 / 3], [0, 1 / 3, 0]]))
    assert method.by_neighbours(h, 31).shape == (3, 3)


def test_structural_pairs_train_the_anchors_too() -> None:
    h, anchors = (torch.randn(n, 3, generator=Generator().manual_seed(n), dtype=torch.float64) for n in (6, 4))
    found = method.by_transport(h, anchors, kept=12)
    assert (found.graph > 0).sum() <= 12
    assert found.graph.max() == 1
    assert not found.codes.requires_grad
    pairs = torch.zeros(6, 6, dtype=torch.float64)
    pairs[0, 2] = pairs[2, 0] = 1
    terms = [found.codes[i] * found.log_p[j] for i, j in ((0, 2), (2, 0))]
    wanted = -((found.codes * found.log_p).mean() + torch.stack(terms).mean()) / 2
    torch.testing.assert_close(found.loss(pairs), wanted)


def test_of_a_graph_that_is_not_symmetric_the_upper_half_is_mirrored() -> None:
    graph = torch.arange(9.0).view(3, 3)
    fused = method.fused({"a": graph, "b": graph}, {"a": 1.0, "b": 0.5}, torch.tensor([1.0, 2.0]))
    assert fused.tolist() == [[0, 2, 4], [2, 0, 10], [4, 10, 0]]
    assert method.strongest(graph, 2).tolist() == [[0, 0, 0], [0, 0, 0], [0, 7, 8]]


def pictures(number: int = 4, side: int = 12) -> Dataset:
    return world.contents("leaves", 0, number, 4, side)[0]


def built(n_views: int = SMALL.each, **options: object) -> Method:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 8), method.Unit(8))
    augment = world.Distorted(SMALL)
    return method.Shamisa(encoder, nn.Linear(8, 4), "shamisa", augment, n_views, tuples=SMALL, **options)


@pytest.mark.parametrize("weighing", ["fixed", "mlp_detached", "mlp"])
def test_what_a_step_trains(weighing: str) -> None:
    """Detached, as in the authors' setting, the weights of graphs stay as they were drawn."""
    made = built(weighing=weighing, anchors=3, neighbours=2)
    step = made.step(pictures().batch(torch.arange(4)), Generator().manual_seed(0))
    step.loss.backward()
    assert step.metrics.keys() == {"invariance", "relations", "variance", "covariance", "transport"}
    reached = {name.split(".")[0] for name, one in made.named_parameters() if one.grad is not None and one.grad.any()}
    assert reached == {"encoder", "head", "directions", "lengths"} | ({"weigher"} if weighing == "mlp" else set())
    parts = {name: made.knobs[name] * step.metrics[name] for name in ("variance", "covariance")}
    related = step.metrics["invariance"] + 0.034 * step.metrics["relations"] + 2 * step.metrics["transport"]
    torch.testing.assert_close(step.loss, sum(parts.values()) + 88.37 * related)


def test_graphs_that_are_not_used_have_no_state() -> None:
    made = built(coefficients=METADATA)
    assert {name.split(".")[0] for name, _ in made.named_parameters()} == {"encoder", "head"}
    batch = pictures().batch(torch.arange(4))
    graded, every = (made.step(batch, Generator().manual_seed(0)).metrics for made in (made, built(graded=False)))
    assert graded["invariance"] < every["invariance"]
    few = built(coefficients={"dist_dist": 1.0}, kept=10)
    graph, _ = few.relate(torch.randn(28, 8), nodes(SMALL, torch.rand(4, 7)))
    assert (graph > 0).sum() <= 10


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"coefficients": {"ref": 1.0}}, "coefficients must be of structural, ref_ref, .*, got ref"),
        ({"weighing": "learned"}, "weighing must be one of fixed, mlp_detached, mlp, got 'learned'"),
        ({"curve": "linear"}, "curve must be"),
        ({"loss_knob": 1}, "loss_knob"),
    ],
)
def test_what_it_cannot_be_built_of(wrong: dict, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        built(**wrong)


def test_distortions_start_at_the_picture_and_grow() -> None:
    x, level = world.ladders(pictures(6).x, 0)
    torch.testing.assert_close(x[:, :, 0], pictures(6).x[:, None].expand(-1, 4, -1, -1, -1), atol=1e-6, rtol=0)
    assert level.tolist() == [[0, 1, 2, 3, 4]] * 4
    assert (x.min() >= 0, x.max() <= 1) == (True, True)
    gone = (x - x[:, :, :1]).square().mean((0, 3, 4, 5))
    assert (gone.diff(dim=1) > 0).all()


def test_levels_of_whole_values_are_those_of_the_rounded_value() -> None:
    value, level = world.KINDS["pixels"].settled(torch.tensor([0.0, 0.4, 0.6, 3.4, 3.8, 4.0]))
    assert value.tolist() == [1, 1, 2, 5, 6, 6]
    torch.testing.assert_close(level, torch.tensor([0, 0, 1, 3.5, 4, 4]))
    value, level = world.KINDS["noise"].settled(torch.tensor([0.0, 3.5]))
    torch.testing.assert_close(value, torch.tensor([0.0, 0.2]))
    assert level.tolist() == [0.0, 3.5]


@pytest.mark.parametrize("scales", [1, 2])
def test_contents_of_a_tuple_share_their_distortions(scales: int) -> None:
    tuples = Tuples(contents=2, scales=scales, compositions=3, levels=2)
    made = world.Distorted(tuples, lengths=(0.0, 1.0))
    x = world.leaves(0, 4, 12 * scales)
    views = made(x, Generator().manual_seed(0), tuples.each)
    assert tuple(views["picture"].shape) == (4, tuples.each, 1, 12, 12)
    level = views["level"]
    assert torch.equal(level[0], level[1])
    assert not torch.equal(level[1], level[2])
    scale = level.unflatten(1, (scales, -1))
    assert torch.equal(scale[:, :1].expand_as(scale), scale)
    assert not scale[:, :, 0].any()
    torch.testing.assert_close(views["picture"][:, 0], made.plain(x))
    again = made(x, Generator().manual_seed(0), tuples.each)
    assert all(torch.equal(again[name], views[name]) for name in views)
    with pytest.raises(ValueError, match=f"{tuples.each} views of a multiple of 2 pictures, got {tuples.each} of 3"):
        made(x[:3], Generator(), tuples.each)


@pytest.mark.parametrize(
    ("law", "low", "high"), [("gaussian", 0.09, 0.13), ("uniform", -1, 0.05), ("discrete", 0.17, 0.23)]
)
def test_laws_of_levels(law: str, low: float, high: float) -> None:
    """The share of level 4: of a half-normal of 2.5 beyond it, hardly any, or one of five."""
    tuples = Tuples(contents=1, scales=1, compositions=4, levels=20)
    level = world.Distorted(tuples, (1.0,), law)(world.leaves(0, 60, 4), Generator().manual_seed(0), 81)["level"]
    assert low < (level[:, 1:] > 3.99).float().mean() < high
    assert level.max() <= 4
    with pytest.raises(ValueError, match="law must be one of gaussian, uniform, discrete, got 'normal'"):
        world.Distorted(tuples, law="normal")
    with pytest.raises(ValueError, match=r"lengths must be 1 to 4 chances, some above 0, got \(\)"):
        world.Distorted(tuples, lengths=())


def test_views_of_an_instance_are_as_distorted() -> None:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 8))
    made = world.Instances(encoder, nn.Linear(8, 4), "nt_xent", world.Distorted(SMALL), tuples=SMALL)
    views = made.draw_views(pictures().x, Generator().manual_seed(0))
    assert tuple(views.shape) == (28, 2, 1, 12, 12)
    assert torch.equal(views.flatten(2).sort(-1).values[:, 0], views.flatten(2).sort(-1).values[:, 1])
    assert made.step(pictures().batch(torch.arange(4)), Generator().manual_seed(0)).loss.isfinite()


def test_what_ladders_say() -> None:
    """Along a line, in one place, and by content alone."""
    level = torch.linspace(0, 4, 5).expand(2, 5)
    content = torch.arange(3.0).view(3, 1, 1, 1)
    line = level[None, ..., None].expand(3, 2, 5, 1)
    assert study.ladder_order(line, level) == pytest.approx(1)
    assert study.ladder_order(0 * line, level) == 0
    assert study.severity_first(line + 0.1 * content, level) == 1
    assert study.severity_first(line + 100 * content, level) == 0


def test_severity_is_read_where_it_stands_in_h() -> None:
    class Known(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).std(1, keepdim=True) @ torch.ones(1, 2)

    made = Method(Known(), nn.Identity(), world.Distorted(SMALL))
    found = study.severity(made, pictures(80), pictures(80))
    assert abs(found[study.SEVERITY]) < 1
    assert found.keys() == {study.SEVERITY, study.SPREAD}


def test_photographs_are_apart_and_it_is_said_where_they_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    folder = tmp_path / "skimage" / "data"
    folder.mkdir(parents=True)
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.setattr(world, "PHOTOGRAPHS", replace(world.PHOTOGRAPHS, elsewhere=()))
    with pytest.raises(FileNotFoundError, match=r"(?s)astronaut\.png.*licence.*CC0.*pip install scikit-image"):
        world.contents("photographs", 0, 4, 4, 16)
    noise = torch.randint(256, (64, 80, 3), dtype=torch.uint8, generator=Generator().manual_seed(0)).numpy()
    for name in (*world.TRAIN, *world.TEST):
        Image.fromarray(noise).save(folder / name)
    train, test = world.contents("photographs", 0, 16, 12, 16)
    assert tuple(train.x.shape) == (16, 1, 16, 16)
    assert train.labels.bincount().tolist() == [2] * 8
    assert not set(train.class_names) & set(test.class_names)
    assert train.x.flatten(1).std(1).min() >= world.FLAT


def paths(rate: float = 0.0) -> panel.Paths:
    along = np.linspace(0, 1, panel.LEVELS, dtype=np.float32)
    plane = np.zeros((panel.SHOWN, 4, panel.LEVELS, 2), np.float32)
    plane[..., 0] = along
    pixels = np.full((panel.SHOWN, 4, panel.LEVELS, 6, 6), 100, np.uint8)
    return panel.Paths(plane, 0.5 + rate / 100, 0.25, pixels)


def test_relations_are_blocks_that_become_ridges() -> None:
    assert (panel.relations(0.0) == 1).all()
    graded = panel.relations(3.0)
    np.testing.assert_allclose(graded[:5, 5:10], np.exp(-0.75 * np.abs(np.subtract.outer(range(5), range(5)))), 1e-6)
    assert (graded[:5, :5] == graded[10:, 5:10]).all()


def test_the_panel_moves_along_the_paths() -> None:
    picture = panel.severity_picture({"rate": 3.0, "kind": "noise", "level": 3.0}, paths(3.0))
    _, plane, seen = picture.charts
    at = [mark for mark in plane.marks if mark.name == "at level 3"]
    np.testing.assert_allclose(at[0].x, 0.75)
    assert seen.title.endswith("noise at level 3")
    assert picture.readout[0] == ("sameness of levels 0 and 3", "0.11")
    assert picture.readout[1][1] == "0.53"
    assert len(picture.alt) <= 200


def test_the_panel_trains_anew_only_for_another_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(panel, "learn", lambda rate: made.append(rate) or paths(rate))
    shown = panel.SeverityPanel()
    shown.knobs["level"].value = 0.5
    shown.knobs["kind"].value = "pixels"
    assert made == [3.0]
    shown.knobs["rate"].value = 0.0
    shown.wait()
    assert made == [3.0, 0.0]
    assert shown.picture.readout[1][1] == "0.50"
    with pytest.raises(ValueError, match="kind must be one of blur, noise, pixels, contrast, got 'rain'"):
        panel.SeverityPanel(kind="rain")
    with pytest.raises(ValueError, match="rate must be one of 0, 1, 3, 10, got 2"):
        panel.SeverityPanel(rate=2.0)


def test_the_panel_shows_what_it_has_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STEPS": 2, "PICTURES": 18, "UNSEEN": 12, "SIDE": 12}.items():
        monkeypatch.setattr(panel, name, value)
    made = panel.learn(3.0)
    assert made.plane.shape == (panel.SHOWN, 4, panel.LEVELS, 2)
    assert made.pixels.shape == (panel.SHOWN, 4, panel.LEVELS, 12, 12)
    assert -1 <= made.ladder <= 1


def test_arms_differ_in_one_thing() -> None:
    whole, small = study.plan(1), study.plan(1, small=True)
    named = {claim.method for claim in study.STUDY.claims} | {"untrained encoder", "raw input"}
    assert named - {"SimCLR, batch norm"} <= whole.keys()
    assert {claim.method for claim in study.STUDY.claims if claim.preset == "real"} <= small.keys()
    assert whole["binary"].options == whole["graded"].options | {"rate": 0.0}
    normalised = whole["graded, batch norm"]
    assert normalised.options == whole["graded"].options
    assert [sum(isinstance(one, nn.BatchNorm2d) for one in whole[name].networks(pictures())[0].modules())
            for name in ("graded", "graded, batch norm")] == [0, 3]  # fmt: skip
