"""Every study: its smoke preset runs and yields what its claims are about; rows are kept, and kept apart."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure

from cl_explore import losses, papers
from cl_explore.claims import figures, page, scorecard
from cl_explore.claims.paper import Paper
from cl_explore.claims.study import PRESETS, Row, Study
from cl_explore.claims.verdict import Claim, judge
from cl_explore.data import mnist
from cl_explore.methods import JointEmbedding

STUDIES = [slug for slug in papers.slugs() if papers.has(slug, "study")]


def run(seed: int, *, size: int = 3, dataset: str = "digits") -> list[Row]:
    """A study that trains nothing and tells of its calls."""
    TOLD.info(seed)
    return [{"method": "new", "score": 1.0 + seed / 10, "size": size}, {"method": "old", "score": 0.123456789}]


TOLD = logging.getLogger("toy")  # a list would do, were it not read by what makes the rows, and so part of their key
TOLD.setLevel(logging.INFO)
calls: list[int] = []
CLAIM = Claim("New beats old.", "score", "new", "higher", "old")
PAPER = Paper(slug="toy", title="A toy", name="Toy", arxiv="2000.00000", year=2000, theme="toys")
TOY = Study(
    PAPER, "It is said.", (CLAIM,), run, lambda rows: figures.dots(rows, ["score"]),
    {"smoke": {"size": 1}, "real": {"dataset": "cifar10"}},
)  # fmt: skip


@pytest.fixture(autouse=True)
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "runs"))
    calls.clear()
    told = logging.Handler()
    told.emit = lambda record: calls.append(record.msg)  # type: ignore[method-assign]
    monkeypatch.setattr(TOLD, "handlers", [told])


@pytest.mark.parametrize("slug", STUDIES)
def test_the_smoke_preset_yields_what_the_claims_are_about(slug: str, tmp_path: Path) -> None:
    study = papers.study(slug)
    rows = study.rows("smoke")
    assert json.loads(json.dumps(rows)) == rows
    table = pd.DataFrame(rows)
    assert table["method"].is_unique
    for claim in (claim for claim in study.claims if claim.preset == "laptop"):
        assert judge(claim, table).word == "undecided"  # of one seed
    record = scorecard.record(study, "smoke", study.settings("smoke"), [rows], "command")
    assert study.paper.title in page.sheet(record)
    assert 30 <= len(page.alt(record)) <= 200
    figures.save(study.draw, record["rows"], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size < 150_000


@pytest.mark.parametrize("slug", STUDIES)
def test_studies_are_declared_alike(slug: str) -> None:
    study = papers.study(slug)
    assert study.paper is papers.get(slug)
    assert study.paper.slug == slug
    assert set(study.paper.losses) <= losses.catalogue.keys()
    assert study.claims
    assert all(claim.text.endswith(".") and claim.text[0].isupper() for claim in study.claims)
    assert len({claim.text for claim in study.claims}) == len(study.claims)
    made = [study.settings(preset) for preset in PRESETS if study.has(preset)]
    assert len({json.dumps(settings) for settings in made}) == len(made) >= 2
    assert study.has("smoke")
    assert study.has("real") or all(claim.preset == "laptop" for claim in study.claims)


@pytest.mark.parametrize("slug", STUDIES)
def test_where_real_data_are_missing_it_says_what_and_the_licence_and_how_to_get_them(
    slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cl_explore.data.published.CLONE", tmp_path)
    monkeypatch.setattr(mnist, "FASHION_MNIST", replace(mnist.FASHION_MNIST, elsewhere=()))
    study = papers.study(slug)
    if not study.has("real"):
        with pytest.raises(ValueError, match=f"{slug} has no preset 'real'"):
            study.rows("real")
        return
    settings = study.settings("real")
    with pytest.raises(FileNotFoundError, match=r"(?s) was not found; .*looked in.*licence: \w.*To get it: \w"):
        study.run(0, **settings)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown paper 'behaviour-of-contrastive'; did you mean 'behaviour-of-"):
        papers.study("behaviour-of-contrastive")
    with pytest.raises(ValueError, match="unknown preset 'lap'; did you mean 'laptop'"):
        TOY.settings("lap")
    with pytest.raises(ValueError, match="unknown setting of toy 'sizes'; did you mean 'size'"):
        TOY.settings("smoke", sizes=3)


def test_without_real_data_there_is_no_preset_real() -> None:
    drawn = replace(TOY, presets={"smoke": {"size": 1}})
    with pytest.raises(ValueError, match=r"toy has no preset 'real': its world is drawn, and so are all its data"):
        drawn.settings("real")
    with pytest.raises(ValueError, match="toy has no preset 'real'"):
        scorecard.run([TOY, drawn], "real")
    assert not calls
    assert drawn.settings() == TOY.settings()


def test_settings_are_the_defaults_the_preset_and_the_changes() -> None:
    assert TOY.settings() == {"size": 3, "dataset": "digits"}
    assert TOY.settings("smoke") == {"size": 1, "dataset": "digits"}
    assert TOY.settings("smoke", size=9) == {"size": 9, "dataset": "digits"}


def test_rows_are_made_once_for_each_seed_and_setting() -> None:
    first = TOY.rows("laptop", 2)
    assert first[0] == {"seed": 2, "method": "new", "score": 1.2, "size": 3}
    assert TOY.rows("laptop", 2) == first
    assert calls == [2]
    TOY.rows("laptop", 3)
    TOY.rows("laptop", 2, size=4)
    named("other").rows("laptop", 2)
    assert calls == [2, 3, 2, 2]


def test_rows_are_made_anew_when_the_code_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def trains(seed: int, *, size: int = 3, dataset: str = "digits") -> list[Row]:
        assert JointEmbedding
        return run(seed, size=size)

    study = replace(TOY, run=trains)
    study.rows()
    with monkeypatch.context() as patch:  # a loss that the method may find by its name
        patch.setattr(losses.infonce, "row_lse", lambda *_: None)
        study.rows()
    study.rows()
    monkeypatch.setattr("cl_explore.claims.study.versions", lambda: {"torch": "9"})
    study.rows()
    assert calls == [0, 0, 0]


def named(slug: str) -> Study:
    return replace(TOY, paper=replace(PAPER, slug=slug))


def test_a_scorecard_records_what_is_needed_to_repeat_it(tmp_path: Path) -> None:
    seen: list[str] = []
    records = scorecard.run(
        [named("b"), named("a")], command="this", on_record=lambda record: seen.append(record["study"])
    )
    assert [record["study"] for record in records] == ["b", "a"]
    assert sorted(seen) == ["a", "b"]
    record = records[0]
    assert record["seeds"] == [0, 1, 2, 3, 4]
    assert (record["command"], record["preset"], record["settings"]) == ("this", "laptop", TOY.settings())
    assert record["data"] == "digits"
    assert {"cpu", "cores"} <= record["machine"].keys()
    assert {"python", "torch", "numpy", "cl_explore"} <= record["versions"].keys()
    (verdict,) = record["verdicts"]
    assert (verdict["text"], verdict["word"], verdict["seeds"]) == ("New beats old.", "holds", 5)
    assert record["rows"][1]["score"] == 0.123457  # six digits
    for each in records:
        scorecard.write(each, tmp_path / "card")
    assert scorecard.read(tmp_path / "card") == [records[1], records[0]]


def test_an_interrupted_scorecard_goes_on_where_it_stopped(tmp_path: Path) -> None:
    recovered = tmp_path / "recovered"

    def interrupted(seed: int, *, size: int = 3, dataset: str = "digits") -> list[Row]:
        if seed == 3 and not recovered.exists():
            raise KeyboardInterrupt
        return run(seed, size=size)

    study = replace(named("a"), run=interrupted)
    with pytest.raises(KeyboardInterrupt):
        scorecard.run([study])
    assert calls == [0, 1, 2]
    recovered.touch()
    scorecard.run([study])
    assert calls == [0, 1, 2, 3, 4]


def test_only_what_is_near_its_border_gets_more_seeds() -> None:
    # new's score is 1 + seed / 10, with a mean of 1.2 over five seeds, 1.45 over ten, 1.95 over twenty
    clear, soon, never = (replace(CLAIM, baseline=b, margin=m) for b, m in ((0.0, 0.0), (0.9, 0.0), (0.0, 1.2)))
    calm, more, most = (
        replace(named(slug), claims=claims)
        for slug, claims in (("calm", (clear,)), ("more", (clear, soon)), ("most", (never,)))
    )
    records = scorecard.run([most, calm, more])
    seen = {record["study"]: (len(record["seeds"]), len(record["rows"])) for record in records}
    assert seen == {"most": (20, 40), "calm": (5, 10), "more": (10, 20)}
    assert sorted(calls) == sorted([*range(20), *range(5), *range(10)])  # each seed once: ten go on from five
    words = [[(v["word"], v["seeds"], v["near"]) for v in record["verdicts"]] for record in records]
    assert words == [
        [("holds", 20, True)],
        [("holds", 5, False)],
        [("holds", 5, False), ("holds", 10, False)],
    ]
    assert [page.taken(record) for record in records] == ["20 for 1 claim", "5 for 1 claim", "5 for 1 claim, 10 for 1"]


def test_a_number_of_seeds_is_kept_to_and_may_begin_anywhere() -> None:
    near = replace(TOY, claims=(replace(CLAIM, baseline=0.0, margin=3.2),))
    (record,) = scorecard.run([near], seeds=6, seeds_from=20)
    assert (record["seeds"], calls) == ([*range(20, 26)], [*range(20, 26)])
    (verdict,) = record["verdicts"]
    assert (verdict["seeds"], verdict["near"]) == (6, True)
    assert page.taken(record) == "6 for 1 claim; 1 not yet run to 20"
    (record,) = scorecard.run([near], seeds_from=20)
    assert record["seeds"] == [*range(20, 40)]
    assert calls == [*range(20, 40)]


def test_a_claim_that_the_rows_do_not_answer_costs_one_seed() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'scor'; did you mean 'score'"):
        scorecard.run([replace(TOY, claims=(replace(CLAIM, metric="scor"),))])
    assert calls == [0]


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="seeds must be at least 1, got 0"):
        scorecard.run([TOY], seeds=0)
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        scorecard.run([TOY], jobs=0)
    with pytest.raises(ValueError, match="seeds_from must be at least 0, got -1"):
        scorecard.run([TOY], seeds_from=-1)
    with pytest.raises(ValueError, match="unknown preset 'big'"):
        scorecard.run([TOY], "big")


def toy_record(words: tuple[str, ...] = ("holds",)) -> dict[str, Any]:
    found = {"low": -0.25, "high": 0.5, "difference": 0.125, "share": 0.8, "seeds": 5, "near": True}
    about = {"text": "A | B.", "metric": "m", "method": "new", "baseline": 0.0, "expect": "lower", "margin": 0.1}
    return {
        **scorecard.record(TOY, "laptop", TOY.settings(), [TOY.rows(seed=seed) for seed in range(5)], "this"),
        "verdicts": [{**about, **found, "negative": True, "word": word} for word in words],
    }


def test_claims_are_judged_on_the_rows_of_their_preset() -> None:
    study = replace(TOY, claims=(*TOY.claims, replace(TOY.claims[0], text="So on real data.", preset="real")))
    rows = [row for seed in range(5) for row in TOY.rows(seed=seed)]
    for preset, text in {"smoke": "New beats old.", "laptop": "New beats old.", "real": "So on real data."}.items():
        assert [verdict["text"] for verdict in scorecard.verdicts(study, preset, rows)] == [text]


def test_words_of_a_verdict() -> None:
    verdict = toy_record()["verdicts"][0]
    assert page.line(verdict).splitlines() == [
        "holds      A | B. (negative) (near)",
        "           m: new against 0: +0.125 [−0.25, +0.5], claimed < −0.1, 4/5 seeds",
    ]
    assert (
        "| A ∣ B. *(negative)* | m: new − 0 | < −0.1 | +0.125 [−0.25, +0.5] | 4/5 | **holds** (near) |"
        in page.sheet(toy_record())
    )


def test_tables_hold_means_and_deviations() -> None:
    both, alone = page.tables(toy_record())
    assert both.to_dict("index") == {"new": {"score": "1.2 ± 0.16", "size": "3"}}
    assert alone.to_dict("index") == {"old": {"score": "0.123"}}


def test_the_page_counts_claims_and_studies() -> None:
    text = page.page([toy_record(("holds", "fails")), {**toy_record(("undecided",)), "preset": "real"}])
    assert text.startswith("# The scorecard\n\n3 claims of 1 papers")
    assert text.endswith(
        "| [A toy (Toy)](scorecard/toy.md) | 1 holds, 1 fails | 5 for 2 claims; 2 not yet run to 20 |\n"
        "| [A toy (Toy), on real data](scorecard/toy-real.md) | 1 undecided | 5 for 1 claim; 1 not yet run to 20 |\n"
    )
    assert page.counts({"verdicts": [{"word": w} for w in ("fails", "holds", "fails")]}) == "1 holds, 2 fail"


def test_figures_show_every_seed() -> None:
    table = pd.DataFrame([row for seed in range(5) for row in TOY.rows(seed=seed)])
    fig = figures.dots(table, ["score", "size"])
    assert isinstance(fig, Figure)
    assert sum(len(line.get_xdata()) for line in fig.axes[0].lines if line.get_marker() == "o") == 10
    assert sum(len(line.get_xdata()) for line in fig.axes[1].lines if line.get_marker() == "o") == 5
    fig = figures.curves(table, ["score"], over="size", by="method")
    assert [text.get_text() for text in fig.legends[0].get_texts()] == ["new"]
