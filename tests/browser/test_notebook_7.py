"""The library's panels in Notebook 7, another page made of JupyterLab's parts."""

import runpy
from pathlib import Path

from hands import LATER, settle, work
from lab import Lab, jupyterlab
from playwright.sync_api import Browser

PANELS = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "panels.py"))
LIBRARY = list(PANELS["examples"](PANELS["library"]()))


def test_panels_follow_their_first_slider_in_notebook_7(browser: Browser, notebooks: Path, tmp_path: Path) -> None:
    """From a server of its own: one that has shown Lab denies it its icons."""
    with jupyterlab(notebooks / "library.ipynb", tmp_path) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        notebook = Lab(page, address.replace("/lab?", "/notebooks/notebooks/library.ipynb?"))
        notebook.connected()
        notebook.errors.clear()  # what the page itself said before the notebook was open
        assert notebook.run() == [], "errors of cells"
        for name, panel in zip(LIBRARY, notebook.panels(), strict=True):
            panel.scroll_into_view_if_needed()
            settle(panel)
            assert work(panel, LATER.get(name, frozenset()), first=True)["sliders"] > 0
        page.close()
    assert notebook.errors == [], "errors of the console"
