"""The report on embeddings: what was planted stands on the page, which needs nothing else; or nothing is written."""

import re
from pathlib import Path

import numpy as np
import pytest

from cl_explore.app import cli
from cl_explore.app.report_page import page
from cl_explore.data import read_vectors
from cl_explore.widgets import EmbeddingPanel, shown


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 60 vectors; rows 1 and 2 almost equal, row 3 far from all, row 150 with a wrong label."""
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 60)
    x = np.eye(3, 24)[y] + 0.1 * draw.normal(size=(180, 24))
    x[2], x[3] = x[1] + 1e-4, draw.normal(size=24)
    names = np.array(["ant", "bee", "cat"])[y]
    names[150] = "ant"
    path = tmp_path_factory.mktemp("report") / "vectors.npz"
    texts = np.array([f"said in row <{row}>" for row in range(180)])
    np.savez(path, x=x.astype(np.float32), animal=names, said=texts, seen=np.zeros((180, 8, 8), np.uint8))
    return path


@pytest.fixture(scope="module")
def written(planted: Path) -> str:
    out = planted.with_name("page.html")
    columns = ["--labels", "animal", "--texts", "said", "--images", "seen"]
    assert cli.main(["report", str(planted), *columns, "--layout", "pca", "-o", str(out)]) == 0
    assert [path.name for path in planted.parent.iterdir() if path.name.startswith(".new")] == []
    return out.read_text(encoding="utf-8")


def section(page: str, title: str) -> str:
    """What stands below a heading."""
    return page.split(f"<h2>{title}</h2>")[1].split("<h2>")[0]


def rows(part: str) -> list[int]:
    return [int(row) for row in re.findall(r"row (\d+) ·", part)]


def test_what_was_planted_is_found(written: str) -> None:
    assert rows(section(written, "Labels that are probably wrong"))[0] == 150
    assert "rather cat?" in section(written, "Labels that are probably wrong")
    assert rows(section(written, "Near-duplicates")) == [1, 2]
    assert rows(section(written, "Outliers")) == [3]
    clusters = section(written, "Clusters")
    assert all(f"mostly {name}" in clusters for name in ("ant", "bee", "cat"))
    assert "180 vectors of 24 dimensions, 3 classes" in " ".join(written.split())


def test_the_page_needs_nothing_else_and_what_texts_say_is_no_html(written: str) -> None:
    assert "http://" not in written.replace("http://www.w3.org", "")
    assert not re.search(r"https://|<link|src=\"(?!data:)", written)
    assert "said in row &lt;150&gt;" in written
    assert "said in row <150>" not in written


def test_vectors_without_labels_have_a_page_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 4)))
    assert cli.main(["report", str(tmp_path / "x.npy"), "--layout", "pca", "-o", str(tmp_path / "x.html")]) == 0
    page = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert "Labels that are probably wrong" not in page
    assert "Outliers" in page


def test_on_the_map_of_many_a_sample_has_its_row_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown, "MOST", 50)
    vectors = read_vectors(np.random.default_rng(0).normal(size=(120, 4)))
    seen = []
    draw = EmbeddingPanel.static
    monkeypatch.setattr(EmbeddingPanel, "static", lambda panel: seen.append(panel._samples.number) or draw(panel))
    assert "40 of 120 samples" in page(vectors, "many", "pca")
    assert seen[0].tolist() == list(range(0, 120, 3))


@pytest.mark.parametrize(
    ("x", "options", "words"),
    [
        (np.full((5, 2), np.nan), [], "source must be finite, got 5 of 5 rows with NaN"),
        (np.eye(5)[:, :3], [], "source must hold vectors with a direction, but 2 are all zero, first row 3"),
        (np.eye(2), [], "source must hold at least 3 vectors for a report, got 2"),
        (np.eye(5), ["--labels", "kind"], "labels must name a column of source"),
        (np.eye(5), ["-o", "nowhere/page.html"], "--out must lie in a folder that is there"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    x: np.ndarray,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", x)
    assert cli.main(["report", "x.npy", *options]) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
