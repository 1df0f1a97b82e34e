"""The papers' panels in a real JupyterLab: the first slider of each, as tests/papers moves all without a browser."""

import runpy
from pathlib import Path

import pytest
from hands import check_names, work
from lab import Lab
from playwright.sync_api import Locator

PANELS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "panels.py"))
NOTEBOOK, NAMES = "papers", list(PANELS["examples"](PANELS["of_papers"]()))


@pytest.mark.parametrize("name", NAMES)
def test_controls_of_the_panel_have_names_and_the_first_changes_what_it_shows(
    lab: Lab, gallery: dict[str, Locator], screens: Path, name: str
) -> None:
    check_names(gallery[name])
    try:
        assert work(gallery[name], first=True)["sliders"] > 0
    finally:
        gallery[name].screenshot(path=screens / f"{name}-worked.png")
    assert lab.errors == [], "errors of the console"
