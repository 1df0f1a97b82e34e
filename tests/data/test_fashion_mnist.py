"""Fashion-MNIST: found where it should be, checked, downloaded only when asked, clear when missing or damaged."""

import gzip
import hashlib
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from cl_explore import data
from cl_explore.data import fashion_mnist

IMAGES, LABELS = fashion_mnist.FILES["test"]


def idx(shape: tuple[int, ...], fill: int = 0) -> bytes:
    content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes([fill]) * torch.Size(shape).numel()
    return gzip.compress(content, compresslevel=1)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder from which no Fashion-MNIST is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CL_EXPLORE_DATA", raising=False)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "CLONE", tmp_path / "clone")
    monkeypatch.setattr(fashion_mnist, "URL", (tmp_path / "refused").as_uri() + "/")
    return tmp_path


@pytest.fixture
def published(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the publisher: a folder with two small files that are what they should be."""
    folder = nowhere / "published"
    folder.mkdir()
    for file, fill in ((IMAGES, 7), (LABELS, 3)):
        shape = (5, *fashion_mnist.FILES["test"][file][1:])
        monkeypatch.setitem(fashion_mnist.FILES["test"], file, shape)
        (folder / file).write_bytes(idx(shape, fill))
        digest = hashlib.sha256(gzip.decompress(idx(shape, fill))).hexdigest()
        monkeypatch.setitem(fashion_mnist.SHA256, file, digest)
    monkeypatch.setattr(fashion_mnist, "URL", folder.as_uri() + "/")
    return folder


@pytest.mark.skipif(not fashion_mnist.DEBIAN.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_the_real_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CL_EXPLORE_DATA", raising=False)
    test = data.load("fashion_mnist", "test")
    assert test.x.shape == (10_000, 1, 28, 28)
    assert test.x.dtype == torch.uint8
    assert test.labels.bincount().tolist() == [1000] * 10
    assert test.class_names[test.labels[0]] == "ankle boot"
    for file in fashion_mnist.FILES["test"]:
        content = gzip.decompress((fashion_mnist.DEBIAN / file).read_bytes())
        assert hashlib.sha256(content).hexdigest() == fashion_mnist.SHA256[file]


def test_missing_files_list_all_places_and_ways(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = nowhere / "own"
    (own / "fashion_mnist").mkdir(parents=True)
    (own / "fashion_mnist" / IMAGES).write_bytes(b"")
    monkeypatch.setenv("CL_EXPLORE_DATA", str(own))
    with pytest.raises(FileNotFoundError) as caught:
        data.load("fashion_mnist", "test")
    message = str(caught.value)
    assert f"{own / 'fashion_mnist'}: without {LABELS}" in message
    assert "data/fashion_mnist: no such folder" in message
    assert f"{nowhere / 'debian'}: no such folder" in message
    assert all(way in message for way in ("apt install", "./data", "download=True"))


def test_a_data_folder_that_does_not_exist_is_named(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "typo"))
    for download in (False, True):
        with pytest.raises(FileNotFoundError, match=r"CL_EXPLORE_DATA is '.*typo', which is not a folder"):
            data.load("fashion_mnist", download=download)


def test_own_folders_come_first(published: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published.rename(nowhere / "debian")
    assert data.load("fashion_mnist", "test").x.unique().tolist() == [7]
    for place, fill in ((nowhere / "data", 8), (nowhere / "own", 9)):
        (place / "fashion_mnist").mkdir(parents=True)
        (place / "fashion_mnist" / IMAGES).write_bytes(idx((5, 28, 28), fill))
        (place / "fashion_mnist" / LABELS).write_bytes(idx((5,)))
        monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "own") if fill == 9 else "")
        assert data.load("fashion_mnist", "test").x.unique().tolist() == [fill]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (idx((5, 28, 28))[:-20], "Compressed file ended"),
        (b"<html>not found</html>", "Not a gzipped file"),
        (b"", "got 0 bytes"),
        (idx((4, 28, 28)), "got 3152 bytes that start with 00 00 08 03 00 00 00 04"),
        (gzip.compress(gzip.decompress(idx((5, 28, 28)))[:-1]), "got 3935 bytes that start with 00 00 08 03"),
        (idx((5,)), "got 13 bytes that start with 00 00 08 01"),
    ],
    ids=["truncated", "a web page", "empty", "other count", "a byte missing", "other file"],
)
def test_damaged_files_are_named(published: Path, nowhere: Path, content: bytes, found: str) -> None:
    place = published.rename(nowhere / "debian")
    (place / IMAGES).write_bytes(content)
    with pytest.raises(ValueError, match=f"{IMAGES} is damaged or half written: needed are 3936 gzipped.*{found}"):
        data.load("fashion_mnist", "test")


def test_download_only_when_asked_and_once(published: Path, nowhere: Path) -> None:
    with pytest.raises(FileNotFoundError):
        data.load("fashion_mnist", "test")
    loaded = data.load("fashion_mnist", "test", download=True)
    assert loaded.labels.tolist() == [3] * 5
    assert sorted(file.name for file in (nowhere / "data" / "fashion_mnist").iterdir()) == sorted([IMAGES, LABELS])
    published.rename(nowhere / "gone")
    assert len(data.load("fashion_mnist", "test", download=True)) == 5


def test_download_goes_to_the_own_data_folder(published: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (nowhere / "own").mkdir()
    monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "own"))
    data.load("fashion_mnist", "test", download=True)
    assert (nowhere / "own" / "fashion_mnist" / IMAGES).exists()
    assert not (nowhere / "data").exists()


def test_notebooks_find_the_data_of_the_clone(published: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("clone/notebooks", "clone/data"):
        (nowhere / folder).mkdir(parents=True)
    monkeypatch.chdir(nowhere / "clone" / "notebooks")
    (nowhere / "clone" / "pyproject.toml").touch()
    data.load("fashion_mnist", "test", download=True)
    assert (nowhere / "clone" / "data" / "fashion_mnist" / IMAGES).exists()
    assert len(data.load("fashion_mnist", "test")) == 5
    assert list((nowhere / "clone" / "notebooks").iterdir()) == []


@pytest.mark.parametrize(
    "arrives", [idx((5, 28, 28), 6), idx((5, 28, 28), 7)[:-9], b"<html>"], ids=["other", "truncated", "a web page"]
)
def test_a_damaged_download_leaves_nothing_behind(published: Path, nowhere: Path, arrives: bytes) -> None:
    (published / IMAGES).write_bytes(arrives)
    with pytest.raises(ValueError, match=f"{IMAGES} arrived damaged.*sha256"):
        data.load("fashion_mnist", "test", download=True)
    assert list((nowhere / "data" / "fashion_mnist").iterdir()) == []


def test_a_refused_download_says_where_from(nowhere: Path) -> None:
    with pytest.raises(ConnectionError, match=f"refused/{IMAGES} could not be downloaded"):
        data.load("fashion_mnist", "test", download=True)


def test_a_download_that_breaks_off_is_told(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Breaking(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(fashion_mnist, "URL", f"http://127.0.0.1:{server.server_port}/")
        with pytest.raises(ConnectionError, match=r"could not be downloaded: IncompleteRead\(9 bytes read"):
            data.load("fashion_mnist", "test", download=True)
        server.shutdown()
    assert list((nowhere / "data" / "fashion_mnist").iterdir()) == []


def test_a_broken_write_leaves_no_file(published: Path, nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        data.load("fashion_mnist", "test", download=True)
    assert list((nowhere / "data" / "fashion_mnist").iterdir()) == []
