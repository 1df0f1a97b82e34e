"""ISR: matching and weights against golden numbers and brute force, who meets whom, and what pairs are worth."""

import json
import zipfile
from io import BytesIO
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.papers.isr_reid import method, panel, study, world
from cl_explore.train import fit
from cl_explore.views.noisy import Noisy

CASES = json.loads((Path(__file__).parents[1] / "golden" / "isr-reid.json").read_text())["cases"]
WAYS = {"none": {"power": 0.0}, "posterior": {}, "similarity": {"reliability": "similarity"}}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def units(rows: int, seed: int = 0, features: int = 5) -> Tensor:
    return F.normalize(torch.randn(rows, features, dtype=torch.float64, generator=generator(seed)), dim=1)


def joined(videos: list[list[list[float]]]) -> tuple[Tensor, Tensor]:
    """Rows of all videos with gradient, and the video of each."""
    rows = torch.tensor([row for video in videos for row in video], dtype=torch.float64).requires_grad_()
    return rows, torch.arange(len(videos)).repeat_interleave(torch.tensor([len(video) for video in videos]))


@pytest.mark.parametrize("case", CASES[:3], ids=lambda case: case["name"])
def test_pairs_weights_loss_and_gradients_are_the_golden_ones(case: dict) -> None:
    (x, of_x), (y, of_y) = (joined(case["inputs"][side]) for side in ("X", "Y"))
    a, b = F.normalize(x, dim=1), F.normalize(y, dim=1)
    known = case["params"]
    contrast = method.ReliableContrast(
        **WAYS[known["reliability"]], negatives=known["negatives"], temperature=known["tau"]
    )
    pairs = method.associate(a, b, of_x, of_y)
    found = contrast(a, b, pairs, of_x, of_y)
    start_x, start_y = ([int((of < video).sum()) for video in (0, 1)] for of in (of_x, of_y))
    expected = [(start_x[g] + i, start_y[g] + j) for g, i, j, _, _ in case["pairs_g_i_j_sim_r"]]
    assert pairs.T.tolist() == [list(pair) for pair in expected]
    assert found.weight.tolist() == pytest.approx([pair[4] for pair in case["pairs_g_i_j_sim_r"]], abs=1e-9)
    assert found.loss.item() == pytest.approx(case["loss"], abs=1e-9)
    for gradient, side in zip(torch.autograd.grad(found.loss, (x, y)), ("X", "Y"), strict=True):
        torch.testing.assert_close(gradient, joined(case["grad"][side])[0].detach(), atol=1e-9, rtol=0)


def test_the_best_total_beats_the_best_pair_first() -> None:
    case = CASES[3]
    w = np.array(case["inputs"]["W"])
    rows, columns = method.hungarian(w)
    assert np.stack([rows, columns], 1).tolist() == case["output"]["pairs"]
    assert w[rows, columns].sum() == pytest.approx(case["output"]["total"])
    assert w[method.greedy(w)].sum() == pytest.approx(case["output"]["greedy_total"])
    assert np.stack(method.mutual(w)).tolist() == [[0], [0]], "row 1 would rather have column 0 as well"


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (4, 1), (3, 5), (5, 3), (5, 5)])
def test_the_matching_is_that_of_brute_force_whatever_the_shape(n: int, m: int) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        w = rng.normal(size=(n, m))
        small = w if n <= m else w.T
        orders = map(list, permutations(range(max(n, m)), min(n, m)))
        best = max(small[np.arange(len(small)), order].sum() for order in orders)
        for way in ("hungarian", "greedy"):
            rows, columns = method.MATCHINGS[way](w)
            assert len(set(rows)) == len(set(columns)) == len(rows) == min(n, m)
            assert w[rows, columns].sum() <= best + 1e-12
        assert w[method.hungarian(w)].sum() == pytest.approx(best)
    rows, columns = method.greedy(np.zeros((n, m)))
    assert rows.tolist() == columns.tolist() == list(range(min(n, m))), "of equal ones the first"


def test_pairs_stay_within_their_video_and_frames_may_differ_in_size() -> None:
    x, y = units(5), units(7, seed=1)
    of_x, of_y = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([1, 0, 0, 1, 2, 1, 0])
    for how in method.MATCHINGS:
        i, j = method.associate(x, y, of_x, of_y, how)
        assert (of_x[i] == of_y[j]).all()
        assert len(i) == 5 or how == "mutual"
    assert method.associate(x, y, of_x, of_y + 3).shape == (2, 0)
    with pytest.raises(ValueError, match="unknown association 'oracle'; known: hungarian, greedy, mutual"):
        method.associate(x, y, of_x, of_y, "oracle")


def contrasted(contrast: method.ReliableContrast, x: Tensor, y: Tensor, videos: int = 1) -> method.Contrasted:
    of = torch.arange(len(x)) % videos
    return contrast(x, y, method.associate(x, y, of, of), of, of)


