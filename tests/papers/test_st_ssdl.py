"""ST-SSDL: windows and their history, the graph-GRU, the forecaster, training, real series, the panel."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cl_explore.data import Dataset, ett
from cl_explore.papers.st_ssdl import method, panel, study, world
from cl_explore.train import fit


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed))


def counted(gaps: bool = False) -> world.Recording:
    """Three sensors whose slot tells the step of a period of 48, one more each period, and one noisy."""
    step = torch.arange(48 * 6)
    steady = (step % 48 + step // 48).float()
    both = torch.stack([steady, 10 * steady, random(48 * 6) + 9], 1)
    return world.Recording("counted", both, 12, 48, torch.eye(3), 48 * 4, 5, gaps)


def test_history_is_the_mean_of_each_slot_and_takes_gaps_for_nothing() -> None:
    series = counted().series[: 48 * 4]
    torch.testing.assert_close(world.history(series, 48)[:, 0], torch.arange(48) + 1.5)
    series[48:96, 0] = 0
    series[::48, 1] = 0
    usual = world.history(series, 48, gaps=True)
    torch.testing.assert_close(usual[1:, 0], torch.arange(1, 48) + 5 / 3)
    assert usual[0, 1] == pytest.approx(series[:, 1].sum() / (series[:, 1] != 0).sum()), "no value at this slot at all"
    with pytest.raises(ValueError, match="series must have at least one period of 48 steps, got 47"):
        world.history(series[:47], 48)


def test_windows_meet_their_anchor_and_no_test_step_reaches_what_is_learned() -> None:
    given = counted()
    train, test = world.windows(given)
    assert (len(train), len(test)) == (48 * 4 - 9, 48 * 2 - 9)
    for part in (train, test):
        assert {name: tuple(part.x[name].shape[1:]) for name in world.SERIES} == dict.fromkeys(world.SERIES, (3, 5))
        row = part.index.tolist().index(48 * 4 + 7 if part is test else 48 + 7)
        at = int(part.index[row])
        deviation = given.series[:192, 0].std()
        torch.testing.assert_close((part.x["future"] - part.x["window"])[row, 0], torch.full((5,), 5.0) / deviation)
        torch.testing.assert_close((part.x["window"] - part.x["anchor"])[row, 0],
                                   torch.full((5,), at // 48 - 1.5) / deviation)  # fmt: skip
        phase = 2 * math.pi * (at + 5) / 12
        assert part.x["time"][row, :2].tolist() == pytest.approx([math.sin(phase), math.cos(phase)], abs=1e-5)
    changed = given._replace(series=torch.cat([given.series[:192], random(96, 3, seed=1)]))
    for name in world.SERIES:
        torch.testing.assert_close(world.windows(changed)[0].x[name], train.x[name])
    assert (world.windows(given, stride=4)[0].index == train.index[::4]).all()


def test_what_is_not_known_is_as_usual_in_windows_and_counts_for_no_error() -> None:
    given = counted(gaps=True)
    given.series[100:110, 1] = 0
    train, _ = world.windows(given)
    x = {name: part[100] for name, part in train.x.items()}
    torch.testing.assert_close(x["window"][1], x["anchor"][1])
    assert not x["known"][1].any()
    assert x["known"][[0, 2]].all()
    forecast = x["future"] + torch.tensor([[1.0], [99.0], [2.0]])
    assert method.masked_mae(forecast, x["future"], x["known"]) == 1.5
    assert method.masked_mae(forecast[1], x["future"][1], x["known"][1]) == 0


def test_incidents_reach_the_next_sensor_an_hour_later() -> None:
    found, same, other = (world.traffic(seed, weeks=7) for seed in (0, 0, 1))
    assert torch.equal(found.series, same.series)
    assert not torch.equal(found.series, other.series)
    assert (found.train, tuple(found.series.shape)) == (5 * world.WEEK, (7 * world.WEEK, world.SENSORS))
    odd = found.series - world.history(found.series, world.WEEK).repeat(7, 1)
    lagged, ahead = (
        torch.corrcoef(torch.stack([odd[1:-1].roll(1, 1).flatten(), odd[1 + lag : len(odd) - 1 + lag].flatten()]))[0, 1]
        for lag in (1, -1)
    )
    assert lagged > ahead + 0.05


def test_a_graph_gru_that_sees_no_neighbour_is_a_gru_for_each_sensor() -> None:
    """But that it resets the state before the candidate's map, torch after it: so no state enters the candidate."""
    cell, gru = method.GraphCell(2, 4, 1), nn.GRUCell(2, 4)
    with torch.no_grad():
        cell.candidate.weight[:, 2:] = gru.weight_hh[8:] = 0
        reset, keep, new = torch.cat([gru.weight_ih, gru.weight_hh], 1).split(4)
        cell.gates.weight.copy_(torch.cat([keep, reset]))
        cell.candidate.weight.copy_(new)
        for bias in (*cell.parameters(), *gru.parameters()):
            if bias.ndim == 1:
                bias.zero_()
    x, h = random(3, 5, 2), random(3, 5, 4, seed=1)
    torch.testing.assert_close(cell(x, h, []).flatten(0, 1), gru(x.flatten(0, 1), h.flatten(0, 1)))


