"""Exported pages: the sliders of the panels move their pictures, without a kernel and with every host blocked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hands import work
from playwright.sync_api import Browser, Page, Route

from cl_explore.app import course

PANEL = "div[id^=clx-]:has(.clx)"


@pytest.fixture(scope="module")
def exported(notebooks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library's panels and the first notebook as web pages, as `cl-explore course` writes them."""
    out = tmp_path_factory.mktemp("course")
    results = course.run([notebooks / "library.ipynb", notebooks / "00_start_here.ipynb"], out)
    assert [result.error for result in results if result.error] == []
    return out


@pytest.fixture
def offline(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page that can open files only, and what went wrong on it: hosts that were asked for, and errors."""
    wrong: list[str] = []

    def block(route: Route) -> None:
        wrong.append(f"asked for {route.request.url}")
        route.abort()

    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.route(lambda address: not address.startswith("file:"), block)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    yield page, wrong
    page.close()


def test_exported_panels_move_without_a_kernel_and_a_network(exported: Path, offline: tuple[Page, list[str]]) -> None:
    page, wrong = offline
    for file in sorted(notebook.with_suffix(".html") for notebook in exported.glob("*.ipynb")):
        page.goto(file.as_uri())
        panels = page.locator(PANEL).all()
        assert panels, f"{file.name} shows no panel"
        for panel in panels:
            assert work(panel)["sliders"] > 0, file.name
        assert wrong == [], file.name