@pytest.mark.parametrize("reliability", ["posterior", "similarity", "margin"])
def test_weights_alike_leave_clip_and_their_size_does_not_count(reliability: method.Reliability) -> None:
    x, y = units(6), units(6, seed=1)
    of = torch.zeros(6, dtype=torch.int64)
    target = method.associate(x, y, of, of)[1]
    plain = contrasted(method.ReliableContrast(reliability, power=0), x, y)
    torch.testing.assert_close(plain.loss, losses.clip(x, y[target], temperature=0.1))
    turned = torch.eye(6, dtype=torch.float64)  # all pairs are equally good
    found = contrasted(method.ReliableContrast(reliability, power=3), turned, turned)
    torch.testing.assert_close(found.loss, found.each.mean())


@pytest.mark.parametrize("reliability", ["posterior", "similarity", "margin"])
@pytest.mark.parametrize("negatives", ["batch", "video"])
def test_the_order_of_the_second_frame_is_undone_and_weights_carry_no_gradient(
    reliability: method.Reliability, negatives: method.Negatives
) -> None:
    x, y, of = units(8).requires_grad_(), units(8, seed=1), torch.arange(8) % 2
    contrast = method.ReliableContrast(reliability, 2.0, negatives)
    found = contrasted(contrast, x, y, 2)
    order = torch.randperm(8, generator=generator())
    pairs = method.associate(x, y[order], of, of[order])
    torch.testing.assert_close(contrast(x, y[order], pairs, of, of[order]).loss, found.loss)
    assert not found.weight.requires_grad
    assert ((found.weight >= 0) & (found.weight <= 1)).all()
    held = (found.weight * found.each).sum() / found.weight.sum()
    torch.testing.assert_close(*(torch.autograd.grad(loss, x, retain_graph=True)[0] for loss in (held, found.loss)))


def test_the_lead_over_the_best_rival_and_pairs_that_nobody_trusts() -> None:
    w = torch.tensor([[0.9, 0.8, 0.1], [0.85, 0.1, 0.2]], dtype=torch.float64)
    x, of = torch.eye(2, dtype=torch.float64), torch.zeros(3, dtype=torch.int64)
    contrast = method.ReliableContrast("margin", temperature=0.2)
    found = contrast(x, w.T, torch.tensor([[0, 1], [1, 0]]), of[:2], of)
    leads = torch.tensor([0.8 - 0.9, 0.85 - 0.9], dtype=torch.float64)
    torch.testing.assert_close(found.weight, (leads / 0.2).sigmoid())
    alone = units(1)
    for reliability in ("posterior", "margin"):
        found = contrasted(method.ReliableContrast(reliability, negatives="video"), alone, units(1, seed=1))
        assert (found.loss.item(), found.weight.item()) == (0, 1), "one person, no rival"
    away = (-alone).requires_grad_()
    found = contrasted(method.ReliableContrast("similarity"), alone, away)
    assert found.loss.item() == 0
    assert torch.autograd.grad(found.loss, away)[0].abs().max() == 0
    video = torch.arange(2)
    none = method.ReliableContrast()(units(2), units(2), torch.empty(2, 0, dtype=torch.int64), video, video)
    assert none.loss.item() == 0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"reliability": "hope"}, "reliability"), ({"negatives": "all"}, "negatives"),
        ({"power": -1.0}, "power must be at least 0, got -1"), ({"power": float("nan")}, "power must be at least 0"),
        ({"temperature": 0.0}, "temperature must be above 0, got 0"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        method.ReliableContrast(**wrong)
    with pytest.raises(ValueError, match="association"):
        method.ISR(nn.Identity(), nn.Identity(), method.ReliableContrast(), Noisy(), association="guess")


def built(association: method.Association = "hungarian", **options: object) -> method.ISR:
    torch.manual_seed(0)
    encoder, head = world.networks(world.Street().videos(1))
    return method.ISR(encoder, head, method.ReliableContrast(**options), Noisy(), association=association)


def test_batches_hold_whole_videos_and_training_lowers_the_loss_of_true_pairs() -> None:
    seen = world.Street().videos(48)
    trained = built("oracle", power=0.0)
    order = trained.draw_order(seen, 120, generator())
    assert order.unique().shape == (480,)
    assert all(len(rows.unique()) == 10 for rows in seen.factors["video"][order].view(-1, 120))
    for wrong in (100, 6):
        with pytest.raises(ValueError, match=f"batch_size must be a multiple of 12, .* got {wrong}"):
            trained.draw_order(seen, wrong, generator())
    before = trained.step(seen.batch(order[:120]), generator())
    fit(trained, seen, epochs=4, batch_size=96, snapshots=0, store=False, progress=False)
    after = trained.step(seen.batch(order[:120]), generator())
    assert after.loss < 0.8 * before.loss
    assert after.metrics["precision"] == after.metrics["trusted"] == 1
    assert after.metrics["pairs"] < 60, "who has left is not paired"
    assert built().step(seen.batch(order[:120]), generator()).metrics["pairs"] == 60


def test_who_is_in_two_frames() -> None:
    for leave in (0.0, 0.4, 1.0):
        who = world.crowd(2000, 6, leave, generator())
        first, second = who.unbind(1)
        stayed = (first[:, :, None] == second[:, None]).any(2).double().mean().item()
        assert stayed == pytest.approx(1 - leave, abs=0.02)
        assert (who.sort(2).values.diff(dim=2) > 0).all(), "nobody twice in a frame"
    street = world.Street(3)
    seen, unseen = street.videos(40), street.strangers()
    alone = seen.subset(seen.factors["video"] < 1)
    assert len(alone) == 12
    assert len(set(seen.labels[:12].tolist()) & set(seen.labels[12:].tolist())) == 0
    assert torch.equal(unseen.labels[:300], unseen.labels[300:])
    same = world.Street(3, nuisance=0, noise=0)
    crops = same.crops(torch.ones(2, 10), torch.tensor([0, 1]), generator())
    assert not torch.allclose(crops[0], crops[1]), "two cameras"


def test_measures_of_an_encoder_that_knows_who_is_who() -> None:
    people = torch.eye(300)
    unseen = world.queries_and_gallery("known", people.repeat(2, 1), torch.arange(2).repeat_interleave(300))
    knows = method.ISR(nn.Identity(), nn.Identity(), method.ReliableContrast(), Noisy())
    assert study.strangers(knows, unseen, unseen) == {study.RANK: 1.0}
    who = world.crowd(40, 6, 0.4, generator())
    seen = world.in_frames("known", torch.eye(12)[who.flatten()], who.flatten(), (40, 6))
    found = study.pairs(knows, seen, unseen)
    stayed = sum(len(set(a.tolist()) & set(b.tolist())) for a, b in who) / 240
    assert found[study.PRECISION] == pytest.approx(stayed), "the others are matched all the same"
    assert found[study.TRUSTED] > 0.95


def packed(folder: Path, name: str, alphabets: int) -> None:
    """A zip of 13 characters an alphabet, each with 20 drawings."""
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for alphabet in range(alphabets):
            for character in range(13):
                for drawer in range(1, 21):
                    dark = np.full((105, 105), 255, np.uint8)
                    dark[8 * character : 8 * character + 8, : 5 * drawer] = 0
                    Image.fromarray(dark).save(file := BytesIO(), "PNG")
                    where = f"{name}/Alphabet_{alphabet}/character{character + 1:02}/{character:04}_{drawer:02}.png"
                    archive.writestr(where, file.getvalue())


def test_characters_are_people_and_drawers_are_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"(?s)images_background\.zip.*brendenlake/omniglot"):
        world.omniglot("train")
    packed(tmp_path, "images_background", 2)
    packed(tmp_path, "images_evaluation", 1)
    with pytest.raises(ValueError, match=r"images_background\.zip must hold 19280 drawings, 20 of each"):
        world.omniglot("train")
    monkeypatch.setattr(world, "COUNT", {"train": 520, "test": 260})
    seen, unseen = world.world("omniglot", 0, 10, 0.4)
    assert seen.x.shape == (120, 1, 28, 28)
    alphabet = world.omniglot("train").factors["alphabet"]
    assert alphabet.bincount().tolist() == [260, 260]
    ink = seen.x.flatten(1).float().mean(1).view(10, 2, 6)
    assert (ink.std(2) < 3).all(), "one drawer a frame"
    assert ((ink[:, 0].mean(1) - ink[:, 1].mean(1)).abs() > 0.1).all(), "and another one in the next"
    assert torch.equal(unseen.labels, torch.arange(13).repeat(2))
    encoder, head = world.networks(seen)
    assert head(encoder(seen.batch(torch.arange(4)).x)).shape == (4, 64)
    with pytest.raises(ValueError, match="world"):
        world.world("market", 0, 10, 0.4)


