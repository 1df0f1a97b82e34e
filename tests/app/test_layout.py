"""The course is laid out in a reader's folder, and what the reader edited there is never touched."""

from pathlib import Path

import pytest

from cl_explore.app import layout

KEPT = "kept as you edited it; delete or rename it to get it anew"


@pytest.fixture
def notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("00_start_here", "01_next", "02_last", "draft"):
        (folder / f"{name}.ipynb").write_text(f"{name} as shipped")
    monkeypatch.setattr(layout, "NOTEBOOKS", folder)
    return folder


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.glob("*.ipynb")}


def test_notebooks_are_found_by_slug_number_or_file(notebooks: Path) -> None:
    assert [path.stem for path in layout.find()] == ["00_start_here", "01_next", "02_last"]
    for name in ("next", "01_next", "01_next.ipynb"):
        assert layout.find([name]) == [notebooks / "01_next.ipynb"]
    with pytest.raises(FileNotFoundError, match="there is no notebook absent; there are: start_here, next, last"):
        layout.find(["next", "absent"])


def test_an_edited_notebook_is_kept_and_the_others_follow_the_course(notebooks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert layout.lay_out(mine) == dict.fromkeys(texts(notebooks).keys() - {"draft.ipynb"}, "laid out")
    assert texts(mine) == {f"{name}.ipynb": f"{name} as shipped" for name in ("00_start_here", "01_next", "02_last")}
    assert layout.lay_out(mine) == layout.lay_out(mine, update=True) == {}

    (mine / "01_next.ipynb").write_text("with my answers")
    for path in notebooks.glob("0*.ipynb"):
        path.write_text(path.read_text() + ", better")
    (mine / "02_last.ipynb").unlink()
    before = texts(mine)
    assert layout.lay_out(mine) == {
        "00_start_here.ipynb": layout.OUTDATED, "01_next.ipynb": KEPT, "02_last.ipynb": "laid out"
    }  # fmt: skip
    assert texts(mine) == before | {"02_last.ipynb": "02_last as shipped, better"}, "only what was missing came"
    told = {"00_start_here.ipynb": "brought up to date", "01_next.ipynb": KEPT}
    assert layout.lay_out(mine, update=True) == told
    assert texts(mine) == {
        "00_start_here.ipynb": "00_start_here as shipped, better",
        "01_next.ipynb": "with my answers",
        "02_last.ipynb": "02_last as shipped, better",
    }
    assert layout.lay_out(mine, update=True) == {"01_next.ipynb": KEPT}, "and again"

    (mine / "01_next.ipynb").unlink()
    assert layout.lay_out(mine) == {"01_next.ipynb": "laid out"}
    assert texts(mine)["01_next.ipynb"] == "01_next as shipped, better"


def test_notebooks_whose_number_changed_move_unless_they_are_edited(notebooks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    layout.lay_out(mine)
    (mine / "02_last.ipynb").write_text("with my answers")
    (notebooks / "02_last.ipynb").rename(notebooks / "03_last.ipynb")
    (notebooks / "01_next.ipynb").rename(notebooks / "02_next.ipynb")
    (notebooks / "01_new.ipynb").write_text("new")
    for _ in range(2):
        assert layout.lay_out(mine, update=True)["02_last.ipynb"] == KEPT
        assert sorted(texts(mine)) == [
            "00_start_here.ipynb", "01_new.ipynb", "02_last.ipynb", "02_next.ipynb", "03_last.ipynb"
        ]  # fmt: skip


def test_a_file_of_that_name_that_was_there_before_is_kept(notebooks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "01_next.ipynb").write_text("my own")
    for update in (False, True):
        assert layout.lay_out(mine, update=update)["01_next.ipynb"] == KEPT
        assert texts(mine)["01_next.ipynb"] == "my own"
