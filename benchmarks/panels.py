"""Slider-to-picture latency of every panel in a real JupyterLab, and frames per second of the sphere.

    python benchmarks/panels.py [--presses 60] [--json FILE] [Panel ...]

A headless Chromium opens the gallery and presses arrow keys on the first slider of each panel that moves its picture.
The latency runs from the key event to the end of the animation frame that draws the picture which followed. The weights
of an anchor drawn by matplotlib as a PNG, the plain way to do it, are timed in the same run. Needs the `browser`
extra and chromium.
"""

import argparse
import json
import os
import random
import runpy
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import nbformat
from machine import cpu
from nbformat.v4 import new_code_cell
from playwright.sync_api import Locator

ROOT = Path(__file__).parents[1]
PANELS = runpy.run_path(str(ROOT / "docs" / "panels.py"))
sys.path.insert(0, str(ROOT / "browser"))
from hands import label, settle, share, sliders  # noqa: E402
from lab import Lab, chromium, jupyterlab  # noqa: E402

MEDIAN, P95, FRAMES = 30, 60, 30  # targets: milliseconds, milliseconds, frames a second
POINTS, SECONDS = 2000, 5
WARM_UP = 5  # presses that do not count
PLAIN = """
import io
import ipywidgets
import numpy as np
from matplotlib.figure import Figure
from scipy.special import softmax

similarities, temperatures = np.linspace(0.6, -0.4, 64), np.geomspace(0.03, 3, 61)
slider = ipywidgets.FloatLogSlider(value=0.15, min=-1.5, max=0.5, step=0.01, description="temperature τ")
picture, figure = ipywidgets.Image(format="png"), Figure(figsize=(8.7, 4.2))

def draw(_=None):
    figure.clear()
    left, right = figure.subplots(1, 2)
    left.bar(range(64), softmax(similarities / slider.value))
    curves = softmax(similarities / temperatures[:, None], axis=1)
    for place in (0, 1, 2, 4):
        right.plot(temperatures, curves[:, place], label=f"negative {place}")
    right.axvline(slider.value)
    right.set_xscale("log")
    right.legend()
    file = io.BytesIO()
    figure.savefig(file, format="png")
    picture.value = file.getvalue()

slider.observe(draw, "value")
draw()
ipywidgets.VBox([slider, picture])
"""
# Setting the width of a canvas, which begins every redraw, can be observed; observers run when the redraw is over.
WATCH = """(root) => {
  const watch = (root.watch = { began: null, latencies: [], redraws: 0 });
  const drawn = () => {
    watch.redraws += 1;
    if (watch.began === null) return;
    watch.latencies.push(performance.now() - watch.began);
    watch.began = null;
  };
  root.addEventListener("keydown", (event) => { watch.began = event.timeStamp; }, true);
  const canvas = root.querySelector("canvas");  // the first one, as all charts are painted together
  if (canvas) new MutationObserver(drawn).observe(canvas, { attributeFilter: ["width"] });
  for (const picture of root.querySelectorAll("img"))
    picture.addEventListener("load", () => requestAnimationFrame(drawn));
}"""


def redrawn(root: Locator, key: str) -> bool:
    """Press a key; whether a redraw followed within 3 s. To ask costs the page time, so it is left alone at first."""
    before = root.evaluate("(root) => root.watch.latencies.length")
    root.page.keyboard.press(key)
    for milliseconds in (200, 800, 2000):
        root.page.wait_for_timeout(milliseconds)
        if root.evaluate("(root) => root.watch.latencies.length") > before:
            return True
    return False


def first_slider(root: Locator) -> Locator:
    """The panel's first slider that moves its picture, with the focus on it."""
    for handle in sliders(root):
        handle.evaluate("(handle) => { handle.dataset.lmSuppressShortcuts = 'true'; }")  # as our panels do themselves
        handle.focus()
        if redrawn(root, "ArrowRight" if share(handle) < 0.5 else "ArrowLeft"):
            return handle
    raise RuntimeError("no slider of the panel moves its picture")


