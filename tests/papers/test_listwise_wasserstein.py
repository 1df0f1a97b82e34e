"""SyCL: the loss's identities through its method, worlds, lists of graded pairs, and what only levels teach.

Golden numbers of the losses are in tests/losses/test_listwise.py.
"""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn

from cl_explore import losses
from cl_explore.claims.bench import compare
from cl_explore.claims.graded import bag
from cl_explore.data import Batch, sentences
from cl_explore.methods import Method
from cl_explore.papers.listwise_wasserstein import method, panel, study, world
from cl_explore.papers.listwise_wasserstein.world import Looks

KNOBS = {"temperature": 0.2}


def looked(batch_size: int = 6) -> Batch:
    made = world.attributes(0, 20).train
    return made.batch(torch.arange(batch_size))


def built(loss: str, form: type[Method] = method.GradedLists, **options: int) -> Method:
    torch.manual_seed(0)
    encoder, head = study.networks(world.attributes(0, 8).train)
    return form(encoder, head, loss, Looks(0), passages=4, **KNOBS, **options)


def step(made: Method) -> tuple[float, Tensor]:
    """The loss of a batch, and its gradient of all weights."""
    loss = made.step(looked(), Generator().manual_seed(1)).loss
    return loss.item(), torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(made.parameters()))])


@pytest.mark.parametrize("loss", ["listwise_wasserstein", "listwise_kl"])
def test_a_step_is_the_loss_of_queries_and_their_lists(loss: str) -> None:
    made = built(loss)
    z = made.embed_views(looked(), Generator().manual_seed(1)).z
    expected = losses.get(loss)(z[:, 0], z[:, 1:], torch.tensor([3, 2, 1, 0]).expand(6, -1), **KNOBS)
    assert step(made)[0] == pytest.approx(expected.item())


def test_queries_at_the_lists_of_others_change_nothing_for_wasserstein_and_much_for_kl() -> None:
    (own, gradient), (other, same) = (step(built("listwise_wasserstein", shift=shift)) for shift in (0, 2))
    assert other == pytest.approx(own, abs=1e-9)
    torch.testing.assert_close(same, gradient, rtol=1e-4, atol=1e-6)
    (own, gradient), (other, different) = (step(built("listwise_kl", shift=shift)) for shift in (0, 2))
    assert other > own + 0.1
    assert not torch.allclose(different, gradient, atol=1e-2)


def gaussians(scores: Tensor, relevance: Tensor, **knobs: float) -> dict[str, Tensor]:
    axes = torch.eye(scores.shape[1], dtype=torch.float64).unflatten(0, relevance.shape)
    return losses.listwise_wasserstein.parts(scores, axes, relevance, normalize=False, **knobs)


def test_identities_of_the_distance() -> None:
    generator = Generator().manual_seed(0)
    relevance = torch.tensor([3, 2, 1, 0]).expand(5, -1)
    target = torch.zeros(5, 5, 4, dtype=torch.float64)
    target.diagonal().copy_(relevance.T)
    target = target.flatten(1)
    assert gaussians(target, relevance, temperature=1.0)["loss"].abs().max() < 1e-12, "P = T"
    scores = torch.randn(5, 20, generator=generator, dtype=torch.float64)
    loss = gaussians(scores, relevance, temperature=0.5)["loss"]
    moved = scores + torch.randn(5, 1, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(gaussians(moved, relevance, temperature=0.5)["loss"], loss)
    doubled = gaussians(target, relevance, temperature=0.5, label_scale=2.0)["loss"]
    assert doubled.abs().max() < 1e-12, "only the ratio of sharpness counts"


def test_with_more_queries_the_best_passage_gets_less_of_the_target() -> None:
    shares = [panel.compared(queries, 1.0, 0.2, 0).target.max().item() for queries in (4, 16, 64)]
    e = torch.tensor([3.0, 2.0, 1.0]).double().exp()
    assert shares == pytest.approx([float(e[0] / (e.sum() + 4 * queries - 3)) for queries in (4, 16, 64)])
    assert shares[1:] == pytest.approx([0.22, 0.07], abs=0.005)


def test_infonce_draws_a_relevant_positive_and_an_irrelevant_negative_of_each_list() -> None:
    made = built("info_nce", method.BinaryLists)
    embedded = made.embed_views(looked(), Generator().manual_seed(1))
    places = embedded.z.new_tensor([0, 1, 2, 3, 4]).expand(6, 5)  # the passages of level 3, 2, 1, 0 are 1, 2, 3, 4
    marks = torch.stack([places, torch.arange(6.0)[:, None].expand(6, 5)], dim=2)
    asked = {}
    made.loss = Recorder(asked)
    seen = set()
    for _ in range(20):
        made.compare(embedded._replace(z=marks))
        positive, negative = asked["key"][:, 0], asked["negatives"][0, 5:, 0]
        assert asked["query"][:, 0].eq(0).all()
        assert positive.le(2).all()
        assert negative.ge(3).all()
        seen |= {*positive.tolist(), *negative.tolist()}
        for row in range(6):
            others = [other for other in range(6) if other != row]
            assert sorted(asked["negatives"][row, :, 1].tolist()) == sorted([*others, *range(6)])
    assert seen == {1, 2, 3, 4}


class Recorder(nn.Module):
    """Keeps what it is given."""

    def __init__(self, asked: dict[str, Tensor]) -> None:
        super().__init__()
        self.asked = asked

    def forward(self, query: Tensor, key: Tensor, negatives: Tensor) -> Tensor:
        self.asked |= {"query": query, "key": key, "negatives": negatives}
        return query.sum()


def test_lists_of_two_attributes_have_a_passage_of_each_level() -> None:
    made = world.attributes(3, 50, 40)
    for part in (made.train, made.test):
        same = (part.x[:, :1] == part.x[:, 1:]).unflatten(2, (2, 8)).all(3)
        assert torch.equal((same * torch.tensor([2, 1])).sum(2), torch.tensor([3, 2, 1, 0]).expand(len(part), -1))
    own = made.relevance.unflatten(1, (40, 4)).diagonal().T
    assert torch.equal(own, torch.tensor([3, 2, 1, 0]).expand(40, -1))
    assert made.relevance.shape == (40, 160)
    assert not torch.equal(world.attributes(4, 50).train.x, made.train.x)


def test_lists_of_plain_similarity_have_these_cosines() -> None:
    made = world.similarity(3, 50, 40)
    cosine = torch.cosine_similarity(made.test.x[:, :1], made.test.x[:, 1:], dim=2)
    torch.testing.assert_close(cosine, torch.tensor(world.COSINES).expand(40, -1), atol=1e-5, rtol=0)
    own = made.relevance.unflatten(1, (40, 4)).diagonal().T
    assert torch.equal(own, torch.tensor([3, 2, 1, 0]).expand(40, -1))


def test_looks_are_drawn_anew_around_the_codes() -> None:
    x, drawn = looked().x, Generator().manual_seed(0)
    first, second = Looks(0)(x, drawn, 5), Looks(0)(x, drawn, 5)
    assert first.shape == (6, 5, 32)
    assert not torch.equal(first, second)
    still = Looks(0, noise=0.0)
    gap = (still(x, drawn, 5) - still(x, drawn, 5)).square().mean()
    assert 0 < gap < (first - second).square().mean(), "the eight that mean nothing are left"


def test_order_counts_pairs_within_a_query() -> None:
    levels = torch.tensor([[3, 2, 2, -1], [3, 3, 2, 0], [1, 0, 0, 0]])
    scores = torch.tensor([[0.5, 0.9, 0.1, 2.0], [0.5, 0.1, 0.2, 0.0], [0.3, 0.1, 0.4, 0.2]])
    assert study.order(scores, levels, 3, 2) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert study.order(scores, levels, 1, 0) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="levels must hold 2 and 1 for some query"):
        study.order(scores, levels, 2, 1)