def test_chebyshev_polynomials_are_cosines_and_a_sensor_reads_no_farther_than_their_order() -> None:
    angles = torch.linspace(0, 3, 4)
    for k, found in enumerate(method.chebyshev(angles.cos().diag(), 4), start=1):
        torch.testing.assert_close(found, (k * angles).cos().diag(), atol=1e-6, rtol=0)
    path = torch.eye(6) + torch.diag(torch.ones(5), 1) + torch.diag(torch.ones(5), -1)
    torch.manual_seed(0)
    encoder = method.GraphEncoder(path, hidden=3, order=2)
    x = random(1, 6, 1)
    moved = x.clone()
    moved[:, 0] += 1
    changed = (encoder(moved) != encoder(x)).any(2)[0]
    assert changed.tolist() == [True, True, False, False, False, False]


def forecaster(graph: bool = False, **options: Any) -> method.Forecaster:
    torch.manual_seed(0)
    encoder = method.GraphEncoder(torch.ones(3, 3), 6) if graph else method.SensorEncoder(6)
    return method.Forecaster(encoder, method.GraphDecoder if graph else method.SensorDecoder, 5, **options)


@pytest.fixture(scope="module")
def small() -> Dataset:
    return world.windows(counted())[0].subset(torch.arange(24))


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("read", ["window", "history", "prototypes"])
def test_a_forecast_reads_what_it_is_to_read(small: Dataset, graph: bool, read: Any) -> None:
    net, x = forecaster(graph, read=read), small.batch(torch.arange(4)).x
    found = net(x)
    assert tuple(found.future.shape) == (4, 3, 5)
    assert (found.queries is not None) == (read == "prototypes")
    far = x | {"anchor": x["anchor"] + 1, "future": x["future"] + 1, "usual": x["usual"] + 1}
    assert torch.equal(net(far).future, found.future) == (read == "window")
    if found.queries is not None:
        assert tuple(found.queries.shape) == (4, 3, 2, 16)


def test_attention_mixes_prototypes_and_is_softer_scaled() -> None:
    torch.manual_seed(0)
    plain, scaled = (method.Quantiser(4, 5, 3, scaled=scaled) for scaled in (False, True))
    scaled.load_state_dict(plain.state_dict())
    h = random(2, 4)
    for made, divided in ((plain, 1), (scaled, 3**0.5)):
        q, v = made(h)
        torch.testing.assert_close(q, h @ plain.query.weight.T)
        torch.testing.assert_close(v, (q @ plain.prototypes.T / divided).softmax(1) @ plain.prototypes)


def test_true_values_are_given_less_and_less_and_to_no_one_who_is_not_training(small: Dataset) -> None:
    net, x = forecaster(graph=True), small.batch(torch.arange(4)).x
    decoder = net.decoder
    assert isinstance(decoder, method.GraphDecoder)
    assert torch.equal(net(x).future, net(x).future)
    assert decoder.steps == 0
    given, own = net(x, generator()).future, net(x).future
    torch.testing.assert_close(given[..., 0], own[..., 0])
    assert not torch.allclose(given[..., 1:], own[..., 1:])
    assert decoder.steps == 1
    shares = []
    for steps in (0, 5_000, 15_202, 10**6):
        decoder.steps.fill_(steps)
        shares.append(float(decoder.share()))
    assert shares == pytest.approx([1, 0.994, 0.5, 0], abs=0.006)
    assert torch.equal(net(x, generator()).future, own)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_both_terms_move_prototypes_only_unless_they_are_let(small: Dataset, stop_gradient: bool) -> None:
    def gradients(**knobs: float) -> dict[str, Tensor]:
        made = method.DeviationLearning(forecaster(), nn.Identity(), "deviation", method.no_views,
                                        stop_gradient=stop_gradient, **knobs)  # fmt: skip
        made.step(small.batch(torch.arange(8)), generator()).loss.backward()
        return {name: p.grad for name, p in made.encoder.named_parameters() if p.grad is not None}

    without, both = (gradients(contrast_weight=w, deviation_weight=w) for w in (0.0, 1.0))
    moved = {name for name in both if not torch.allclose(both[name], without[name])}
    assert "quantiser.prototypes" in moved
    assert ("quantiser.query.weight" in moved) is ("encoder.gru.weight_ih_l0" in moved) is not stop_gradient
    assert not any(name.startswith("decoder") for name in moved)


