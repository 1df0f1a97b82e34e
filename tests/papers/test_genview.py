"""GenView: weights and levels against golden numbers, what they do not depend on, the pairs, and what training does."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cl_explore import losses
from cl_explore.data.factor_world import alpha
from cl_explore.nn import MLP, projection_head
from cl_explore.papers.genview import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views import VectorViews

CASES = json.loads((Path(__file__).parents[1] / "golden" / "genview.json").read_text())["cases"]
PAIRS = [case for case in CASES if "tokens1" in case["inputs"]]


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, wanted: object, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found, tensor(wanted), atol=atol, rtol=0)


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case["name"])
def test_quality_weights_and_the_losses_they_weigh_are_the_golden_ones(case: dict) -> None:
    given, gamma = case["inputs"], case["params"]["gamma"]
    tokens = torch.stack([tensor(given[f"tokens{view}"]) for view in (1, 2)], dim=1)
    maps = tokens @ tensor(given["pca_vector"])
    found = method.quality(tokens, maps)
    close(found.foreground, case["sim_fg"])
    close(found.background, case["sim_bg"])
    close((gamma * found.score).exp(), case["q"])
    weights = method.pair_weights(found.score, gamma)
    close(weights, case["w"])
    leaves = [tensor(given[name]).requires_grad_() for name in ("pred", "target")]
    weighted = (weights * -torch.nn.functional.cosine_similarity(*leaves)).mean()
    close(weighted, case["loss"])
    for leaf, name in zip(torch.autograd.grad(weighted, leaves), ("pred", "target"), strict=True):
        close(leaf, case["grad"][name])
    contrast = weights * losses.info_nce(*leaves, temperature=case["params"]["tau_infonce"], reduction="none")
    close(contrast.mean(), case["loss_infonce_one_direction"], atol=1e-6)  # theirs are weights of float32
    for leaf, name in zip(torch.autograd.grad(contrast.mean(), leaves), ("pred", "target"), strict=True):
        close(leaf, case["grad_infonce"][name], atol=1e-6)


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case["name"])
def test_masks_are_the_golden_ones_once_pooled_alike(case: dict) -> None:
    tokens = tensor(case["inputs"]["tokens1"])
    for found, name in zip(method.attention(tokens @ tensor(case["inputs"]["pca_vector"])), ("fg", "bg"), strict=True):
        wanted = tensor(case[f"{name}_mask1"]).flatten(1)
        close(found, (wanted / wanted.sum(1, keepdim=True)).tolist(), atol=1e-6)


def test_levels_of_noise_are_the_golden_ones() -> None:
    (case,) = (case for case in CASES if "fg_ratio" in case["inputs"])
    assert method.noise_level(tensor(case["inputs"]["fg_ratio"])).tolist() == case["output"]
    with pytest.raises(ValueError, match=r"share must be in \[0, 1\], got 0 to 1\.2"):
        method.noise_level(torch.tensor([0.0, 1.2]))


@pytest.mark.parametrize("case", PAIRS, ids=lambda case: case["name"])
def test_hosts_weighed_by_the_golden_weights_are_the_golden_losses(case: dict) -> None:
    given, weights = case["inputs"], tensor(case["w"])
    leaves = [tensor(given[name]).requires_grad_() for name in ("pred", "target")]
    prediction, target = (leaf[:, None].expand(-1, 2, -1) for leaf in leaves)
    cosine = method.PairWeighted("simsiam")(target, weights, prediction)
    close(cosine, case["loss"])
    close(torch.autograd.grad(cosine, leaves[0])[0], case["grad"]["pred"])
    both = method.BothWays("info_nce", temperature=case["params"]["tau_infonce"])(target, prediction, weights)
    close(both / 2, case["loss_infonce_one_direction"], atol=1e-6)  # theirs are weights of float32
    for slope, name in zip(torch.autograd.grad(both / 2, leaves), ("pred", "target"), strict=True):
        close(slope, case["grad_infonce"][name], atol=1e-6)


def test_hosts_pass_gradcheck_and_weigh_their_anchors() -> None:
    generator = torch.Generator().manual_seed(0)
    z, other = (torch.randn(3, 2, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    rows, weights = torch.randn(5, 4, generator=generator, dtype=torch.float64), tensor([0.5, 2.0, 0.5])
    z.requires_grad_()
    nt_xent, swav = method.PairWeighted("nt_xent"), method.PrototypeWeighted("swav", epsilon=1.0)
    moco, both = method.QueueWeighted("moco"), method.BothWays("info_nce")
    hosts = [
        (lambda z, w: nt_xent(z, w), lambda z: losses.nt_xent(z, reduction="none").view(3, 2).mean(1)),
        (lambda z, w: swav(z, rows, w),
         lambda z: losses.swav(z, rows, epsilon=1.0, reduction="none").view(3, 2).mean(1)),
        (lambda z, w: moco(z[:, 0], other[:, 1], rows, w),
         lambda z: losses.moco(z[:, 0], other[:, 1], rows, reduction="none")),
        (lambda z, w: both(other, z, w),
         lambda z: sum(losses.info_nce(z[:, v], other[:, 1 - v], reduction="none") for v in (0, 1))),
    ]  # fmt: skip
    for weighed, anchors in hosts:
        torch.testing.assert_close(weighed(z, weights), (weights * anchors(z)).mean())
        torch.testing.assert_close(weighed(z, torch.ones_like(weights)), anchors(z).mean())
        if weighed is not hosts[1][0]:  # codes are targets, which are held still
            assert torch.autograd.gradcheck(lambda z, weighed=weighed: weighed(z, weights), z)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_of_one_pair_of_no_tokens_and_of_huge_scores_are_finite(dtype: torch.dtype) -> None:
    tokens, maps = torch.zeros(1, 2, 4, 3, dtype=dtype), torch.zeros(1, 2, 4, dtype=dtype)
    score = method.quality(tokens, maps).score
    assert score.tolist() == [0]
    assert score.dtype == dtype
    assert method.pair_weights(score, 3.0).tolist() == [1]
    assert method.pair_weights(torch.tensor([-500.0, 0.0, 500.0], dtype=dtype), 10.0).tolist() == [0, 0, 3]


def random_pairs(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = (6, 2, 9, 5), (6, 2, 9)
    tokens, maps = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return tokens, maps


def test_what_quality_and_weights_do_not_depend_on() -> None:
    tokens, maps = random_pairs()
    q = method.quality(tokens, maps).score
    torch.testing.assert_close(method.quality(tokens.flip(1), maps.flip(1)).score, q)
    torch.testing.assert_close(method.quality(3 * tokens, maps).score, q)
    torch.testing.assert_close(method.quality(3 * tokens, maps, distance="dot").foreground,
                               9 * method.quality(tokens, maps, distance="dot").foreground)  # fmt: skip
    weights = method.pair_weights(q, 2.0)
    torch.testing.assert_close(weights.mean(), torch.ones((), dtype=torch.float64))
    torch.testing.assert_close(method.pair_weights(q + 5, 2.0), weights)
    torch.testing.assert_close(method.pair_weights(q, 0.0), torch.ones_like(q))
    assert not method.pair_weights(q.clone().requires_grad_(), 1.0).requires_grad
    same = method.quality(tokens[:, :1].expand(-1, 2, -1, -1), maps[:, :1].expand(-1, 2, -1))
    torch.testing.assert_close(same.score, torch.zeros(6, dtype=torch.float64))
    torch.testing.assert_close(
        method.quality(tokens, maps, score="fg").score, same.score + method.quality(tokens, maps)[1]
    )
    for wrong in ({"distance": "euclid"}, {"score": "bg"}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be .*, got '{next(iter(wrong.values()))}'"):
            method.quality(tokens, maps, **wrong)


def test_a_constant_map_has_no_foreground_and_an_even_background() -> None:
    foreground, background = method.attention(torch.full((2, 4), 3.0))
    assert foreground.eq(0).all()
    torch.testing.assert_close(background, torch.full((2, 4), 0.25))


def test_equal_weights_are_the_host_loss_and_others_weigh_both_views_of_a_pair() -> None:
    z, prediction = torch.randn(2, 5, 2, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for host, given in (("nt_xent", (z,)), ("simsiam", (z, prediction))):
        module = method.PairWeighted(host)
        torch.testing.assert_close(module(z, torch.ones(5), *given[1:]), losses.get(host)(*given))
        alone = 5 * torch.eye(5, dtype=torch.float64)[2]
        each = losses.get(host)(*given, reduction="none")
        torch.testing.assert_close(module(z, alone, *given[1:]), each[4:6].mean())


def test_the_direction_points_at_what_is_not_at_the_border() -> None:
    border = torch.tensor([True, False, True])
    tokens = torch.randn(200, 3, 4, generator=torch.Generator().manual_seed(0)) * 0.1
    for sign in (1.0, -1.0):
        shifted = tokens.clone()
        shifted[:, 1, 2] += 5 * sign
        direction = method.foreground_direction(shifted, border)
        assert direction[2] * sign > 0.99
    share = method.foreground_share(torch.arange(20.0).view(2, 10), 0.4)
    torch.testing.assert_close(share, torch.tensor([0.0, 0.8]))
    with pytest.raises(ValueError, match="share must be between 0 and 1, got 1"):
        method.foreground_share(torch.zeros(2, 2), 1)


def test_one_view_of_two_is_generated_either_one_and_descriptors_follow() -> None:
    x = {"real": torch.zeros(4000, 3), "generated": torch.ones(4000, 3), "real tokens": torch.zeros(4000, 4),
         "generated tokens": torch.ones(4000, 4)}  # fmt: skip
    for chance in (0.0, 0.3, 1.0):
        augment = world.OneGenerated(VectorViews(noise=0.0, dropout=0.0), chance, noise=0.0)
        views = augment(x, torch.Generator().manual_seed(0), 2)
        made = views["seen"][..., 0]
        assert torch.equal(made, views["tokens"][..., 0])
        assert float(made.sum(1).mean()) == pytest.approx(chance, abs=0.03)
        assert made.sum(1).max() == (chance > 0)
        torch.testing.assert_close(made.mean(0), torch.full((2,), chance / 2), atol=0.03, rtol=0)
    assert augment({"real": x["real"], "generated": x["generated"]}, torch.Generator(), 2).shape == (4000, 2, 3)


def test_vectors_keep_the_object_as_often_as_they_should() -> None:
    pairs, train, test = world.vectors(0, samples=3000, corrupted=0.3)
    kept = pairs.factors["kept"].bool()
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.03)
    moved = (pairs.x["real tokens"] - pairs.x["generated tokens"])[:, :12]
    assert moved[kept][:, :8].eq(0).all()
    assert float(moved[kept][:, 8:].std()) == pytest.approx(0.2, abs=0.02)
    assert (moved[~kept].norm(dim=1) > 1).all()
    same = (pairs.x["real tokens"] == pairs.x["generated tokens"])[:, 12:].all(1)
    assert float(same.float().mean()) == pytest.approx(0.4, abs=0.03)
    assert torch.equal(train.x, pairs.x["real"])
    assert test.x.shape == (1000, 48)
    assert world.vectors(0, samples=3000).pairs.fingerprint() == pairs.fingerprint()


def test_a_generator_changes_more_with_more_noise_and_spares_large_objects() -> None:
    pairs, train, _ = world.pictures(0, samples=400, unseen=4)
    share = method.foreground_share(alpha(train.factors, world.SIZE).flatten(1))
    assert float(share.mean()) == pytest.approx(0.4, abs=0.01)
    quiet, loud = (world.redraw(train.factors, torch.full((400,), level), share, torch.Generator().manual_seed(0))
                   for level in (0, 400))  # fmt: skip
    assert quiet[1].all()
    assert torch.equal(quiet[0]["shape"], train.factors["shape"])
    assert (loud[0]["shape"] != train.factors["shape"]).eq(~loud[1]).all()
    assert share[loud[1]].mean() > share[~loud[1]].mean() + 0.1
    ground = [(f["style"] != train.factors["style"]).float().mean() for f, _ in (quiet, loud)]
    assert ground[1] > ground[0] + 0.3
    assert 0.1 < float(pairs.factors["kept"].float().mean()) < 0.95


def built(
    form: type = method.GenView, host: str | method.PairWeighted = "nt_xent", **options: object
) -> tuple[method.GenView, world.World]:
    made = world.vectors(0, samples=512)
    torch.manual_seed(0)
    augment = world.OneGenerated(VectorViews(noise=0.0, dropout=0.2))
    encoder, head = MLP([48, 64, 32]), projection_head(32, 32, 16)
    loss = method.PairWeighted(host) if isinstance(host, str) else copy.deepcopy(host)
    return form(encoder, head, loss, augment, reference=method.Told(), **options), made


def test_a_step_weighs_pairs_by_what_is_told_of_their_views() -> None:
    genview, made = built(gamma=2.0)
    batch = made.pairs.batch(torch.arange(64))
    embedded = genview.embed_views(batch, torch.Generator().manual_seed(1))
    tokens = embedded.views["tokens"].unflatten(2, (2, 12))
    similar = torch.nn.functional.cosine_similarity(tokens[:, 0], tokens[:, 1], dim=2)
    weights = 64 * (2 * (similar[:, 0] - similar[:, 1])).softmax(0)
    each = losses.nt_xent(embedded.z, reduction="none").view(64, 2).mean(1)
    torch.testing.assert_close(genview.compare(embedded).loss, (weights * each).mean())
    with pytest.raises(ValueError, match="gamma must be at least 0, got -1"):
        built(gamma=-1)


@pytest.mark.parametrize(
    ("form", "host", "options"),
    [
        (method.GenView, "nt_xent", {}),
        (method.GenView, method.PrototypeWeighted("swav"), {"classes": 10}),
        (method.GenViewMomentum, method.QueueWeighted("moco", temperature=0.2), {"decay": 0.9, "queue": 128}),
        (method.GenViewPredictive, "simsiam", {"decay": 0.0, "predictor": MLP([16, 16, 16])}),
        (method.GenViewPredictive, "byol", {"decay": 0.9, "predictor": MLP([16, 16, 16])}),
        (method.GenViewPredictive, method.BothWays("info_nce"), {"decay": 0.9, "predictor": MLP([16, 16, 16])}),
    ],
)
def test_every_host_trains_and_the_frozen_network_stays_as_it_was(
    form: type, host: str | method.PairWeighted, options: dict
) -> None:
    genview, made = built(form, host, **copy.deepcopy(options))
    reference = torch.nn.Sequential(torch.nn.BatchNorm1d(24), method.Told())
    run = fit(genview, made.pairs, epochs=6, batch_size=64, snapshots=0, store=False, progress=False)
    early = run.history["loss"].iloc[4:12].mean()  # a queue is full by then
    assert run.history["loss"].iloc[-8:].mean() < early - 0.05
    genview.reference = reference
    genview.train()
    assert genview.training
    assert not reference.training


def test_corrupted_pairs_weigh_about_half_and_sharp_weights_leave_few_pairs() -> None:
    genview, made = built(gamma=1.0)
    found = study.weighing(genview, made.train, made.test, pairs=made.pairs)
    assert 0.3 < found[study.RATIO] < 0.7
    genview.gamma = 6.0
    assert study.weighing(genview, made.train, made.test, pairs=made.pairs)[study.COUNTED] < found[study.COUNTED] / 3
    genview.gamma = 0.0
    assert study.weighing(genview, made.train, made.test, pairs=made.pairs) == {}


def test_a_reader_gives_tokens_without_mean_and_maps_of_its_cells() -> None:
    made = world.pictures(0, samples=64, unseen=4)
    x = made.train.batch(torch.arange(64)).x
    torch.manual_seed(0)
    for reader in (world.SceneReader(), world.Reader(3, 8)):
        assert reader.step(made.train.batch(torch.arange(64)), torch.Generator()).loss.isfinite()
        tokens, maps = method.Tokens(reader.encoder, x)(x)
        assert (tokens.shape, maps.shape) == ((64, 16, 64), (64, 16))
        torch.testing.assert_close(tokens.mean((0, 1)), torch.zeros(64), atol=1e-5, rtol=0)
        inner = maps.view(-1, 4, 4)[:, 1:3, 1:3].mean()
        assert inner > maps.mean()


def state(**changes: object) -> dict[str, object]:
    return {"level": 160, "gamma": 1.0, "score": next(iter(panel.SCORES)), "pair": 5, **changes}


def test_lines_of_the_panel_join_pairs_of_equal_weight() -> None:
    for score, name in panel.SCORES.items():
        scatter = panel.quality_picture(state(gamma=3.0, score=score)).charts[1]
        lines = [mark for mark in scatter.marks if type(mark).__name__ == "Line"]
        weights = scatter.marks[-2].fields["weight"]
        _, pictures, _ = panel.real()
        q = panel.rated(pictures, panel.shown(panel.generated(160)[0]), name).score.numpy()
        inside = np.polyfit(q, np.log(weights), 1)
        np.testing.assert_allclose(inside[0], 3.0, atol=1e-3)
        for line in lines:
            of_line = line.y - line.x if name == "fg-bg" else line.y
            assert np.ptp(of_line) < 1e-5
            nearest = min(panel.ISO, key=lambda w: abs(np.polyval(inside, of_line[0]) - np.log(w)))
            np.testing.assert_allclose(np.polyval(inside, of_line[0]), np.log(nearest), atol=1e-3)
        assert lines


def test_more_noise_in_the_panel_turns_more_objects_and_no_sharpness_weighs_alike() -> None:
    lost = []
    for level in (0, 160, 500):
        readout = dict(panel.quality_picture(state(level=level)).readout)
        lost.append(int(readout["pairs with another object"].split()[0]))
    assert lost[0] == 0 < lost[1] < lost[2]
    flat = panel.quality_picture(state(gamma=0.0))
    np.testing.assert_allclose(flat.charts[2].marks[0].height, 1, rtol=1e-5)
    assert dict(flat.readout)["effective number of pairs"] == "48 of 48"
    with pytest.raises(ValueError, match="level must be between 0 and 500, got 501"):
        panel.QualityPanel(level=501)


def test_the_panel_shows_where_the_object_is() -> None:
    images = [mark for mark in panel.strip(state(pair=3)).marks if type(mark).__name__ == "Images"]
    assert [len(mark.x) for mark in images] == [5, 5, 5]
    cover = panel.real()[1].cover[3].view(8, 4, 8, 4).mean((1, 3)).numpy()
    foreground = images[1].pixels.reshape(5, 8, 8)[0]
    assert foreground[cover > 0.5].mean() > 4 * foreground[cover < 0.05].mean()
