"""The reading edition in a browser: pages fit their window; switch, menu and search work from a folder, offline."""

import shutil
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page

from cl_explore.app import book, course, layout
from cl_explore.app.book import Site

DARKER = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).every((c) => c < 100)"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed notebooks as a folder of pages."""
    out = tmp_path_factory.mktemp("pages")
    notebooks = layout.find()
    site = Site([book.chapter(path) for path in notebooks])
    for path, told in zip(notebooks, site.chapters, strict=True):
        course.write(out / f"{told.name}.html", site.chapter(nbformat.read(path, as_version=4), told))
        shutil.copy(path, out)
    results = [course.Result(told.name, told.heading, 1.0, None) for told in site.chapters]
    course.write(out / "index.html", site.contents(results, "preset = laptop"))
    course.write(out / "symbols.html", site.symbols())
    site.furnish(out)
    return out


def opened(browser: Browser, file: Path, width: int, scheme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.context.set_offline(True)
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize("width", [1300, 700])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_follow_the_reader(
    browser: Browser, written: Path, screens: Path, width: int, scheme: str
) -> None:
    page = opened(browser, written / "index.html", width, scheme)
    for file in sorted(written.glob("*.html")):
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        assert page.evaluate(DARKER) == (scheme == "dark"), file.name
        letters = page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('.prose > p')].map((p) => p.clientWidth))"
        )
        assert letters < 800, f"{file.name}: lines of {letters} pixels"
        page.screenshot(path=screens / f"page-{file.stem}-{width}-{scheme}.png")
    page.close()


def test_switch_menu_and_search_work_from_a_folder(browser: Browser, written: Path) -> None:
    page = opened(browser, written / "03_temperature.html", 700, "light")
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(DARKER)
    assert page.evaluate("document.body.dataset.jpThemeLight") == "false"
    chapters = page.get_by_role("navigation", name="Contents")
    assert not chapters.is_visible()
    page.get_by_role("button", name="Contents").click()
    assert chapters.get_by_role("link", name="Views", exact=False).first.is_visible()
    page.keyboard.press("Escape")
    page.locator("main").click()
    page.keyboard.press("/")
    page.keyboard.type("triplet loss without margin")
    page.locator("#found a").first.wait_for()
    box = page.locator("#found").bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 700
    page.keyboard.press("Enter")
    page.wait_for_url("**/03_temperature.html#*")
    page.close()


def test_the_skip_link_comes_first_and_leads_to_the_text(browser: Browser, written: Path) -> None:
    page = opened(browser, written / "00_start_here.html", 1300, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


def test_solutions_unfold_in_print(browser: Browser, written: Path) -> None:
    page = opened(browser, written / "03_temperature.html", 1300, "dark")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".prose details").evaluate_all("all => all.every((part) => part.open)")
    assert not page.locator(".top").is_visible()
    assert not page.evaluate(DARKER)
    page.close()