def test_levels_teach_an_order_that_binary_labels_hide() -> None:
    made = world.attributes(0, 160)
    entries = study.plan({"epochs": 6, "batch_size": 16, "lr": 5e-3}, networks=study.networks, augment=Looks(0))
    measures = [lambda *given: study.retrieval(*given, relevance=made.relevance)]
    chosen = {name: entries[name] for name in ("InfoNCE", "KL")}
    for entry in chosen.values():
        entry.settings = {**entry.settings, "store": False}
    rows = {row["method"]: row for row in compare(chosen, made.train, made.test, measures, seed=0).rows}
    assert rows["KL"][study.WITHIN] > rows["InfoNCE"][study.WITHIN] + 0.03
    assert all(0 <= row[name] <= 1 for row in rows.values() for name in (study.NDCG, study.RELATED))


@pytest.mark.usefixtures("published")
def test_pairs_become_lists_filled_up_with_captions() -> None:
    query, listed, levels = world.partners(sentences.SICK.load("train"))
    assert query.tolist() == [sentences.tokens("A dog runs fast"), sentences.tokens("One")]
    assert levels.tolist() == [[3, 2, 1, 0], [1, 0, -1, -1]]
    assert listed[0, 1].tolist() == sentences.tokens("a dog sits there")
    lists = world.judged(0)
    assert len(lists) == 1, "one sentence has a relevant partner"
    assert [int(column) for column in lists.factors.values()] == [3, 1, 0, 0]
    assert lists.x[0, 1:4].tolist() == [
        sentences.tokens(text) for text in ("A dog runs quickly", "A cat sits there", "One two three four")
    ]
    captions = sentences.MULTI30K.load("train").x.flatten(0, 1)
    assert (lists.x[0, 4] == captions).all(1).any()


@pytest.mark.usefixtures("published")
def test_partners_are_ranked_as_people_said() -> None:
    pairs, captions = sentences.SICK.load("test"), sentences.MULTI30K.load("test")
    words = study.Entry(
        "info_nce", settings=None, networks=partial(bag, features=2048), augment=sentences.two_captions
    ).build(captions, 0)
    found = study.ranking(words, captions, pairs)
    assert all(found[name] == 1 for name in (study.WITHIN, study.RELATED, "3 above 2", "1 above 0"))


def test_without_data_the_setting_says_what_to_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"(?s)SICK .*CC BY-NC-SA 3.0.*git clone https://github.com/brmson"):
        study.run(0, text=True)


def test_in_the_panel_wasserstein_stays_where_queries_change_lists() -> None:
    shown = panel.ListsPanel()
    before = dict(shown.picture.readout)
    shown.knobs["shift"].value = 3
    after = dict(shown.picture.readout)
    assert (before["queries"], after["queries"]) == ("each at its own list", "all at another's list")
    assert before["Wasserstein"] == after["Wasserstein"]
    assert float(after["KL"]) > 3 * float(before["KL"])
    shown.knobs["shift"].value = 0
    shown.knobs["queries"].value = 64
    assert dict(shown.picture.readout)["T of the best passage"] == "0.07"
    assert len(shown.picture.alt) <= 200
    for unfit in ({"queries": 5}, {"label_scale": 9.0}, {"shift": 8}):
        with pytest.raises(ValueError, match="must be"):
            panel.ListsPanel(**unfit)
