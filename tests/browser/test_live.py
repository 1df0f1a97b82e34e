"""Two notebooks in a real JupyterLab, the first and one that trains there: no errors, pictures follow a slider."""

import re
from pathlib import Path

import nbformat
import pytest
from hands import LATER, settle, work
from lab import Lab

ROOT = Path(__file__).parents[2]
COURSE = sorted((ROOT / "notebooks").glob("*.ipynb"))
TRAINING = next(path for path in COURSE if "TrainingPanel(" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", [COURSE[0].stem, TRAINING.stem])
def test_panels_of_the_notebook_follow_their_first_slider(lab: Lab, screens: Path, name: str) -> None:
    lab.open(f"notebooks/{name}.ipynb")
    assert lab.run() == [], "errors of cells"
    panels = lab.panels()
    assert panels
    cells = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    kinds = re.findall(r"(\w+Panel)\(", code)
    for number, (panel, kind) in enumerate(zip(panels, kinds, strict=True)):
        panel.scroll_into_view_if_needed()
        settle(panel)
        panel.screenshot(path=screens / f"{name}-{number}.png")
        assert work(panel, LATER.get(kind, frozenset()), first=True)["sliders"] > 0
    lab.close()
    assert lab.errors == [], "errors of the console"
