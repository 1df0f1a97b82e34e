"""Published data sets: where their files are looked for, how they are fetched, what is said when they are missing."""

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from tqdm.auto import tqdm

from cl_explore.data.dataset import Dataset

CLONE = Path(__file__).resolve().parents[2]  # notebooks run one folder below it, where ./data would be another


class Download(NamedTuple):
    """A file that its publisher, or the usual mirror, offers, and the published MD5 of it."""

    url: str
    md5: str

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


class Layout(NamedTuple):
    """One form in which a data set is published: the files of each split, and what reads them from their folder."""

    read: Callable[..., Dataset]  # read(folder, split, **options)
    files: Mapping[str, tuple[str, ...]]  # a directory counts as a file


@dataclass(frozen=True)
class Published:
    """A data set that somebody else publishes, as files in one of some layouts.

    folders: names below a data folder in which the files may lie ("" = directly in it), the first for downloads.
    elsewhere: further folders, such as those of a distribution's packages.
    downloads: for each split, the files that make the set complete. advice: how else to get it.
    licence: under which its publisher gives it, or that none is stated.
    """

    name: str
    layouts: tuple[Layout, ...]
    folders: tuple[str, ...]
    downloads: Mapping[str, tuple[Download, ...]] = field(default_factory=dict)
    elsewhere: tuple[Path, ...] = ()
    advice: str = ""
    licence: str = field(kw_only=True)

    def find(self, split: str) -> tuple[Layout, Path]:
        """The first layout that is complete and its folder; FileNotFoundError says what was looked for, and where."""
        for place in self._places():
            for layout in self.layouts:
                if all(_there(place / file) for file in layout.files[split]):
                    return layout, place
        raise FileNotFoundError(self._missing(split))

    def load(self, split: str, download: bool = False, **options: object) -> Dataset:
        """Read the split, from its publisher only if it is nowhere and `download` is set.

        Raises: FileNotFoundError if it is missing, ValueError naming the place for files that cannot be read
        """
        try:
            layout, place = self.find(split)
        except FileNotFoundError:
            if not (download and self.downloads):
                raise
            folder = _writable(self.folders[0])
            for file in self.downloads[split]:
                fetch(file, folder)
            layout, place = self.find(split)
        try:
            return layout.read(place, split, **options)
        except OSError:
            raise
        except Exception as error:  # damaged files can raise anything
            if str(place) in str(error):
                raise
            files = " and ".join(layout.files[split])
            raise ValueError(f"{self.name} cannot be read from {files} in {place}: {error}") from error

    def _places(self) -> Iterator[Path]:
        for root in roots():
            for folder in self.folders:
                yield root / folder
        yield from self.elsewhere

    def _missing(self, split: str) -> str:
        lines = [f"{self.name} ({split}) was not found; needed is one of"]
        lines += [f"  {' and '.join(layout.files[split])}" for layout in self.layouts]
        lines += ["looked in"]
        for place in self._places():
            halves = [
                f"has {' and '.join(there)} but not {' and '.join(sorted(set(files) - set(there)))}"
                for files in (layout.files[split] for layout in self.layouts)
                if (there := [file for file in files if _there(place / file)])
            ]
            lines.append(f"  {place}: {'; '.join(halves) or ('none of these' if place.is_dir() else 'no such folder')}")
        ways = [f"put them into one of these folders ({self.folders[0]!r} in ./data or in $CL_EXPLORE_DATA)"]
        if self.downloads:
            ways.append(f"allow the download: load({self.name!r}, {split!r}, download=True)")
        lines.append(f"licence: {self.licence}")
        return "\n".join([*lines, f"To get it: {'; or '.join([*ways, self.advice] if self.advice else ways)}"])


def _there(path: Path) -> bool:
    """Whether it can be read from its start to its end: a pipe would wait for somebody."""
    return path.is_file() or path.is_dir()


def roots() -> list[Path]:
    """Where users keep their data; FileNotFoundError if $CL_EXPLORE_DATA is set but is no folder."""
    root = os.environ.get("CL_EXPLORE_DATA")
    if root and not Path(root).is_dir():
        raise FileNotFoundError(f"CL_EXPLORE_DATA is {root!r}, which is not a folder: create it or unset the variable")
    found = [Path(root)] if root else []
    found.append(Path("data").absolute())
    if (CLONE / "pyproject.toml").exists():
        found.append(CLONE / "data")
    return list(dict.fromkeys(found))


def writable(folder: Path) -> bool:
    """Whether to write there: a folder marked read-only is left alone even by an administrator, who could."""
    return folder.is_dir() and bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)


def fetch(download: Download, folder: Path) -> None:
    """Download a file into a folder, whole and checked or not at all; one that is there already stays.

    Raises ConnectionError if it cannot be had, ValueError if what came is not what was published.
    """
    if (folder / download.file).exists():
        return
    # written aside and renamed, so that no half-written file ever has the final name
    aside = folder / f"{download.file}.{os.getpid()}.part"
    try:
        with aside.open("wb") as file:
            _copy(download, file)
            file.flush()
            os.fsync(file.fileno())
        if (found := _md5(aside)) != download.md5:
            arrived = f"{aside.stat().st_size} bytes have md5 {found}, needed is {download.md5}"
            raise ValueError(f"{download.url} arrived damaged: {arrived}")
        aside.replace(folder / download.file)
    finally:
        aside.unlink(missing_ok=True)


def check_md5(path: Path, md5: str) -> None:
    """ValueError if the file is not what was published."""
    if (found := _md5(path)) != md5:
        raise ValueError(
            f"{path} is damaged or half written: its md5 is {found}, needed is {md5}; delete the file and get it again"
        )


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy(download: Download, file: BinaryIO) -> None:
    try:
        with urllib.request.urlopen(download.url, timeout=60) as response:
            total = int(response.headers.get("Content-Length") or 0)
            with tqdm.wrapattr(file, "write", total=total or None, desc=download.file) as out:
                shutil.copyfileobj(response, out, 2**20)
        if file.tell() < total:
            raise ConnectionError(f"it broke off after {file.tell()} of {total} bytes")
    except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise ConnectionError(f"{download.url} could not be downloaded: {error}") from error


def _writable(folder: str) -> Path:
    candidates = sorted(roots(), key=lambda root: not root.is_dir())  # rather one that is there
    for root in candidates:
        if root.is_dir() and not writable(root):
            continue
        try:
            (root / folder).mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if writable(root / folder):
            return root / folder
    raise PermissionError(f"no folder to download into: {' and '.join(map(str, candidates))} cannot be written")
