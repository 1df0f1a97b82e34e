"""The generated pages say what the catalogue and the records say today."""

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cl_explore import losses, papers, widgets
from cl_explore.claims import figures, page, scorecard
from cl_explore.claims.verdict import LOOKS
from cl_explore.losses.identities import IDENTITIES

DOCS = Path(__file__).parents[1] / "docs"
MOST_BYTES = 150_000  # of a picture of a panel
NUMBER = r"-?\d+\.\d+"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", DOCS / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def build() -> ModuleType:
    return load("build")


def test_pages_and_pictures_are_up_to_date(build: ModuleType) -> None:
    """Equal but for the last digit of a number, which may differ between processors."""
    wanted = build.files()
    assert {path for path in wanted if path.suffix == ".svg"} == set((DOCS / "losses").glob("*.svg"))
    for path, text in wanted.items():
        kept = path.read_text(encoding="utf-8")
        stale = f"{path.name} is not what it is generated from: run `make docs`"
        assert re.sub(NUMBER, "#", kept) == re.sub(NUMBER, "#", text), stale
        np.testing.assert_allclose(
            [float(number) for number in re.findall(NUMBER, kept)],
            [float(number) for number in re.findall(NUMBER, text)],
            atol=0.11 if path.suffix == ".svg" else 0.0011,
            err_msg=stale,
        )


def test_recorded_verdicts_are_those_of_the_recorded_rows() -> None:
    """Claims as they stand in the code, judged anew on the rows as they stand in data/scorecard."""
    records = scorecard.read(DOCS.parent / "data" / "scorecard")
    about = [
        (slug, {claim.preset for claim in papers.study(slug).claims})
        for slug in papers.slugs()
        if papers.has(slug, "study")
    ]
    assert {(record["study"], record["preset"]) for record in records} == {
        (s, preset) for s, presets in about for preset in presets
    }
    for record in records:
        study = papers.study(record["study"])
        stale = f"{study.paper.slug}: run `cl-explore scorecard {study.paper.slug}`, then `make docs`"
        assert record["title"] == f"{study.paper.title} ({study.paper.name})", stale
        assert (record["paper"], record["about"]) == (study.paper.arxiv, study.about), stale
        assert record["settings"] == json.loads(json.dumps(study.settings(record["preset"]))), stale
        assert record["seeds"] == list(range(len(record["seeds"])))
        assert len(record["seeds"]) in LOOKS
        for kept, again in zip(
            record["verdicts"], scorecard.verdicts(study, record["preset"], record["rows"]), strict=True
        ):
            assert kept == pytest.approx(again), stale
            assert kept["seeds"] == LOOKS[-1] or not kept["near"], f"{kept['text']} asks for more seeds: {stale}"


def test_every_claim_that_failed_has_its_lesson_and_no_other_has() -> None:
    records = scorecard.read(DOCS.parent / "data" / "scorecard")
    failed = [(r["study"], v["text"]) for r in records for v in r["verdicts"] if v["word"] == "fails"]
    lessons = tomllib.loads((DOCS / "failed.toml").read_text(encoding="utf-8"))
    assert sorted((slug, text) for slug, own in lessons.items() for text in own) == sorted(failed), "mend failed.toml"


def test_figures_of_studies_are_drawn_from_the_recorded_rows() -> None:
    records = scorecard.read(DOCS.parent / "data" / "scorecard")
    pictures = {path.stem: Image.open(path).info.get("Rows") for path in (DOCS / "scorecard").glob("*.png")}
    assert pictures == {page.stem(record): figures.digest(record["rows"]) for record in records}, "run `make docs`"


def test_the_readme_counts_right() -> None:
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert f"There are {len(losses.catalogue)} losses" in readme
    assert f"lists {len(IDENTITIES)} identities" in readme.replace("\n", " ")


