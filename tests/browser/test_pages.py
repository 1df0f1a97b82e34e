"""The reading edition in a browser: pages fit their window; switch, menu and search work from a folder, offline."""

import runpy
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
DARKER = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).every((c) => c < 100)"


@pytest.fixture(scope="module")
def written(notebooks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the committed notebooks, with a gallery that is not executed and one page of the interface."""
    out = tmp_path_factory.mktemp("pages") / "site"
    build = runpy.run_path(str(ROOT / "docs" / "site.py"))["build"]
    build(ROOT / "notebooks", notebooks / "gallery.ipynb", out, ("cl_explore", r"!cl_explore\."))
    return out


def opened(browser: Browser, file: Path, width: int, scheme: str) -> Page:
    page = browser.new_page(viewport={"width": width, "height": 1000}, color_scheme=scheme)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.context.set_offline(True)
    page.goto(file.as_uri())
    return page


@pytest.mark.parametrize(("width", "scheme"), [(1300, "light"), (700, "dark")])
def test_pages_fit_and_follow_the_reader(browser: Browser, written: Path, width: int, scheme: str) -> None:
    page = opened(browser, written / "index.html", width, scheme)
    for file in sorted(written.rglob("*.html")):
        if 'http-equiv="refresh"' in file.read_text(encoding="utf-8"):
            continue  # it leads on to another page
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width, file.name
        assert page.evaluate(DARKER) == (scheme == "dark"), file.name
        letters = page.evaluate(
            "Math.max(0, ...[...document.querySelectorAll('.prose > p')].map((p) => p.clientWidth))"
        )
        assert letters < 800, f"{file.name}: lines of {letters} pixels"
    page.close()


def test_switch_menu_and_search_work_from_a_folder(browser: Browser, written: Path) -> None:
    page = opened(browser, written / "notebooks" / "03_temperature.html", 700, "light")
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
    page = opened(browser, written / "notebooks" / "00_start_here.html", 1300, "light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the text"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


def test_solutions_unfold_in_print(browser: Browser, written: Path) -> None:
    page = opened(browser, written / "notebooks" / "03_temperature.html", 1300, "dark")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator(".prose details").evaluate_all("all => all.every((part) => part.open)")
    assert not page.locator(".top").is_visible()
    assert not page.evaluate(DARKER)
    page.close()
