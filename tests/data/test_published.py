"""Published data sets: found where they should be, fetched only when asked, whole and checked or not at all."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cl_explore.data import Dataset, Published
from cl_explore.data.published import Download, Layout, fetch


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def read(folder: Path, split: str) -> Dataset:
    x = torch.tensor([[float(len((folder / f"{split}.bin").read_bytes()))]])
    return Dataset("lengths", x, torch.tensor([0]), torch.tensor([0]), ("all",))


FILES = {"train": ("train.bin", "names.txt"), "test": ("test.bin",)}
LENGTHS = Published("lengths", (Layout(read, FILES),), folders=("lengths", ""), advice="ask a friend", licence="free")


def offered(publisher: tuple[Path, str], content: bytes = b"four") -> Published:
    folder, url = publisher
    (folder / "test.bin").write_bytes(content)
    downloads = {"test": (Download(f"{url}test.bin", md5(b"four")),)}
    return replace(LENGTHS, downloads=downloads, advice="")


def test_what_is_missing_is_told_with_all_places_and_ways(own: Path, publisher: tuple[Path, str]) -> None:
    (own / "lengths").mkdir()
    (own / "lengths" / "train.bin").touch()
    with pytest.raises(FileNotFoundError) as caught:
        LENGTHS.load("train")
    message = str(caught.value)
    assert message.startswith("lengths (train) was not found; needed is one of\n  train.bin and names.txt\nlooked in\n")
    assert f"{own / 'lengths'}: has train.bin but not names.txt" in message
    assert f"{own}: none of these" in message
    assert "data/lengths: no such folder" in message
    assert "\nlicence: free\nTo get it: " in message
    assert message.endswith("('lengths' in ./data or in $CL_EXPLORE_DATA); or ask a friend")
    with pytest.raises(FileNotFoundError, match=r"load\('lengths', 'test', download=True\)"):
        offered(publisher).load("test")
    with pytest.raises(FileNotFoundError, match="ask a friend"):
        LENGTHS.load("test", download=True)


def test_a_data_folder_that_does_not_exist_is_named(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "typo"))
    with pytest.raises(FileNotFoundError, match=r"CL_EXPLORE_DATA is '.*typo', which is not a folder"):
        LENGTHS.find("train")


def test_own_folders_come_first(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = replace(LENGTHS, elsewhere=(nowhere / "debian",))
    (nowhere / "clone").mkdir()
    (nowhere / "clone" / "pyproject.toml").touch()
    for size, place in enumerate(("debian", "clone/data", "data", "data/lengths", "own")):
        (nowhere / place).mkdir(parents=True)
        (nowhere / place / "test.bin").write_bytes(bytes(size))
        if place == "own":
            monkeypatch.setenv("CL_EXPLORE_DATA", str(nowhere / "own"))
        assert elsewhere.load("test").x == size


def test_download_only_when_asked_and_once(nowhere: Path, publisher: tuple[Path, str]) -> None:
    lengths = offered(publisher)
    with pytest.raises(FileNotFoundError):
        lengths.load("test")
    assert lengths.load("test", download=True).x == 4
    assert [str(file) for file in Path("data").rglob("*.*")] == ["data/lengths/test.bin"]
    (publisher[0] / "test.bin").unlink()
    assert lengths.load("test", download=True).x == 4


def test_download_goes_to_the_data_folder_that_is_there(publisher: tuple[Path, str], nowhere: Path) -> None:
    (nowhere / "clone" / "data").mkdir(parents=True)
    (nowhere / "clone" / "pyproject.toml").touch()
    offered(publisher).load("test", download=True)
    assert (nowhere / "clone" / "data" / "lengths" / "test.bin").exists()
    assert not (nowhere / "data").exists()


def test_download_leaves_a_folder_marked_read_only_alone(publisher: tuple[Path, str], own: Path) -> None:
    own.chmod(0o555)
    offered(publisher).load("test", download=True)
    own.chmod(0o755)
    assert list(own.iterdir()) == []
    assert Path("data/lengths/test.bin").exists()


@pytest.mark.parametrize("arrives", [b"fivex", b"fou", b"<html>no</html>", b""])
def test_a_damaged_download_leaves_nothing_behind(publisher: tuple[Path, str], own: Path, arrives: bytes) -> None:
    with pytest.raises(ValueError, match=f"test.bin arrived damaged: {len(arrives)} bytes have md5 {md5(arrives)}"):
        offered(publisher, arrives).load("test", download=True)
    assert list((own / "lengths").iterdir()) == []


def test_a_download_that_breaks_off_is_told(publisher: tuple[Path, str], nowhere: Path) -> None:
    with pytest.raises(ConnectionError, match=r"could not be downloaded: it broke off after 9 of 1000 bytes"):
        fetch(Download(f"{publisher[1]}broken.bin", md5(b"only this")), nowhere)
    assert not list(nowhere.glob("broken*"))


def test_a_refused_download_says_where_from(publisher: tuple[Path, str], nowhere: Path) -> None:
    with pytest.raises(ConnectionError, match=r"absent.bin could not be downloaded: HTTP Error 404"):
        fetch(Download(f"{publisher[1]}absent.bin", ""), nowhere)
    assert not list(nowhere.glob("absent*"))


def test_a_broken_write_leaves_no_file(publisher: tuple[Path, str], own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("cl_explore.data.published.os.fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        offered(publisher).load("test", download=True)
    assert list((own / "lengths").iterdir()) == []


def test_whatever_damaged_files_raise_names_them(own: Path) -> None:
    def broken(folder: Path, split: str) -> Dataset:
        raise KeyError("n01")

    (own / "test.bin").touch()
    lengths = Published("lengths", (Layout(broken, FILES),), folders=("",), licence="free")
    with pytest.raises(ValueError, match=rf"lengths cannot be read from test.bin in {own}: 'n01'"):
        lengths.load("test")
