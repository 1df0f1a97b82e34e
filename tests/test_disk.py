"""Where files are kept and how they get onto the disk, on the systems that differ."""

import os
from pathlib import Path

import pytest

from cl_explore import data, disk
from cl_explore.data import decoded
from cl_explore.train import store


@pytest.fixture
def homeless(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", home)
    for name in ("HOME", "XDG_CACHE_HOME", "CL_EXPLORE_RUNS", "CL_EXPLORE_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("CL_EXPLORE_RUNS", lambda: store.folder(True, {}).parent),
        ("XDG_CACHE_HOME", lambda: store.folder(True, {}).parents[2]),
        ("CL_EXPLORE_DATA", lambda: decoded.cache().parent),
        ("XDG_CACHE_HOME", lambda: decoded.cache().parents[1]),
    ],
)
def test_no_home_is_needed_where_a_variable_names_a_folder(homeless, monkeypatch, tmp_path, name, place):
    monkeypatch.setenv(name, str(tmp_path))
    assert place() == tmp_path
    assert len(data.load("digits")) == 1437


def test_without_home_or_variable_the_error_names_the_variable(homeless):
    with pytest.raises(PermissionError, match="there is no home folder: name another folder in XDG_CACHE_HOME"):
        store.folder(True, {})


def test_files_and_folders_are_flushed_as_far_as_windows_lets_them_be(monkeypatch, tmp_path):
    """Windows opens no folder, and flushes no handle that is for reading alone."""
    opened, really = [], os.open

    def as_windows(path, flags, *more, **named):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", str(path))
        assert flags & os.O_RDWR
        opened.append(Path(path).name)
        return really(path, flags, *more, **named)

    (tmp_path / "file").write_text("text", encoding="utf-8")
    disk.flush(tmp_path)
    monkeypatch.setattr(os, "open", as_windows)
    disk.flush(tmp_path)
    disk.flush(tmp_path / "file")
    assert opened == ["file"]
    with pytest.raises(FileNotFoundError):
        disk.flush(tmp_path / "missing")
