"""What the tests of data sets share: a place without any data, a publisher on this machine, and small images."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cl_explore.data import published


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder from which no published data set is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CL_EXPLORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(published, "CLONE", tmp_path / "clone")
    return tmp_path


@pytest.fixture
def own(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder named by CL_EXPLORE_DATA."""
    (nowhere / "own").mkdir()
    monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "own"))
    return nowhere / "own"


@pytest.fixture
def publisher(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which this machine serves it; a file called broken.bin ends too early."""
    folder = nowhere / "published"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.endswith("broken.bin"):
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"only this")
            else:
                super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """picture(value, width=8, height=8, kind="png", mode="RGB"): an image file of one value."""

    def make(value: int, width: int = 8, height: int = 8, kind: str = "png", mode: str = "RGB") -> bytes:
        pixels = np.full((height, width, 3) if mode == "RGB" else (height, width), value, np.uint8)
        file = BytesIO()
        Image.fromarray(pixels).save(file, kind)
        return file.getvalue()

    return make
