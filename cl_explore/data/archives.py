"""Where images lie, in a folder, a tar or a zip: one rule for their names, and one list of them for any wrapping."""

import hashlib
import os
import posixpath
import stat
import tarfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, NamedTuple

from cl_explore.data.decoded import Open, Pictures
from cl_explore.data.pixels import SUFFIXES, UNREAD, opened

HIDDEN = ("$RECYCLE.BIN", "@eaDir", "System Volume Information", "__MACOSX", "lost+found")
"""What systems leave among files, beside all whose names begin with a dot."""
LARGEST = 2**29
"""Bytes of the largest file that is taken for an image."""


class Member(NamedTuple):
    """A file of an archive: its name there, which member holds its contents, and where it leads if it is a link."""

    name: str
    place: int | None
    link: str | None = None


def pictures_in(path: Path, inside: str = "") -> Pictures:
    """The images of a folder, a tar or a zip, below `inside`, by their paths with forward slashes.

    An archive holds what it unpacks to: of members of one name the last, and what its links lead to. Hidden files
    and folders are left out.

    Raises: OSError for a folder that cannot be listed, ValueError for an image that is no plain file
    """
    where, within = str(path), tidy(inside) if inside else "."
    if path.is_dir():
        place = path / within
        raw, marks = _listed(place)
        version = "\n".join(f"{name}\0{mark}" for name, mark in marks.items())

        def read(wanted: Collection[str]) -> Iterator[tuple[str, Open]]:
            for name in wanted:
                yield name, partial(opened, place / raw[name])

        return Pictures(str(place), os.path.realpath(place), _digest(version), lambda: marks, read)
    with _whole(path):  # what is a tar may hold a zip at its end, and is then both
        as_tar = tarfile.is_tarfile(path) or not zipfile.is_zipfile(path)
    version = _mark(path.stat())

    def list_archive() -> dict[str, str]:
        with _whole(path):
            return dict.fromkeys(sorted(_held(path, as_tar, within)), version)

    def read_archive(wanted: Collection[str]) -> Iterator[tuple[str, Open]]:
        with _whole(path):
            held = _held(path, as_tar, within)
            yield from (_read_tar if as_tar else _read_zip)(path, {name: held[name] for name in wanted})

    return Pictures(where, f"{os.path.realpath(path)}\0{within}", _digest(version), list_archive, read_archive)


def tidy(name: str) -> str:
    """A name with forward slashes alone, and no dots, twins or slash at its front: `./cat\\0.png` is `cat/0.png`."""
    return posixpath.normpath(name.replace("\\", "/").lstrip("/"))


def shown(name: str) -> str:
    """A name that can be printed: bytes that are no UTF-8 become escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def visible(name: str) -> bool:
    """Whether no folder of a tidy name, nor the file, is hidden."""
    return not any((part[0] == "." and part != "..") or part in HIDDEN for part in name.split("/"))


def class_folders(path: Path) -> list[str]:
    """The names of the folders in a folder, sorted, without hidden ones."""
    return sorted(entry.name for entry in path.iterdir() if entry.is_dir() and visible(entry.name))


def _is_image(name: str) -> bool:
    if (suffix := posixpath.splitext(name)[1].lower()) in UNREAD:
        raise ValueError(f"{shown(name)} would be missing, as {suffix} is not read: convert it to PNG or JPEG")
    return suffix in SUFFIXES


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _mark(about: os.stat_result) -> str:
    """What changes whenever a file does."""
    return f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns}"


def _listed(root: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The images below a folder, by their tidy names: the names as they are, and their marks."""
    raw: dict[str, str] = {}
    marks: dict[str, str] = {}
    for name, about in sorted(_walk(root), key=lambda found: tidy(found[0])):
        if (known := tidy(name)) in raw:
            raise ValueError(f"{shown(name)} and {shown(raw[known])} in {root} count as one name: rename one of them")
        raw[known], marks[known] = name, _mark(about)
    return raw, marks