def test_the_panel_draws_right_pairs_thick_where_people_stayed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"VIDEOS": 24, "JUDGED": 24, "STOPS": (0, 2)}.items():
        monkeypatch.setattr(panel, name, value)
    for kept in (panel.parts, panel.course):
        kept.cache_clear()
    made = panel.learned(0.4, 4.0)
    state = {"leave": 0.4, "power": 4.0, "step": 2, "video": 3}
    shown, shares, ranks = panel.matching_picture(state, made).charts
    right, wrong = shown.marks[:2]
    assert len(right.pairs) + len(wrong.pairs) == 12
    upper, labels = right.pairs.reshape(-1, 2).astype(int), shown.marks[3].text
    assert all(labels[a] == labels[b] for a, b in upper)
    assert all(labels[a] != labels[b] for a, b in wrong.pairs.reshape(-1, 2).astype(int))
    assert labels[:6] == tuple("ABCDEF")
    assert shares.marks[0].height.tolist() == pytest.approx([made.own.right[1], made.own.trusted[1]])
    assert made.alike.right[1] == pytest.approx(made.alike.trusted[1])
    assert [line.y.tolist()[0] for line in ranks.marks[:3]] == pytest.approx([made.own.rank[0]] * 3), "equal weights"
    for kept in (panel.parts, panel.course):
        kept.cache_clear()


def test_the_panel_refuses_what_it_cannot_show() -> None:
    with pytest.raises(ValueError, match=r"leave must be between 0\.0 and 0\.8, got 0\.9"):
        panel.MatchingPanel(leave=0.9)
    with pytest.raises(ValueError, match="power must be"):
        panel.MatchingPanel(power=3.0)
