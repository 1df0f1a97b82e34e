"""One rule for names, whatever holds them: a folder, a tar or a zip gives what it unpacks to."""

import io
import os
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cl_explore.data import archives, decoded, from_folder
from cl_explore.data.archives import tidy, visible

Picture = Callable[..., bytes]
Members = list[tuple[str, "bytes | str"]]  # a text is what a link leads to
Given = list[tuple[str, "int | str"]]  # a number is the grey level of an image
HIDDEN = (".ipynb_checkpoints", ".Trash-1000/files", "cat/.thumbnails", "__MACOSX/cat", "@eaDir", "lost+found")


def write_tar(file: Path, members: Members, hard: bool = False) -> Path:
    with tarfile.open(file, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return file


def write_zip(file: Path, members: Members) -> Path:
    with zipfile.ZipFile(file, "w") as out:
        for name, content in members:
            entry = zipfile.ZipInfo(name)
            if isinstance(content, str):
                entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            out.writestr(entry, content)
    return file


WRITE = {"tar": write_tar, "zip": write_zip}


def drawn(given: Given, picture: Picture) -> Members:
    return [(name, picture(content) if isinstance(content, int) else content) for name, content in given]


def seen(path: Path, **options: object) -> dict[int, str | None]:
    """The grey level of each image, and its class."""
    read = from_folder(path, **options)
    names = [read.class_names[label] if label >= 0 else None for label in read.labels.tolist()]
    return dict(zip(read.x.float().mean((1, 2, 3)).round().int().tolist(), names, strict=True))


def test_tidy_names() -> None:
    names = ("./cat/0.png", "cat\\0.png", "/cat//0.png", "cat/./0.png", "x/../cat/0.png")
    assert {tidy(name) for name in names} == {"cat/0.png"}
    assert visible("../cat/0.png")
    for name in (".git/0.png", "cat/.0.png", "__MACOSX/cat/0.png", "@eaDir/0.png", "a/lost+found/0.png"):
        assert not visible(name)


E, E_TOO = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
PLAIN = [("cat/0.png", 1), ("dog/0.png", 2)]
READ = {1: "cat", 2: "dog"}
CASES: dict[str, tuple[Given, dict[int, str | None]]] = {
    "a leading dot": ([("./cat/0.png", 1), ("./dog/0.png", 2)], READ),
    "a leading slash": ([("/data/cat/0.png", 1), ("/data/dog/0.png", 2)], READ),
    "backslashes": ([("cat\\0.png", 1), ("dog\\0.png", 2)], READ),
    "a drive": ([("C:\\pets\\cat\\0.png", 1), ("C:\\pets\\dog\\0.png", 2)], READ),
    "one class": ([("cat/0.png", 1), ("cat/1.png", 2)], {1: "cat", 2: "cat"}),
    "a top": ([("top/cat/0.png", 1), ("top/dog/0.png", 2), ("top/x.png", 3)], READ | {3: None}),
    "a name twice": ([*PLAIN, ("./cat//0.png", 3)], {2: "dog", 3: "cat"}),
    "a link": ([("cat/0.png", 1), ("dog/0.png", "../rest/x.bin"), ("rest/x.bin", 2)], READ),
    "a chain": ([("a/0.png", "1.bin"), ("a/1.bin", "../b/x"), ("b/x", 7)], {7: "a"}),
    "hidden": ([*PLAIN, *((f"{name}/1.png", 0) for name in HIDDEN), ("cat/.DS_Store", 0), ("cat/Thumbs.db", 0)], READ),
    "a dangling link of no image": ([*PLAIN, ("cat/README", "gone")], READ),
    "links to the own folder": ([*PLAIN, ("cat/self", "."), ("dog/up", "..")], READ),
    "accents in two forms": ([(f"{E}/0.png", 1), (f"{E_TOO}/1.png", 2), ("b/0.png", 3)], {1: E, 2: E, 3: "b"}),
    "odd names": ([("a\nb/0\n.png", 1), (f"c/{'x' * 200}.PNG", 2)], {1: "a\nb", 2: "c"}),
}


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("case", CASES)
def test_an_archive_gives_what_it_unpacks_to(case: str, kind: str, nowhere: Path, picture: Picture) -> None:
    given, right = CASES[case]
    assert seen(WRITE[kind](nowhere / f"pets.{kind}", drawn(given, picture))) == right


REFUSED: dict[str, tuple[Given, str]] = {
    "out of it": ([("../cat/0.png", 1)], r"\.\./cat/0\.png in .* leads out of the archive"),
    "a link out of it": ([("cat/0.png", "../../etc/x.png")], r"cat/0.png in .* leads out of the archive"),
    "an absolute link": ([("cat/0.png", "/etc/x.png")], r"cat/0.png in .* leads out of the archive"),
    "a link to nothing": ([("a/0.png", "gone.png"), ("a/1.png", 1)], r"a/0.png in .* is no plain file"),
    "a link to itself": ([("a/0.png", "0.png")], r"a/0.png in .* is no plain file"),
    "a circle": ([("a/0.png", "1.png"), ("a/1.png", "0.png")], r"a/0.png in .* is no plain file"),
    "a link to a folder": ([("a/0.png", 1), ("b", "a")], r"b in .* is a link to a folder of images: unpack"),
    "a photograph": ([("a/0.png", 1), ("a/1.HEIC", 2)], r"a/1.HEIC would be missing, as .heic is not read"),
    "too large": ([("a/0.png", 1)], r"0.png takes \d+ bytes, more than any image"),
}


@pytest.mark.parametrize("kind", WRITE)
@pytest.mark.parametrize("case", REFUSED)
def test_what_an_archive_does_not_hold_is_refused(
    case: str, kind: str, nowhere: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "LARGEST", 10 if case == "too large" else 2**20)
    given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        from_folder(WRITE[kind](nowhere / f"pets.{kind}", drawn(given, picture)))


def test_hard_links_count_from_the_top(nowhere: Path, picture: Picture) -> None:
    members = [("pets/cat/0.png", picture(1)), ("pets/dog/0.png", "pets/cat/0.png")]
    read = from_folder(write_tar(nowhere / "pets.tar", members, hard=True))
    assert (read.labels.tolist(), read.x.unique().tolist()) == ([0, 1], [1])


def test_a_part_is_a_folder_not_the_front_of_a_name(nowhere: Path, picture: Picture) -> None:
    members = [("top/a/0.png", picture(1)), ("top/ab/0.png", picture(2))]
    for kind, write in WRITE.items():
        path = write(nowhere / f"pets.{kind}", members)
        assert seen(path, inside="top/a") == {1: None}
        assert seen(path, inside="top/") == {1: "a", 2: "ab"}
        assert seen(path, class_names=["x", "top"]) == {1: "top", 2: "top"}, "a class that is known counts"
        with pytest.raises(FileNotFoundError, match="holds no images"):
            from_folder(path, inside="to")


def test_a_tar_without_its_end_is_half_written(nowhere: Path, picture: Picture) -> None:
    file = write_tar(nowhere / "pets.tar", [("cat/0.png", picture(1)), ("dog/0.png", picture(2))])
    whole = file.read_bytes()
    for end in (1024, 2048, len(whole.rstrip(b"\0"))):
        file.write_bytes(whole[:end])
        with pytest.raises(ValueError, match=r"pets.tar is damaged or half written"):
            from_folder(file)
    damaged = bytearray(whole)
    damaged[1024 + 3] ^= 1  # in the header of the second, where tarfile takes the first for all
    file.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"pets.tar is damaged or half written"):
        from_folder(file)


