"""SCGC: weights of walks and clusters against golden numbers, graphs and their files, and what training does."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from damage import Form, complaints
from torch import Tensor, nn

from cl_explore import losses
from cl_explore.papers.scgc import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views.noisy import Noisy

CASES = json.loads((Path(__file__).parents[1] / "golden" / "scgc.json").read_text())["cases"]
GRAPHS = [case for case in CASES if "edges" in case["inputs"]]
CLUSTERS = [case for case in CASES if "centres" in case["inputs"]]
RING = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("case", GRAPHS, ids=lambda case: case["name"])
def test_influence_and_the_contrast_it_weighs_are_the_golden_ones(case: dict) -> None:
    z, edges = tensor(case["inputs"]["z"]).requires_grad_(), torch.tensor(case["inputs"]["edges"]).T
    torch.testing.assert_close(method.influence(edges, len(z), 1), tensor(case["inputs"]["adj_row_norm"]))
    order, cumulative = case["params"]["order"], case["params"]["cumulative"]
    weights = method.influence(edges, len(z), order, cumulative=cumulative)
    torch.testing.assert_close(weights, tensor(case["inputs"]["pos_weight"]), atol=1e-12, rtol=0)
    loss = losses.scgc(z, weights, inv_temperature=case["params"]["tau"])
    torch.testing.assert_close(loss.item(), case["loss"], atol=1e-9, rtol=0)
    (gradient,) = torch.autograd.grad(loss, z)
    torch.testing.assert_close(gradient, tensor(case["grad"]["z"]), atol=1e-9, rtol=0)


@pytest.mark.parametrize("case", CLUSTERS, ids=lambda case: case["name"])
def test_clusters_their_target_and_their_divergence_are_the_golden_ones(case: dict) -> None:
    z, centres = (tensor(case["inputs"][name]).requires_grad_() for name in ("z", "centres"))
    q = method.soft_clusters(z, centres, case["params"]["v"])
    torch.testing.assert_close(q, tensor(case["outputs"]["q"]), atol=1e-9, rtol=0)
    torch.testing.assert_close(method.target(q), tensor(case["outputs"]["p"]), atol=1e-9, rtol=0)
    loss = method.cluster_divergence(q)
    torch.testing.assert_close(loss.item(), case["loss"], atol=1e-9, rtol=0)
    for leaf, name in zip(torch.autograd.grad(loss, (z, centres)), ("z", "centres"), strict=True):
        torch.testing.assert_close(leaf, tensor(case["grad"][name]), atol=1e-9, rtol=0)


def test_influence_is_shared_out_and_of_one_step_the_same_for_both_forms() -> None:
    graph = world.blocks(0, nodes=60)
    for order in (1, 3, 16):
        total, last = (method.influence(graph.edges, 60, order, cumulative=each) for each in (True, False))
        torch.testing.assert_close(total.sum(1), torch.full((60,), float(order), dtype=torch.float64))
        torch.testing.assert_close(last.sum(1), torch.ones(60, dtype=torch.float64))
        assert torch.equal(total, last) is (order == 1)
    assert torch.equal(method.influence(RING, 5, 2)[4], 2 * torch.eye(5, dtype=torch.float64)[4]), "a node by itself"
    twice = torch.cat([RING, RING.flip(0), RING], dim=1)
    assert torch.equal(method.influence(twice, 5, 2), method.influence(RING, 5, 2))
    with pytest.raises(ValueError, match="order must be at least 1, got 0"):
        method.influence(RING, 5, 0)


def test_after_sixteen_steps_all_nodes_influence_a_node_alike() -> None:
    """The last power has nearly forgotten where it started; the sum of powers has not."""
    graph = world.world("blocks", 0)[0]
    last, total = (method.influence(graph.edges, len(graph), 16, cumulative=each) for each in (False, True))
    degree = method.influence(graph.edges, len(graph), 1).gt(0).sum(1)

    def away(shares: Tensor) -> float:
        """Total variation from the stationary distribution, of the median node."""
        return (shares - degree / degree.sum()).abs().sum(1).median().item() / 2

    assert away(last) < 0.05
    assert away(total / 16) > 3 * away(last)


def test_blocks_have_the_neighbours_they_should() -> None:
    graph, unseen = world.world("blocks", 0)
    assert (len(graph), len(unseen)) == (360, 120)
    same = graph.labels[graph.edges[0]] == graph.labels[graph.edges[1]]
    assert 2 * same.sum() / 360 == pytest.approx(6, abs=0.6)
    assert 2 * (~same).sum() / 360 == pytest.approx(3, abs=0.6)
    assert unseen.edges.shape == (2, 0)
    assert torch.equal(graph.index, torch.arange(360))
    again, other = world.world("blocks", 0)[0], world.world("blocks", 1)[0]
    assert again.fingerprint() == graph.fingerprint() != other.fingerprint()


def test_digits_are_joined_with_the_three_nearest() -> None:
    graph, unseen = world.world("digits", 0, samples=200)
    assert (len(graph), len(unseen), graph.x.shape[1]) == (150, 50, 64)
    assert graph.edges.shape == (2, 450)
    apart = torch.cdist(graph.x, graph.x).fill_diagonal_(torch.inf)
    torch.testing.assert_close(
        apart[graph.edges[0], graph.edges[1]].view(150, 3).sort().values, apart.topk(3, largest=False).values
    )
    with pytest.raises(ValueError, match="unknown graph 'digit'; did you mean 'digits'"):
        world.world("digit", 0)


def test_citations_are_read_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(world.COUNT, "cora", (3, 4))
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    (tmp_path / "cora").mkdir()
    content = "31\t1\t0\tTheory\n8\t0\t1\tAgents\nx9\t1\t1\tTheory\n"
    (tmp_path / "cora" / "cora.content").write_text(content)
    (tmp_path / "cora" / "cora.cites").write_text("31\t8\nx9\t31\n8\t8\n31\tunknown\n")
    graph = world.citations("cora")
    assert graph.x.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert graph.class_names == ("Agents", "Theory")
    assert graph.labels.tolist() == [1, 0, 1]
    assert graph.edges.tolist() == [[0, 2], [1, 0]]
    (tmp_path / "cora" / "cora.content").write_text(content + "7\t1\tTheory\n")
    with pytest.raises(ValueError, match=r"cora\.content, line 4, must have 4 columns, got 3"):
        world.citations("cora")


def test_where_data_are_missing_it_says_what_and_how_to_get_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name, file, place in (("citeseer", "citeseer.content", "linqs"), ("usps", "zip.train.gz", "hastie")):
        with pytest.raises(FileNotFoundError, match=rf"(?s){file}.*{place}"):
            world.world(name, 0)


def built(seed: int = 0, **options: object) -> tuple[method.SCGC, world.Dataset]:
    graph, _ = world.world("blocks", seed, samples=160)
    torch.manual_seed(seed)
    encoder, _ = method.networks(graph, 16)
    options = {"order": 2, **options}
    centres = torch.randn(4, method.DIMENSIONS)
    scgc = method.SCGC(encoder, nn.Identity(), "scgc", Noisy(), graph=graph, centres=centres, **options)
    return scgc, graph


def test_a_step_is_the_sum_of_its_terms_whatever_the_order_of_the_nodes() -> None:
    _, graph = built()
    decoder = method.networks(graph, 16)[1]
    scgc, _ = built(alpha=3.0, beta=0.5, decoder=decoder, inv_temperature=2.0)
    z = scgc(graph.x)
    weights = method.influence(graph.edges, len(graph), 2).float()
    expected = 3 * losses.scgc(z, weights, inv_temperature=2.0)
    expected = expected + 0.5 * method.cluster_divergence(method.soft_clusters(z, scgc.centres))
    expected = expected + nn.functional.mse_loss(decoder(z), graph.x)
    for rows in (torch.arange(len(graph)), torch.randperm(len(graph))):
        loss, metrics = scgc.step(graph.batch(rows), torch.Generator())
        torch.testing.assert_close(loss, expected)
        assert {"contrast", "clusters", "restored", "share"} == metrics.keys()


def test_of_some_nodes_the_weights_between_them_count() -> None:
    scgc, graph = built(beta=0.0, alpha=1.0)
    rows = torch.tensor([5, 3, 80, 41])
    weights = method.influence(graph.edges, len(graph), 2).float()[rows][:, rows]
    torch.testing.assert_close(
        scgc.step(graph.batch(rows), torch.Generator()).loss, losses.scgc(scgc(graph.x[rows]), weights)
    )


def test_training_on_the_whole_graph_brings_neighbours_together_and_needs_no_edges_afterwards() -> None:
    scgc, graph = built(inv_temperature=2.0)
    before = copy.deepcopy(scgc)
    run = fit(scgc, graph, epochs=60, batch_size=len(graph), lr=5e-3, snapshots=0, store=False, progress=False)
    assert len(run.history) == 60
    assert run.history["contrast"].iloc[-1] < run.history["contrast"].iloc[0] - 0.1
    unseen = world.world("blocks", 0, samples=160)[1]
    found, untrained = (study.clusters(each, graph, unseen) for each in (scgc, before))
    assert found["NMI"] > untrained["NMI"] + 0.15
    assert scgc(unseen.x).shape == (40, method.DIMENSIONS)


def test_the_authors_encoder_has_half_the_parameters_of_the_autoencoder() -> None:
    graph = world.blocks(0, nodes=16)
    encoder, decoder = method.networks(graph, 500)
    assert [layer.out_features for layer in encoder.layers if isinstance(layer, nn.Linear)] == [500, 500, 2000, 10]
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in (encoder, decoder)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)


def test_centres_start_where_points_gather() -> None:
    z = torch.eye(3).repeat(5, 1) * 4
    found = method.start(z, 3)
    torch.testing.assert_close(found[found.argmax(1).argsort()], 4 * torch.eye(3))


def courses() -> panel.Courses:
    return panel.Courses([0.6] * 6, [0.6, 0.6, 0.6, 0.5, 0.3, 0.1], [0.8] * 6)


def state(**changes: object) -> dict[str, object]:
    return {"order": 2, "form": panel.FORMS[0], "outside": 3.0, "node": 0, **changes}


def test_the_panel_colours_a_row_of_the_influence() -> None:
    nodes = panel.graph(3.0)
    for form, order in ((panel.FORMS[0], 3), (panel.FORMS[1], 2)):
        row = method.influence(nodes.edges, panel.NODES, order, cumulative=form == panel.FORMS[0])[7]
        points = panel.influence_picture(state(order=order, form=form, node=7), courses()).charts[0].marks[1]
        np.testing.assert_allclose(points.fields["share"], row / row.sum(), atol=1e-6)
        assert points.group[row.argmax()] == panel.LEVELS - 1
        assert (points.group[(row == 0).numpy()] == 0).all()
        assert points.pick == "node"


def test_the_last_power_spreads_out_and_its_read_outs_say_so() -> None:
    read = [dict(panel.influence_picture(state(order=16, form=form), courses()).readout) for form in panel.FORMS]
    assert [row["sum of weights"] for row in read] == ["16", "1"]
    assert [row["NMI at R = 16"] for row in read] == ["0.60", "0.10"]
    assert int(read[1]["effective number of positives"]) > 100
    within = [float(row["weight within its block"].rstrip("%")) for row in read]
    assert within[0] > within[1] > 20


def test_trained_on_the_last_power_clusters_are_lost_and_without_noise_they_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(panel, "STOPS", (1, 16))
    noisy = panel.clustered(3.0)
    assert noisy.sums[0] == noisy.lasts[0]
    assert noisy.sums[1] > noisy.lasts[1] + 0.2
    monkeypatch.setattr(panel, "STOPS", (2,))
    assert panel.clustered(0.0).sums[0] > noisy.sums[0]


def test_the_panel_trains_anew_only_for_another_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(panel, "clustered", lambda outside: made.append(outside) or courses())
    shown = panel.InfluencePanel()
    shown.knobs["order"].value = 16
    shown.knobs["form"].value = panel.FORMS[1]
    assert made == [3.0]
    assert dict(shown.picture.readout)["NMI at R = 16"] == "0.10"
    shown.knobs["outside"].value = 0.0
    shown.wait()
    assert made == [3.0, 0.0]
    with pytest.raises(ValueError, match="order must be between 1 and 16, got 20"):
        panel.InfluencePanel(order=20)


@pytest.mark.parametrize("part", ["content", "cites"])
def test_damaged_citations_are_named(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    (tmp_path / "cora.content").write_text("p1\t1\t0\tA\np2\t0\t1\tB\np3\t1\t1\tA\n")
    (tmp_path / "cora.cites").write_text("p1\tp2\np2\tp3\n")
    monkeypatch.setitem(world.COUNT, "cora", (3, 2))
    cited = Form(tmp_path / f"cora.{part}", lambda: world.CITATIONS["cora"].load("all").fingerprint())
    assert complaints(cited, tmp_path) == []
    (tmp_path / f"cora.{part}").write_text("")
    with pytest.raises(ValueError, match=rf"cora\.{part} must have \d lines, got 0: it is half written"):
        cited.read()
