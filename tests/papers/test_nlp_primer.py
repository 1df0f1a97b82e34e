"""The primer: texts whose "not" decides, texts beside words taken out of them, and what vectors then know.

Golden numbers of its six families are in tests/losses/test_text_label.py.
"""

import math
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.claims.bench import compare
from cl_explore.data import Batch
from cl_explore.methods import JointEmbedding
from cl_explore.papers.nlp_primer import method, panel, study, world
from cl_explore.papers.nlp_primer.world import BAD, GOOD, NOT, VERDICT


def drawn(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def some(count: int = 12) -> Batch:
    return world.negations(0, 60).train.batch(torch.arange(count))


def built(**options: object) -> method.TextLabel:
    torch.manual_seed(0)
    parts = *study.networks(world.negations(0, 8).train), "label_nce", world.Removed()
    return study.beside_labels(*parts, **options)


def test_not_decides_the_verdict_and_nothing_else_tells_it() -> None:
    made, again, other = (world.negations(seed, 300, 200) for seed in (3, 3, 4))
    assert made.train.fingerprint() == again.train.fingerprint() != other.train.fingerprint()
    x, good = made.train.x, made.train.labels.bool()
    assert torch.equal((x == NOT).any(1), ~good)
    assert torch.equal(torch.isin(x[:, VERDICT], torch.tensor(GOOD)), good)
    assert torch.equal(torch.isin(x[:, VERDICT], torch.tensor(BAD)), ~good)
    assert not torch.isin(made.seen.x, torch.tensor(GOOD + BAD)).any()
    assert (made.seen.x.shape, made.unseen.x.shape) == ((300, 10), (200, 10))
    topic = (x[:, :4] - NOT - 1) // world.TOPIC_WORDS
    assert torch.equal(topic, made.train.factors["topic"][:, None].expand(-1, 4))
    assert torch.equal((world.negated(x) == NOT).any(1), good)
    assert torch.equal(world.negated(world.negated(x)), x)
    first, last = (((x[:, :4] - NOT - 1) % world.TOPIC_WORDS == rank).sum() for rank in (0, 9))
    assert first > 4 * last
    assert x.max() < world.VOCABULARY


def test_a_word_is_taken_out_and_kept_as_the_label() -> None:
    x = some(12).x
    taken = set()
    for seed in range(30):
        left, word = world.Removed()(x, drawn(seed), 2).unbind(1)
        assert word[:, 1:].eq(0).all()
        for before, after, label in zip(x, left, word[:, 0], strict=True):
            assert sorted([*after[after > 0].tolist(), int(label)]) == sorted(before[before > 0].tolist())
            assert (after > 0).int().diff().le(0).all(), "padding stays at the end"
        taken |= set(word[:, 0].tolist())
    assert NOT in taken


def test_crops_are_spans_and_dropped_words_are_left_out_at_this_rate() -> None:
    x = some(12).x
    crops = world.Crops(0.5)(x, drawn(), 3)
    for text, spans in zip(x.tolist(), crops.tolist(), strict=True):
        words = [word for word in text if word]
        for span in spans:
            size = math.ceil(len(words) / 2)
            assert span[:size] in [words[start : start + size] for start in range(len(words) - size + 1)]
            assert not any(span[size:])
    assert torch.equal(world.Crops(1.0)(x, drawn(), 2)[:, 0], x)
    kept = (world.dropped(0.3)(x.repeat(50, 1), drawn(), 1) > 0).sum() / (50 * (x > 0).sum())
    assert kept == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("objective", ["ranking", "binary"])
def test_a_step_is_the_loss_of_texts_and_words_without_equal_ones(objective: str) -> None:
    made, batch = built(objective=objective), some(40)
    embedded = made.embed_views(batch, drawn(1))
    (q, k), word = embedded.z.unbind(1), embedded.views[:, 1, 0]
    assert len(word.unique()) < len(word)
    expected = losses.label_nce(q, k, group=word, objective=objective)
    torch.testing.assert_close(made.step(batch, drawn(1)).loss, expected)
    noise = torch.randn(world.VOCABULARY, generator=drawn())
    corrected = built(objective=objective, log_noise=noise, temperature=0.5).step(batch, drawn(1)).loss
    found = 2 * q @ k.T - noise[word] - (objective == "binary") * math.log(39)
    right, wrong = found.diag(), word[:, None] != word
    if objective == "binary":
        each = F.softplus(-right) + (F.softplus(found) * wrong).sum(1)
    else:
        each = found.masked_fill(~(wrong | torch.eye(40, dtype=torch.bool)), -torch.inf).logsumexp(1) - right
    torch.testing.assert_close(corrected, each.mean())


def test_sampled_labels_say_something_else_than_the_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = built(sampled=40)
    embedded = made.embed_views(some(), drawn(1))
    word = embedded.views[:, 1, 0]
    marks = torch.stack([word, word], 1)[..., None].float()
    seen: list[Tensor] = []
    parts = losses.label_nce.parts

    def recorded(query: Tensor, key: Tensor, negatives: Tensor, group: None, **knobs: float) -> dict[str, Tensor]:
        seen.append(negatives[..., 0])
        return parts(query, key, negatives, group, **knobs)

    monkeypatch.setattr(type(losses.label_nce), "parts", lambda self, *given, **knobs: recorded(*given, **knobs))
    made.compare(embedded._replace(z=marks))
    assert seen[0].shape == (12, 40)
    assert (seen[0] != word[:, None]).all()
    for own, others in zip(word, seen[0], strict=True):
        assert set(others.tolist()) == set(word[word != own].tolist())


def test_cross_entropy_and_contrast_are_mixed() -> None:
    def mixed(weight: float) -> tuple[float, dict[str, Tensor]]:
        torch.manual_seed(0)
        encoder = nn.Sequential(nn.EmbeddingBag(world.VOCABULARY, 8, mode="mean", padding_idx=0), nn.Linear(8, 8))
        made = method.LabelsAndContrast(encoder, nn.Identity(), "supcon", world.dropped(0.1), n_views=1, classes=2,
                                        weight=weight)  # fmt: skip
        step = made.step(some(), drawn(1))
        return step.loss.item(), step.metrics

    (crossed, parts), (contrast, _), (both, _) = (mixed(weight) for weight in (0.0, 1.0, 0.9))
    assert crossed == pytest.approx(parts["cross_entropy"].item())
    assert contrast == pytest.approx(parts["contrast"].item())
    assert both == pytest.approx(0.1 * crossed + 0.9 * contrast, rel=1e-5)


def test_bounds_of_information_reach_theirs_where_right_and_wrong_are_far_apart() -> None:
    far = method.information(torch.full((5,), 40.0), torch.full((5, 7), -40.0))
    assert [float(bound) for bound in far] == pytest.approx([math.log(8), 0])
    none = method.information(torch.zeros(5), torch.zeros(5, 7))
    assert [float(bound) for bound in none] == pytest.approx([0, -2 * math.log(2)], abs=1e-6)
    positive, negatives = torch.randn(5, generator=drawn()), torch.randn(5, 1, generator=drawn(1))
    query, rows = torch.ones(5, 1), (positive[:, None], negatives[..., None])
    assert float(method.information(positive, negatives)[1]) == pytest.approx(
        -float(losses.label_nce(query, *rows, objective="binary"))
    )


def test_what_cannot_be_is_named() -> None:
    parts = (*study.networks(world.negations(0, 8).train), "info_nce", world.Removed())
    with pytest.raises(ValueError, match="loss must be label_nce of 2 views, got info_nce of 2"):
        method.TextLabel(*parts, labels=nn.Identity())
    with pytest.raises(ValueError, match="loss must be supcon, got info_nce"):
        method.LabelsAndContrast(*parts, classes=2)
    with pytest.raises(ValueError, match=r"negatives must have shape"):
        method.information(torch.zeros(3), torch.zeros(4, 2))


def test_vectors_that_hear_not_and_those_that_do_not() -> None:
    made = world.negations(0, 120, 80)
    heard = JointEmbedding(nn.Sequential(Heard(), nn.Linear(2, 2, bias=False)), nn.Identity(), "info_nce",
                           world.dropped(0.3))  # fmt: skip
    with torch.no_grad():
        heard.encoder[1].weight.copy_(torch.eye(2))
    found = study.spoken(heard, world=made)
    assert (found[study.POLARITY], found[study.NEIGHBOUR], found[study.TWIN]) == (1, 1, 0)
    assert study.zero_shot(heard, world=made) == {}
    assert 0 <= study.zero_shot(built(), world=made)[study.ZERO_SHOT] <= 1
    entries = study.plan(1, 32, networks=study.networks)
    for entry in entries.values():
        entry.settings = {**entry.settings, "store": False}
    rows = compare(entries, made.train, made.unseen, [lambda *_: {}], seed=0).rows
    assert [row["method"] for row in rows] == [study.TEXTS, study.RANKING, study.BINARY]


class Heard(nn.Module):
    """(1, 0) for texts with "not", (0, 1) for others."""

    def forward(self, x: Tensor) -> Tensor:
        said = (x == NOT).any(1).float()
        return torch.stack([said, 1 - said], 1)


def test_in_the_panel_texts_part_beside_labels_and_negatives_weigh_by_their_loss() -> None:
    scores = torch.tensor([2.0, 1.5, 0.5, -1.0], dtype=torch.float64, requires_grad=True)
    for contrast in (study.TEXTS, *panel.OBJECTIVES):
        objective = "ranking" if contrast == study.TEXTS else contrast
        rows = scores[1:, None].expand(3, 1)[None]
        loss = losses.label_nce(torch.ones(1, 1).double(), scores[:1, None], rows, objective=objective)
        slope = torch.autograd.grad(loss, scores)[0]
        torch.testing.assert_close(panel.weights(scores.detach(), 0, contrast), slope[1:])
    assert [panel.word(number) for number in (NOT, 3, GOOD[0], BAD[2], BAD[2] + 1)] == [
        "not", "topic", "good", "bad", "filler"]  # fmt: skip
    made = panel.Learned(torch.linspace(-1, 1, 10).numpy(), (torch.arange(10) > 4).numpy(), {"a": 0.5}, torch.eye(64))
    picture = panel.not_picture({"contrast": "hinge", "drop": 0.5, "text": 2}, made)
    assert [int(bars.height[: panel.BINS // 2].sum()) for bars in picture.charts[1].marks[:2]] == [5, 0]
    assert len(picture.alt) <= 200
    with pytest.raises(ValueError, match=r"must be between 0\.0 and 0\.6, got 2"):
        panel.NotPanel(drop=2.0)


@pytest.mark.usefixtures("published")
def test_a_run_on_captions_measures_what_people_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "runs"))
    rows = {row["method"]: row for row in study.run(0, captions=True, epochs=1, batch_size=4)}
    raw = rows["raw words"]
    assert raw[study.GRADES] > 0.77, "only the three pairs without a shared word change places"
    assert raw[study.SETS] == pytest.approx(0, abs=0.01), "one set agrees, the other says the opposite"
    assert (raw[study.SENSE], raw[study.FOUND]) == (1, 1)