@pytest.mark.parametrize("graph", [False, True])
def test_training_lowers_the_error(small: Dataset, graph: bool) -> None:
    made = method.DeviationLearning(forecaster(graph), nn.Identity(), "deviation", method.no_views)
    run = fit(made, small, epochs=6, batch_size=8, lr=0.02, store=False, progress=False, snapshots=0, seed=0)
    assert {"error", "contrast", "gap"} <= set(run.history.columns)
    assert run.history["error"].iloc[-3:].mean() < run.history["error"].iloc[:3].mean()
    assert tuple(made(small.batch(torch.arange(2)).x).shape) == (2, 15)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="loss must be 'deviation', got 'nt_xent'"):
        method.DeviationLearning(forecaster(), nn.Identity(), "nt_xent", method.no_views)
    with pytest.raises(TypeError, match="deviation has no knob temperature; its knobs: margin"):
        method.DeviationLearning(forecaster(), nn.Identity(), "deviation", method.no_views, temperature=1.0)
    with pytest.raises(ValueError, match="unknown recording 'ETTh2'; did you mean 'ETTh1'"):
        world.recording("ETTh2", 0)


def test_real_series_are_read_as_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"(?s)los_speed.csv and los_adj.csv.*none stated.*T-GCN"):
        world.recording("Los-loop", 0)
    monkeypatch.setattr(world, "LOOP_STEPS", 4)
    monkeypatch.setattr(world, "LOOP_SENSORS", 2)
    (tmp_path / "los_speed.csv").write_text("773869,767541\n" + "60.5,0\n" * 3 + "59,61.25\n")
    (tmp_path / "los_adj.csv").write_text("1,0.5\n0.5,1\n")
    found = world.loop()
    assert found.series.tolist() == [*[[60.5, 0]] * 3, [59, 61.25]]
    assert (found.graph.tolist(), found.period, found.gaps) == ([[1, 0.5], [0.5, 1]], 288, True)
    (tmp_path / "los_adj.csv").write_text("1,0.5\n")
    with pytest.raises(ValueError, match=r"los_adj\.csv must hold 2 rows of 2 numbers, got 1 of \[2\]"):
        world.loop()
    monkeypatch.setattr(ett, "HOURS", 3)
    (tmp_path / ett.FILE).write_text("\n".join([",".join(ett.COLUMNS), *["2016,1,2,3,4,5,6,7.5"] * 3]) + "\n")
    hours = world.transformer()
    assert hours.series.tolist() == [[1, 2, 3, 4, 5, 6, 7.5]] * 3
    assert hours.train % hours.period == 0


def test_what_needs_no_network_is_measured_as_the_rest() -> None:
    train, test = world.windows(counted())
    rows = {row["method"]: row for row in study.by_hand(train, test)}
    x = test.x
    assert rows["the usual"][study.MAE] == pytest.approx(float((x["usual"] - x["future"]).abs().mean()), 1e-4)
    errors = study.errors(x["future"] + study.deviations(x)[..., None], x)
    assert errors[study.MAE] == pytest.approx(float(study.deviations(x).mean()), abs=1e-5)
    assert errors[study.LARGE] > errors[study.MAE]
    fitted = {row["method"]: row[study.MAE] for row in study.by_hand(train, train)}
    assert fitted["raw input, linear"] < fitted["last value"]


def test_prototypes_are_counted_and_their_distances_compared(small: Dataset) -> None:
    made = method.DeviationLearning(forecaster(), nn.Identity(), "deviation", method.no_views)
    quantiser = made.encoder.quantiser
    assert quantiser is not None
    with torch.no_grad():
        quantiser.prototypes.zero_()[0, 0] = 1.0
        quantiser.query.weight[0].zero_()  # products are 0 with all prototypes
    found = study.read(made, small, small)
    assert found[study.USED] == 1
    assert found[study.GAP] == pytest.approx(found[study.SPREAD])
    assert found[study.ORDER] == 0


def test_sectors_are_where_a_prototype_has_the_largest_product() -> None:
    square = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [0.2, 0.1]])
    found = panel.cells(square, 1.0)
    assert len(found) == 4, "one within the others is never the nearest"
    for sector, (x, y) in zip(found, square.tolist(), strict=False):
        assert isinstance(sector, panel.Polygon)
        assert (sector.x * x > -0.02).all()
        assert (sector.y * y > -0.02).all()
        assert abs(sector.x).max() == pytest.approx(1.6, abs=0.01)


def test_the_panel_moves_one_query_and_leaves_the_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel, "EPOCHS", 1)
    monkeypatch.setattr(panel, "STEPS", 60)
    for kept in (panel.world, panel.trained):
        kept.cache_clear()
    shown = panel.UsualPanel(size=0.0)

    def said() -> dict[str, str]:
        return dict(shown.picture.readout)

    assert said()["distance of queries"] == said()["of their prototypes"] == "0.00"
    usual = {}
    for moment in panel.MOMENTS:
        shown.knobs["moment"].value = moment
        for size in (1.0, 3.0):
            shown.knobs["size"].value = size
            usual[moment, size] = float(said()["distance of queries"])
        assert usual[moment, 3.0] > usual[moment, 1.0] > 0
    assert len(set(usual.values())) > 4
    gap = said()["mean gap on unseen windows"]
    shown.knobs["weight"].value = 0.0
    shown.wait()
    assert said()["mean gap on unseen windows"] != gap
    panel.trained.cache_clear()
    with pytest.raises(ValueError, match=r"size must be between 0 and 3\.0, got 4"):
        panel.UsualPanel(size=4.0)
