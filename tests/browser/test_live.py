"""Every panel of the gallery and of the course in a real JupyterLab, all its controls worked by mouse and keys."""

import runpy
from pathlib import Path

import pytest
from hands import settle, work
from lab import Lab

ROOT = Path(__file__).parents[2]
EXAMPLES = runpy.run_path(str(ROOT / "docs" / "panels.py"))["examples"]()
COURSE = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if "widgets." in path.read_text()]
LATER = frozenset({"step size"})  # controls that act in the next step, and change no picture before it


@pytest.mark.parametrize("name", ["gallery", *COURSE])
def test_every_control_of_every_panel_changes_what_it_shows(lab: Lab, screens: Path, name: str) -> None:
    lab.open(f"notebooks/{name}.ipynb")
    assert lab.run() == [], "errors of cells"
    panels = lab.panels()
    names = list(EXAMPLES) if name == "gallery" else [f"{name}-{number}" for number in range(len(panels))]
    assert len(panels) == len(names) > 0
    for panel, title in zip(panels, names, strict=True):
        panel.scroll_into_view_if_needed()
        settle(panel)
        panel.screenshot(path=screens / f"{title}.png")
        try:
            found = work(panel, LATER)
        finally:
            panel.screenshot(path=screens / f"{title}-worked.png")
        assert found["sliders"] > 0, title
    lab.close()
    assert lab.errors == [], "errors of the console"
