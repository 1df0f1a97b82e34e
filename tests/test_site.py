"""The site holds together: every link, place and picture on its pages is there, whatever page it stands on."""

import importlib.util
import json
import runpy
from pathlib import Path
from types import ModuleType

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOT_EXECUTED = ("cl_explore", r"!cl_explore\.", "cl_explore.geometry")  # of the interface, a part is as good as all


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "docs" / "site.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def written(site: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the committed notebooks and the panels' gallery, not executed."""
    folder = tmp_path_factory.mktemp("site")
    nbformat.write(runpy.run_path(str(ROOT / "docs" / "panels.py"))["notebook"](), folder / "gallery.ipynb")
    site.build(ROOT / "notebooks", folder / "gallery.ipynb", folder / "out", NOT_EXECUTED)
    return folder / "out"


def test_no_link_is_broken_and_every_picture_is_described(site: ModuleType, written: Path) -> None:
    assert len(site.pages(written)) > 40
    assert site.broken(written) == []


def test_every_part_is_reached_from_the_first_page(site: ModuleType, written: Path) -> None:
    first = site.pages(written)[written / "index.html"]
    reached = {file for _, file, _ in first.local()}
    assert {address for _, address in [*site.SECTIONS, *site.MORE]} <= reached
    assert "notebooks/03_temperature.html" in reached
    assert not list(written.rglob("*.md"))


def test_nothing_is_loaded_from_elsewhere(site: ModuleType, written: Path) -> None:
    for path in written.rglob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert '<script src="http' not in html, path
        assert '<link rel="stylesheet" href="http' not in html, path
        assert '<img src="http' not in html, path


def test_search_finds_all_parts(written: Path) -> None:
    text = (written / "search.js").read_text(encoding="utf-8")
    addresses = {entry[0] for entry in json.loads(text.removeprefix("var searchIndex = ").removesuffix(";\n"))}
    for address in ("docs/losses.html#nt-xent-simclr", "docs/scorecard/varcon.html", "benchmarks/README.html"):
        assert address in addresses
    assert any(address.startswith("notebooks/03_temperature.html#") for address in addresses)


def test_broken_links_are_named(site: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here"><a href="b.html#there"><img src="c.png">')
    (tmp_path / "b.html").write_text('<a href="a.html#gone"><a href="https://host/x"><a href="d%C3%A9.html">')
    assert site.broken(tmp_path) == [
        "a.html: there is no b.html#there",
        "a.html: there is no c.png",
        "b.html: there is no a.html#gone",
        "b.html: there is no d%C3%A9.html",
        "a.html: 1 pictures without alt text",
    ]


def test_fields_of_a_docstring_become_a_list(site: ModuleType) -> None:
    text = "InfoNCE in one direction: a sentence.\n\nz: (B, V, D)\nNote: It is `x`.\n\n>>> f(x)\nloss: 1"
    assert site.fields(text) == (
        "InfoNCE in one direction: a sentence.\n\n- **z**: (B, V, D)\n- **Note**: It is `x`.\n\n>>> f(x)\nloss: 1"
    )
