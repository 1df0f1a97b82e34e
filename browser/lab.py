"""A JupyterLab server on a folder of notebooks and a headless Chromium that looks at it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SERVE = """
import pathlib, sys
from cl_explore.app import cli, layout
first = pathlib.Path(sys.argv[1])
layout.find = lambda: [first]
sys.exit(cli.main(sys.argv[2:]))
"""
START_SECONDS = 60
PANEL = ".jp-OutputArea-output:has(.clx)"
RUN_ALL = """async (seconds) => {
  const late = new Promise((resolve) => setTimeout(resolve, 1000 * seconds, "late"));
  return Promise.race([jupyterapp.commands.execute("notebook:run-all-cells"), late]);
}"""
CELL_ERRORS = """() => jupyterapp.shell.currentWidget.content.widgets
  .flatMap((cell) => cell.model.outputs?.toJSON() ?? []).filter((output) => output.output_type === "error")
  .map((output) => `${output.ename}: ${output.evalue}`)"""


def installed() -> str:
    """Where the system's own Chromium is; RuntimeError, with the cure, if there is none."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise RuntimeError("there is no chromium on the PATH. On Debian and Ubuntu: apt install chromium")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium without a window; RuntimeError if there is none."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def jupyterlab(notebook: Path, scratch: Path) -> Iterator[str]:
    """Serve a notebook and its neighbours as `cl-explore lab` does, without the user's settings; address with token.

    Settings, workspaces and the server's log go to `scratch`. RuntimeError, with the log, if it does not come up.
    """
    folders = {name: scratch / name for name in ("config", "data", "runtime", "settings", "workspaces")}
    news = folders["settings"] / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')  # else a question covers the page
    surroundings = os.environ | {
        "JUPYTER_CONFIG_DIR": str(folders["config"]),
        "JUPYTER_DATA_DIR": str(folders["data"]),
        "JUPYTER_RUNTIME_DIR": str(folders["runtime"]),
        "JUPYTERLAB_SETTINGS_DIR": str(folders["settings"]),
        "JUPYTERLAB_WORKSPACES_DIR": str(folders["workspaces"]),
        "OMP_NUM_THREADS": "1",
    }
    options = ["lab", "--no-browser", "--allow-root", "--port=0"]
    options += ["--expose-app-in-browser", "--JupyterNotebookApp.expose_app_in_browser=True"]
    log = scratch / "server.log"
    with log.open("w") as stream:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(notebook), *options], env=surroundings, stdout=stream, stderr=stream
        )
        try:
            yield _address(server, folders["runtime"], log)
        finally:
            server.terminate()
            server.wait(30)


def _address(server: subprocess.Popen[bytes], runtime: Path, log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        for file in runtime.glob("jpserver-*.json"):
            told = json.loads(file.read_text() or "{}")
            if told:
                return f"{told['url']}lab?token={told['token']}"
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {START_SECONDS} s:\n{log.read_text()}")


class Lab:
    """A page of JupyterLab or Notebook 7; `errors` collects the errors that the open notebook writes to the console."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address)
        page.wait_for_function("() => window.jupyterapp?.shell.currentWidget", timeout=60_000)

    def command(self, name: str, **arguments: Any) -> None:
        """One command of JupyterLab's palette."""
        self.page.evaluate(
            "async ([name, given]) => { await jupyterapp.commands.execute(name, given); }", [name, arguments]
        )

    def open(self, path: str) -> None:
        """Open a notebook, path relative to the server's root, and wait for its kernel."""
        self.errors.clear()
        self.command("docmanager:open", path=path, factory="Notebook")
        self.connected()

    def connected(self) -> None:
        """Wait for the kernel of the open notebook."""
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget.sessionContext?.session?.kernel?.connectionStatus === 'connected'",
            timeout=60_000,
        )

    def run(self, seconds: float = 180) -> list[str]:
        """Run all cells of the open notebook; the errors that cells show."""
        if self.page.evaluate(RUN_ALL, seconds) == "late":
            return [f"cells still ran after {seconds} s"]
        return self.page.evaluate(CELL_ERRORS)

    def panels(self) -> list[Locator]:
        """The outputs of the open notebook that show a panel."""
        return self.page.locator(f".jp-NotebookPanel:not(.lm-mod-hidden) {PANEL}").all()

    def close(self) -> None:
        """Close the open notebook, unsaved, and its kernel."""
        self.page.evaluate("async () => { await jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
        self.page.evaluate(
            "() => { const open = jupyterapp.shell.currentWidget; open.context.model.dirty = false; open.close(); }"
        )