def test_the_page_on_peers_says_what_was_measured() -> None:
    import peers

    page = (DOCS / "comparison.md").read_text(encoding="utf-8")
    measured = json.loads((Path(peers.__file__).with_suffix(".json")).read_text())["results"]
    assert all(peers.line(row) in page for row in measured if "failed" not in row)
    assert f"| losses | {len(losses.catalogue)} |" in page


def test_the_page_on_peers_says_what_was_found_of_wrong_labels() -> None:
    import suspects

    page = (DOCS / "comparison.md").read_text(encoding="utf-8")
    record = json.loads(Path(suspects.__file__).with_suffix(".json").read_text())
    assert "\n".join(map(suspects.line, record["results"])) in page
    assert f"cleanlab {record['cleanlab']}" in page


def test_the_readme_shows_a_report_in_little_space() -> None:
    assert "](docs/report.png)" in (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert (DOCS / "report.png").stat().st_size < MOST_BYTES, "run `make screens`"


def test_the_scripts_of_the_page_on_scaling_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    page = (DOCS / "scaling.md").read_text(encoding="utf-8")
    alone, many = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    namespace: dict[str, object] = {"__name__": "__main__"}
    exec(alone, namespace)
    exec(many.replace("jobs=2", "jobs=1"), namespace)  # processes are tested elsewhere
    assert namespace["found"].table["error"].isna().all()  # type: ignore[attr-defined]
    assert len(list(tmp_path.iterdir())) == 1 + 4


def test_the_readme_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    namespace: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL):
        exec(code, namespace)
    accuracy, uniformity = capsys.readouterr().out.splitlines()[-1].split(maxsplit=1)
    assert float(accuracy) > 0.9, "nearest neighbours of digits"
    assert "tensor(-" in uniformity


def test_the_examples_of_the_page_on_training_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "runs"))
    page = (DOCS / "training.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, namespace)
    assert namespace["again"].method.state_dict().keys() == namespace["run"].method.state_dict().keys()
    x = namespace["test"].x[:3].flatten(1)
    torch.testing.assert_close(namespace["network"](x), namespace["run"].encoder()(x))


def test_the_examples_of_the_page_on_own_data_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    page = (DOCS / "own_data.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, namespace)
    assert namespace["animals"].labels.tolist() == [1, 0, -1]
    assert namespace["texts"].x.shape == (64, 3)
    assert namespace["augment"](namespace["pictures"].x, torch.Generator(), 3).shape == (8, 3, 3, 16, 16)
    encoder, texts = namespace["encoder"], namespace["texts"]
    assert encoder(texts.x).shape == (64, 16)
    pictures = namespace["photos"].thumbnails(range(4))
    assert (pictures.min(), pictures.max()) == (0, 1)
    assert namespace["run"].history["loss"].notna().all()


def test_the_examples_of_the_page_on_own_embeddings_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path))
    page = (DOCS / "own_embeddings.md").read_text(encoding="utf-8")
    namespace: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, namespace)
    assert namespace["rows"].tolist() == list(range(20))
    assert [group.tolist() for group in namespace["groups"]] == [[7, 8]]
    assert namespace["wrong"].rows.tolist() == [250]
    assert namespace["better"].shape == (300, 16)


def test_the_gallery_shows_every_panel_and_the_readme_the_gallery() -> None:
    panels = load("panels")
    own = {papers.panel(slug).__name__ for slug in papers.slugs() if papers.has(slug, "panel")}
    examples = panels.examples(panels.notebook())
    assert set(examples) == own | {name for name in widgets.__all__ if name.endswith("Panel")}
    code = "".join(cell.source for cell in panels.notebook().cells if cell.cell_type == "code")
    for name in examples:
        assert f"\n{name}(" in code or f"widgets.{name}(" in code
        assert (DOCS / "panels" / f"{name}.png").stat().st_size < MOST_BYTES, "run `make screens`"
    assert panels.section() in (DOCS.parent / "README.md").read_text(encoding="utf-8"), "run `make screens`"
