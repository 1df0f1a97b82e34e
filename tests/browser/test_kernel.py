"""A training panel whose kernel is interrupted, and restarted, in a real JupyterLab."""

from pathlib import Path

import nbformat
from hands import settle, wait_for
from lab import Lab
from nbformat.v4 import new_code_cell, new_notebook
from playwright.sync_api import Locator

CELL = 'from cl_explore import widgets\nwidgets.TrainingPanel("digits", epochs=500)'
KERNEL = "async (act) => { await jupyterapp.shell.currentWidget.sessionContext.session.kernel[act](); }"
SAYS = """(root) => { const panel = root.querySelector(".clx"), status = panel.querySelector(".clx-status");
  return [status.checkVisibility() ? status.innerText : "", getComputedStyle(panel, "::after").content]; }"""


def begin(panel: Locator) -> None:
    panel.locator("button", has_text="start").click()
    wait_for(lambda: panel.evaluate(SAYS)[0] == "training", "the training did not begin", 30)


def test_an_interrupt_pauses_a_training_and_after_a_restart_none_claims_to_train(lab: Lab, notebooks: Path) -> None:
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # or the page asks for one
    nbformat.write(new_notebook(cells=[new_code_cell(CELL)], metadata=python), notebooks / "kernel.ipynb")
    lab.open("notebooks/kernel.ipynb")
    assert lab.run() == [], "errors of cells"
    (panel,) = lab.panels()
    settle(panel)
    begin(panel)
    lab.page.evaluate(KERNEL, "interrupt")
    wait_for(lambda: panel.evaluate(SAYS)[0] == "paused", "the interrupt did not pause the training", 30)
    begin(panel)
    lab.page.evaluate(KERNEL, "restart")
    gone = ["", '"The kernel is gone: run the cell again."']
    wait_for(lambda: panel.evaluate(SAYS) == gone, "the panel did not say that its kernel is gone", 30)
    assert all(button.is_disabled() or "start" not in button.inner_text() for button in panel.locator("button").all())
    lab.close()
