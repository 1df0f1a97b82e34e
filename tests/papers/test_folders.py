"""A paper costs its folder, its test and its lesson: nothing else knows it, and without it all else goes on."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cl_explore import papers

ROOT = Path(__file__).parents[2]


def module(slug: str) -> str:
    return slug.replace("-", "_")


@pytest.mark.parametrize("slug", papers.slugs())
def test_only_its_folder_its_test_and_its_lesson_name_a_paper(slug: str) -> None:
    tests = (ROOT / "tests" / "papers").glob(f"test_{module(slug)}*.py")
    own = {ROOT / "cl_explore" / "papers" / module(slug), *tests}
    code = [path for room in ("cl_explore", "tests", "docs", "benchmarks") for path in (ROOT / room).rglob("*.py")]
    naming = [
        path.relative_to(ROOT).as_posix()
        for path in code
        if f"papers.{module(slug)}" in path.read_text(encoding="utf-8") and not own & {path, *path.parents}
    ]
    assert naming == []


@pytest.mark.parametrize("slug", papers.slugs())
def test_a_paper_is_whole(slug: str) -> None:
    paper = papers.get(slug)
    assert paper.slug == slug
    assert (ROOT / "tests" / "papers" / f"test_{module(slug)}.py").is_file()
    assert {path.stem for path in (ROOT / "cl_explore" / "papers" / module(slug)).glob("*.py")} <= {
        "__init__", "study", "world", "method", "panel", "tables",
    }  # fmt: skip


def test_the_package_goes_on_without_a_paper(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "cl_explore", tmp_path / "cl_explore", ignore=shutil.ignore_patterns("__pycache__"))
    gone, *others = papers.slugs()
    shutil.rmtree(tmp_path / "cl_explore" / "papers" / module(gone))
    code = (
        "import importlib, pkgutil, cl_explore\n"
        "for found in pkgutil.walk_packages(cl_explore.__path__, 'cl_explore.'):\n"
        "    if not found.name.endswith('__main__'): importlib.import_module(found.name)\n"
        "from cl_explore import papers\n"
        "from cl_explore.app import coverage\n"
        "assert [line[0] for line in coverage.rows()] == papers.slugs()\n"
        "print(*papers.slugs())"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == others


def test_a_missing_package_breaks_that_paper_alone_and_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError("No module named 'rare.part'", name="rare.part")

    monkeypatch.setattr(papers.importlib, "import_module", absent)
    monkeypatch.setattr(papers, "has", lambda slug, part: True)
    with pytest.raises(ModuleNotFoundError, match="the study of cacr needs rare, which is not installed: pip install"):
        papers.study("cacr")