def latencies(root: Locator, handle: Locator, presses: int) -> list[float]:
    """Milliseconds from each press of a key on a slider to the end of the redraw that followed."""
    pause, key = random.Random(0), "ArrowLeft"
    for _ in range(presses + WARM_UP):
        key = "ArrowRight" if share(handle) < 0.2 else "ArrowLeft" if share(handle) > 0.8 else key
        root.page.wait_for_timeout(50 * pause.random())  # not in step with the page's frames
        if not redrawn(root, key):
            raise RuntimeError(f"{key} on the slider {label(handle)!r} changed no picture within 3 s")
    return root.evaluate("(root) => root.watch.latencies")[-presses:]


def frames_per_second(root: Locator) -> float:
    """Redraws a second while the animation runs, after one second of it."""
    root.evaluate(WATCH)
    root.locator("button", has_text="start").click()
    root.page.wait_for_timeout(1000)
    counts = []
    for _ in range(2):
        counts.append(root.evaluate("(root) => [root.watch.redraws, performance.now() / 1000]"))
        root.page.wait_for_timeout(1000 * SECONDS)
    root.locator("button", has_text="pause").click()
    (redraws, began), (later, ended) = counts
    return (later - redraws) / (ended - began)


def notebook(names: list[str]) -> nbformat.NotebookNode:
    """The named panels of the gallery, behind them matplotlib's and the two spheres."""
    gallery = PANELS["notebook"]()
    others = [name for name in PANELS["examples"](gallery) if name not in names]
    gallery.cells = [cell for cell in gallery.cells if not any(f"{name}(" in cell.source for name in others)]
    spheres = (f"widgets.SpherePanel('nt_xent', samples={POINTS // 2}, dim={dim})" for dim in (2, 3))
    gallery.cells += map(new_code_cell, [PLAIN, *spheres])
    return gallery


def measure(name: str, root: Locator, presses: int, plain: float | None = None) -> dict[str, Any]:
    """One row of the table, printed; `plain` is matplotlib's median."""
    root.scroll_into_view_if_needed()
    settle(root)
    root.evaluate(WATCH)
    handle = first_slider(root)
    taken = latencies(root, handle, presses)
    middle, high = statistics.median(taken), statistics.quantiles(taken, n=20)[-1]
    slider, ratio = label(handle), middle / plain if plain else 1.0
    met = "" if plain is None else "yes" if middle <= MEDIAN and high <= P95 else "no"
    print(f"| {name} | {slider} | {middle:.0f} ms | {high:.0f} ms | {ratio:.2f} | {met} |", flush=True)
    return {"panel": name, "slider": slider, "median_ms": middle, "p95_ms": high, "ratio": ratio, "all_ms": taken}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="Panel", help="such as SpherePanel (default: all)")
    parser.add_argument("--presses", type=int, default=60, help="of a key, for each panel (default: 60)")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    options = parser.parse_args()
    names = [name for name in PANELS["examples"](PANELS["notebook"]()) if not options.names or name in options.names]
    setting = {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "presses": options.presses,
        "versions": {name: version(name) for name in ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "torch")},
    }
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        setting["versions"]["chromium"] = browser.version
        path = Path(folder, "notebooks", "panels.ipynb")
        path.parent.mkdir()
        nbformat.write(notebook(names), path)
        with jupyterlab(path, Path(folder, "jupyter")) as address:
            lab = Lab(browser.new_page(viewport={"width": 1280, "height": 1000}), address)
            lab.open("notebooks/panels.ipynb")
            if errors := lab.run():
                raise SystemExit(f"a cell of the gallery failed: {errors}")
            *panels, circle, sphere = lab.panels()
            print("| panel | slider | median | 95 % | of matplotlib's | within the target |")
            print("|---|---|---:|---:|---:|---|")
            plain = measure(
                "matplotlib", lab.page.locator(".jp-OutputArea-output:has(img.widget-image)"), options.presses
            )
            rows = [
                measure(name, panel, options.presses, plain["median_ms"])
                for name, panel in zip(names, panels, strict=True)
            ]
            frames = {"circle": frames_per_second(circle), "sphere": frames_per_second(sphere)}
    for ground, rate in frames.items():
        print(f"\n{POINTS:,} points on the {ground}: {rate:.1f} frames a second (target: {FRAMES})")
    if options.json:
        results = {"results": [plain, *rows], "points": POINTS, "frames_per_second": frames}
        options.json.write_text(json.dumps(setting | results, indent=2) + "\n")


if __name__ == "__main__":
    main()
