"""Make docs/report.png, the README's picture of a report: `python docs/report.py`, part of `make screens`.

The vectors are scikit-learn's digits, the 64 grey levels of each: their map, and beside it the labels that neighbours
contradict. It needs chromium.
"""

import io
import runpy
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cl_explore import data
from cl_explore.app import cli

HERE = Path(__file__).parent
PICTURE, HALF, HEIGHT = HERE / "report.png", 500, 530


def written(folder: Path) -> Path:
    """The report on the digits."""
    digits = data.load("digits")
    names = np.array(digits.class_names)[digits.labels.numpy()]
    np.savez(folder / "digits.npz", x=digits.x.flatten(1).numpy(), digit=names, image=digits.x.numpy())
    page = folder / "report.html"
    options = ["--labels", "digit", "--images", "image", "--out", str(page)]
    if cli.main(["report", str(folder / "digits.npz"), *options]):
        raise RuntimeError("the report was not written")
    return page


def main() -> None:
    chromium = runpy.run_path(str(HERE.parent / "browser" / "lab.py"))["chromium"]
    both = Image.new("RGB", (2 * HALF, HEIGHT))
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        address = written(Path(folder)).as_uri()
        for place, (first, width) in enumerate({".clx": 2 * HALF, "h2:has-text('Labels')": HALF}.items()):
            page = browser.new_page(viewport={"width": width, "height": 2 * HEIGHT})
            page.goto(address)
            page.wait_for_timeout(1000)
            page.locator(first).first.evaluate("(part) => part.scrollIntoView()")
            both.paste(Image.open(io.BytesIO(page.screenshot())), (place * HALF, 0))
            page.close()
    runpy.run_path(str(HERE / "panels.py"))["keep"](both, PICTURE)


if __name__ == "__main__":
    main()
