"""The coverage table says of each paper what is really there."""

import json

import pytest

from cl_explore import papers
from cl_explore.app import coverage


def test_every_paper_has_a_line_that_tells_its_parts() -> None:
    lines = coverage.rows()
    assert [line[0] for line in lines] == papers.slugs()
    for slug, losses, _, study, panel, *_ in lines:
        assert losses == ", ".join(papers.get(slug).losses)
        assert (study == "yes", panel == "yes") == (papers.has(slug, "study"), papers.has(slug, "panel"))


def test_verdicts_are_counted_from_the_records(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coverage, "RECORDS", tmp_path)
    words = [{"word": word, "seeds": seeds} for word, seeds in (("holds", 20), ("fails", 5), ("holds", 5))]
    (tmp_path / "toy.json").write_text(json.dumps({"verdicts": words}))
    assert coverage.verdicts("toy") == "2 holds, 1 fails"
    assert coverage.seeds("toy") == "5 or 20"
    assert coverage.verdicts("absent") == coverage.seeds("absent") == ""


def test_the_terminal_and_the_readme_show_the_same_papers() -> None:
    assert len(coverage.table().splitlines()) == len(papers.slugs()) + 1
    assert all(f"arxiv.org/abs/{papers.get(slug).arxiv}" in coverage.markdown() for slug in papers.slugs())