def _walk(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """The images below a folder, also below links, but for links to a folder that they lie in."""
    folders = [("", root, frozenset[tuple[int, int]]())]
    while folders:
        within, folder, above = folders.pop()
        about = os.stat(folder)
        here = above | {(about.st_dev, about.st_ino)}
        with os.scandir(folder) as entries:
            for entry in entries:
                name = within + entry.name
                if not visible(entry.name):
                    continue
                try:
                    about = os.stat(entry.path)
                except PermissionError:
                    raise
                except OSError as error:
                    if _is_image(name):
                        raise ValueError(f"{shown(name)} in {root} is a link to nothing: remove or mend it") from error
                    continue
                if stat.S_ISDIR(about.st_mode):
                    if (about.st_dev, about.st_ino) not in here:
                        folders.append((f"{name}/", Path(entry.path), here))
                elif _is_image(name):
                    if not stat.S_ISREG(about.st_mode):
                        raise ValueError(f"{shown(name)} in {root} is no plain file: remove it")
                    yield name, about


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turns the many errors of damaged archives into one that names the archive."""
    try:
        yield
    except Exception as error:
        if str(path) in str(error):
            raise
        raise ValueError(f"{path} is damaged or half written ({error}): get it again") from error


def _held(path: Path, as_tar: bool, within: str) -> dict[str, int]:
    """The images of an archive below `within`, and which member holds the contents of each."""
    held: dict[str, int | str | None] = {}
    for raw, place, link in (_list_tar if as_tar else _list_zip)(path):
        held[tidy(raw)] = place if link is None else tidy(link)  # the last of a name counts
    below = "" if within == "." else f"{within}/"
    names = [name for name in held if name.startswith(below) and visible(name)]
    images = {name: _place(held, name, path) for name in names if _is_image(name)}
    folders = {str(parent) for name in images for parent in _parents(name)}
    for name in names:
        target = held[name]
        if isinstance(target, str) and target in folders and not f"{name}/".startswith(f"{target}/"):
            raise ValueError(f"{shown(name)} in {path} is a link to a folder of images: unpack the archive")
    return {name.removeprefix(below): place for name, place in images.items()}


def _parents(name: str) -> Iterator[str]:
    while name := posixpath.dirname(name):
        yield name


def _place(held: dict[str, int | str | None], name: str, path: Path) -> int:
    """Which member holds the contents of a file, at the end of its links."""
    seen, at = set(), name
    while isinstance(target := held.get(at), str) and at not in seen:
        seen.add(at)
        at = target
    if not isinstance(target, int) or name.split("/")[0] == "..":
        leads = "leads out of the archive" if at.split("/")[0] == ".." else "is no plain file, nor a link to one"
        raise ValueError(f"{shown(name)} in {path} {leads}: remove it, or get the archive again")
    return target


class _Strict(tarfile.TarInfo):
    """Refuses an archive that does not end with the mark of its end, where `tarfile` takes what came before for all."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_Strict":
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the mark
                raise
            raise tarfile.ReadError(f"no whole archive: {error}") from error


def _tar(path: Path) -> tarfile.TarFile:
    return tarfile.open(path, tarinfo=_Strict)


def _list_tar(path: Path) -> Iterator[Member]:
    with _tar(path) as tar:
        for entry in tar:
            if entry.issym():  # counts from the folder of the link
                outside = entry.linkname.startswith("/")
                target = ".." if outside else posixpath.join(posixpath.dirname(entry.name), entry.linkname)
                yield Member(entry.name, None, target)
            elif entry.islnk():
                yield Member(entry.name, None, entry.linkname)
            elif not entry.isdir():
                yield Member(entry.name, entry.offset if entry.isfile() else None)
        while tar.fileobj is not None and tar.fileobj.read(2**20):  # what packs it has its check sum at its end
            pass


def _read_tar(path: Path, wanted: dict[str, int]) -> Iterator[tuple[str, Open]]:
    names: dict[int, list[str]] = {}
    for name, place in wanted.items():
        names.setdefault(place, []).append(name)
    with _tar(path) as tar:
        for entry in tar:
            if entry.offset in names and (content := tar.extractfile(entry)) is not None:
                image = _content(content, entry.size, entry.name)
                yield from ((name, partial(opened, BytesIO(image))) for name in names[entry.offset])


def _list_zip(path: Path) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for place, entry in enumerate(archive.infolist()):
            if entry.filename.endswith(("/", "\\")):
                continue
            if stat.S_ISLNK(entry.external_attr >> 16):
                target = archive.read(entry).decode()
                outside = target.startswith("/")
                link = ".." if outside else posixpath.join(posixpath.dirname(entry.filename), target)
                yield Member(entry.filename, None, link)
            else:
                if posixpath.splitext(entry.filename)[1].lower() not in SUFFIXES:
                    with suppress(RuntimeError), archive.open(entry):
                        pass  # compares both names that an archive has of it, lest damage hides an image
                yield Member(entry.filename, place)


def _read_zip(path: Path, wanted: dict[str, int]) -> Iterator[tuple[str, Open]]:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for name, place in wanted.items():
            entry = entries[place]
            with archive.open(entry) as content:
                yield name, partial(opened, BytesIO(_content(content, entry.file_size, entry.filename)))


def _content(file: IO[Any], size: int, name: str) -> bytes:
    if size > LARGEST:
        raise ValueError(f"{shown(name)} takes {size} bytes, more than any image")
    return file.read()