def test_a_damaged_name_in_a_zip_does_not_hide_an_image(nowhere: Path, picture: Picture) -> None:
    file = write_zip(nowhere / "pets.zip", [("cat/0.png", picture(1)), ("dog/0.png", picture(2))])
    front, _, back = file.read_bytes().rpartition(b"dog/0.png")
    file.write_bytes(front + b"dog/0.pnf" + back)
    with pytest.raises(ValueError, match=r"pets.zip is damaged.*0.pnf"):
        from_folder(file)


@pytest.fixture
def pets(nowhere: Path, picture: Picture) -> Path:
    for value, name in enumerate(("cat", "dog"), start=1):
        (nowhere / "pets" / name).mkdir(parents=True)
        (nowhere / "pets" / name / "0.png").write_bytes(picture(value))
    return nowhere / "pets"


def test_hidden_folders_are_no_classes(pets: Path) -> None:
    for name in HIDDEN:
        (pets / name).mkdir(parents=True)
        (pets / name / "0.png").write_bytes(b"x")
    assert seen(pets) == {1: "cat", 2: "dog"}
    assert archives.class_folders(pets) == ["cat", "dog"]


def test_what_is_no_image_is_not_looked_at(pets: Path) -> None:
    first = from_folder(pets)
    os.symlink("someone@host.4711", pets / "cat/.#notes.txt")
    os.symlink("../gone/README", pets / "README")
    os.symlink(".", pets / "cat/self")
    os.symlink("..", pets / "cat/up")
    os.symlink("loop", pets / "loop")
    (pets / "cat/notes.txt").write_text("as they are")
    assert from_folder(pets).fingerprint() == first.fingerprint()
    assert len(list(decoded.cache().glob("pets-*/images.npy"))) == 1


def test_names_in_any_bytes_are_read(pets: Path, picture: Picture) -> None:
    long = b"/cat/" + b"x" * 240 + b".png"
    for value, place in enumerate((b"/cat/caf\xe9.png", b"/caf\xe9/0.png", b"/cat/a\nb.png", long), start=3):
        file = Path(os.fsdecode(os.fsencode(pets) + place))
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture(value))
    for value, name in enumerate((E, E_TOO), start=7):
        (pets / name).mkdir()
        (pets / name / "0.png").write_bytes(picture(value))
        (pets / "dog" / f"{name}.png").write_bytes(picture(value + 10))
    right = {1: "cat", 2: "dog", 3: "cat", 4: "caf\\xe9", 5: "cat", 6: "cat", 7: E, 8: E, 17: "dog", 18: "dog"}
    assert seen(pets) == right
    assert seen(pets, class_names=["cat", "dog", "caf\\xe9", E_TOO])[7] == E_TOO


def test_links_and_odd_files_that_are_called_images_are_named(pets: Path) -> None:
    for make, message in (
        (lambda file: os.symlink("gone.png", file), "dog/1.png in .* is a link to nothing"),
        (lambda file: os.symlink("1.png", file), "dog/1.png in .* is a link to nothing"),
        (os.mkfifo, "dog/1.png in .* is no plain file"),
        (lambda file: file.with_suffix(".heic").write_bytes(b""), "dog/1.heic would be missing"),
        (lambda file: (pets / "dog\\0.png").write_bytes(b""), r"count as one name: rename one"),
    ):
        make(pets / "dog/1.png")
        with pytest.raises(ValueError, match=message):
            from_folder(pets)
        (pets / "dog/1.png").unlink(missing_ok=True)
        (pets / "dog/1.heic").unlink(missing_ok=True)


def test_a_folder_that_cannot_be_listed_does_not_vanish(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refusing(path: Path) -> object:
        if str(path).endswith("cat"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(archives.os, "scandir", refusing)
    with pytest.raises(PermissionError, match="pets/cat"):
        from_folder(pets)
