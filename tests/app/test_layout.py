"""The course is laid out in a reader's folder, and what the reader edited there is never touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

from cl_explore.app import layout

ROOT = Path(__file__).parents[2]


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
    assert layout.lay_out(mine) == []
    assert texts(mine) == {f"{name}.ipynb": f"{name} as shipped" for name in ("00_start_here", "01_next", "02_last")}

    (mine / "01_next.ipynb").write_text("with my answers")
    for path in notebooks.glob("0*.ipynb"):
        path.write_text(path.read_text() + ", better")
    (mine / "02_last.ipynb").unlink()
    assert layout.lay_out(mine) == ["01_next.ipynb"]
    assert texts(mine) == {
        "00_start_here.ipynb": "00_start_here as shipped, better",
        "01_next.ipynb": "with my answers",
        "02_last.ipynb": "02_last as shipped, better",
    }
    assert layout.lay_out(mine) == ["01_next.ipynb"], "and again"

    (mine / "01_next.ipynb").unlink()
    assert layout.lay_out(mine) == []
    assert texts(mine)["01_next.ipynb"] == "01_next as shipped, better"


def test_notebooks_whose_number_changed_move_unless_they_are_edited(notebooks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    layout.lay_out(mine)
    (mine / "02_last.ipynb").write_text("with my answers")
    (notebooks / "02_last.ipynb").rename(notebooks / "03_last.ipynb")
    (notebooks / "01_next.ipynb").rename(notebooks / "02_next.ipynb")
    (notebooks / "01_new.ipynb").write_text("new")
    for _ in range(2):
        assert layout.lay_out(mine) == ["02_last.ipynb"]
        assert sorted(texts(mine)) == [
            "00_start_here.ipynb", "01_new.ipynb", "02_last.ipynb", "02_next.ipynb", "03_last.ipynb"
        ]  # fmt: skip


def test_a_file_of_that_name_that_was_there_before_is_kept(notebooks: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "01_next.ipynb").write_text("my own")
    assert layout.lay_out(mine) == ["01_next.ipynb"]
    assert texts(mine)["01_next.ipynb"] == "my own"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as its wheel carries it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    shutil.copytree(ROOT / "cl_explore", clone / "cl_explore", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", clone / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "scorecard", clone / "data" / "scorecard")
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, clone)
    (wheel,) = WheelBuilder(str(clone)).build(directory=str(folder), versions=["standard"])
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_wheel_carries_the_course_and_nothing_else_of_the_clone(installed: Path) -> None:
    def names(folder: Path) -> set[str]:
        paths = [*folder.glob("[0-9][0-9]_*.ipynb"), *folder.glob("exercises/*.py"), folder / "lessons.txt"]
        return {path.relative_to(folder).as_posix() for path in paths}

    carried = {path.relative_to(installed / "cl_explore" / "notebooks").as_posix()
               for path in (installed / "cl_explore" / "notebooks").rglob("*") if path.is_file()}  # fmt: skip
    assert carried == names(ROOT / "notebooks")
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} == {"cl_explore"}


def test_the_installed_course_is_laid_out_opened_and_checks_answers(installed: Path, tmp_path: Path) -> None:
    code = """if True:
        from pathlib import Path
        from jupyterlab.labapp import LabApp
        LabApp.launch_instance = print
        from cl_explore.app import cli, coverage, exercises, layout
        cli.main(["lab", "--no-browser"])
        Path("cl_explore_course/03_temperature.ipynb").write_text("mine")
        cli.main(["lab", "--no-browser"])
        exercises.checker("start_here")("negatives", 255)
        print(layout.find(["temperature"])[0])
        print(coverage.verdicts("varcon"))
    """
    surroundings = os.environ | {"PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=True)
    first, opened, again, kept, _, verdict, found, claims = run.stdout.splitlines()
    mine = tmp_path / "cl_explore_course"
    assert first == again == f"the course is in {mine}"
    assert f"--ServerApp.root_dir={mine}" in opened
    assert "--LabApp.default_url=/lab/tree/00_start_here.ipynb" in opened
    assert kept == "kept as you edited them (delete or rename one to get it anew): 03_temperature.ipynb"
    assert (mine / "03_temperature.ipynb").read_text() == "mine"
    assert {path.name for path in mine.glob("*.ipynb")} == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert verdict == "✗ negatives: its own second view is the positive, not a negative"
    assert found == str(installed / "cl_explore" / "notebooks" / "03_temperature.ipynb")
    assert "holds" in claims
