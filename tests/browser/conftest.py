import runpy
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from hands import settle
from lab import Lab, chromium, installed, jupyterlab
from playwright.sync_api import Browser, Locator

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / "build" / "screens"


@pytest.fixture(scope="session")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery, its two parts, and the course's notebooks in the smoke preset, without their outputs."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    folder.mkdir()
    panels = runpy.run_path(str(ROOT / "docs" / "panels.py"))
    nbformat.write(panels["notebook"](), folder / "gallery.ipynb")
    nbformat.write(panels["library"](), folder / "library.ipynb")
    nbformat.write(panels["of_papers"](), folder / "papers.ipynb")
    for path in sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        for cell in code:
            cell.outputs, cell.execution_count = [], None
        parameters = next(cell for cell in code if "parameters" in cell.metadata.get("tags", []))
        parameters.source = parameters.source.replace('preset: str = "laptop"', 'preset: str = "smoke"')
        nbformat.write(notebook, folder / path.name)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: of two processes none shall be left with one of them at the end."""
    longest = ["test_gallery_of_papers.py", "test_gallery.py", "test_pages.py"]
    items.sort(key=lambda item: longest.index(item.path.name) if item.path.name in longest else len(longest))


def pytest_sessionstart() -> None:
    """Say what is missing once, before processes are started that would each say it in their way."""
    try:
        installed()
    except RuntimeError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def lab(browser: Browser, notebooks: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with jupyterlab(notebooks / "gallery.ipynb", tmp_path_factory.mktemp("jupyter")) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        yield Lab(page, address)
        page.close()


@pytest.fixture(scope="session")
def screens() -> Path:
    """The folder of the screenshots."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    return SCREENS


@pytest.fixture(scope="module")
def gallery(request: pytest.FixtureRequest, lab: Lab, screens: Path) -> Iterator[dict[str, Locator]]:
    """The panels by their names, of which a test file says NAMES and NOTEBOOK."""
    lab.open(f"notebooks/{request.module.NOTEBOOK}.ipynb")
    assert lab.run(600) == [], "errors of cells"
    panels = dict(zip(request.module.NAMES, lab.panels(), strict=True))
    for name, panel in panels.items():
        panel.scroll_into_view_if_needed()
        settle(panel)
        panel.screenshot(path=screens / f"{name}.png")
    yield panels
    lab.close()
