"""Image folders and archives: one data set whatever the wrapping, decoded once, whole or not at all."""

import io
import os
import shutil
import tarfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from cl_explore.data import decoded, folder, from_folder

Picture = Callable[..., bytes]


@pytest.fixture
def pets(nowhere: Path, picture: Picture) -> Path:
    """Three cats and two dogs; the cat 10.png is written before 2.png."""
    files = {"dog/b.JPG": 50, "cat/10.png": 10, "cat/2.png": 20, "cat/deep/1.png": 30, "dog/a.jpeg": 40}
    root = nowhere / "pets"
    for name, value in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(value, kind="png" if name.endswith("png") else "jpeg"))
    (root / "cat" / "._2.png").write_bytes(b"a note that some systems leave")
    (root / "README.txt").write_text("no image")
    return root


def packed(root: Path, kind: str) -> Path:
    archive = root.parent / f"pets.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as out:
            for file in root.rglob("*"):
                out.write(file, Path("top/train") / file.relative_to(root))
    else:
        with tarfile.open(archive, f"w:{kind.rpartition('.')[2]}") as out:
            out.add(root, "top/train")
    return archive


def values(x: torch.Tensor) -> list[int]:
    return x.float().mean((1, 2, 3)).round().int().tolist()


def test_class_folders_become_labels_and_files_keep_their_order(pets: Path) -> None:
    read = from_folder(pets)
    assert read.name == "pets"
    assert read.class_names == ("cat", "dog")
    assert read.x.shape == (5, 3, 8, 8)
    assert read.x.dtype == torch.uint8
    assert values(read.x) == [10, 20, 30, 40, 50]
    assert read.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_an_archive_reads_like_its_folder(pets: Path, kind: str) -> None:
    archive = packed(pets, kind)
    assert from_folder(archive).fingerprint() == from_folder(pets).fingerprint()
    assert from_folder(archive).class_names == ("cat", "dog")
    assert from_folder(archive, inside="top/train/cat").labels.tolist() == [-1, -1, 0], "deep is a class of its own"


def test_decoded_once_and_again_only_if_the_source_changed(
    pets: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = from_folder(pets)
    decode = decoded._decode

    def must_not(*_: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(decoded, "_decode", must_not)
    assert from_folder(pets).fingerprint() == first.fingerprint()
    monkeypatch.setattr(decoded, "_decode", decode)
    (pets / "cat" / "2.png").write_bytes(picture(99, kind="jpeg"))
    assert values(from_folder(pets).x) == [10, 99, 30, 40, 50]


def test_decoded_images_can_be_changed_without_changing_the_cache(pets: Path) -> None:
    from_folder(pets).x.zero_()
    assert values(from_folder(pets).x) == [10, 20, 30, 40, 50]


def test_the_cache_is_beside_the_own_data_if_that_can_be_written(pets: Path, own: Path) -> None:
    from_folder(pets)
    assert len(list((own / "decoded").glob("pets-*/images.npy"))) == 1
    assert not (pets.parent / "cache").exists()


def test_a_data_folder_marked_read_only_is_left_alone_even_by_root(pets: Path, own: Path) -> None:
    own.chmod(0o555)
    from_folder(pets)
    own.chmod(0o755)
    assert list(own.iterdir()) == []
    assert len(list((pets.parent / "cache" / "cl_explore" / "decoded").glob("pets-*/images.npy"))) == 1


def test_an_interrupted_decoding_goes_on_where_it_stopped(
    pets: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoded, "CHUNK", 2)
    pixels, opened = decoded._pixels, []

    def interrupted(opener: decoded.Open, name: str, *rest: int) -> object:
        opened.append(name)
        if len(opened) > 4:  # the first is opened twice, for its shape
            raise KeyboardInterrupt
        return pixels(opener, name, *rest)

    monkeypatch.setattr(decoded, "_pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        from_folder(pets)
    assert not list(decoded.cache().glob("*/names.json")), "half of it must not look like all of it"
    monkeypatch.setattr(decoded, "_pixels", lambda o, name, *rest: opened.append(name) or pixels(o, name, *rest))
    opened.clear()
    assert values(from_folder(pets).x) == [10, 20, 30, 40, 50]
    assert opened[1:] == ["cat/deep/1.png", "dog/a.jpeg", "dog/b.JPG"]
    assert not list(decoded.cache().glob("*.part"))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all images that are decoded from now on."""
    pixels, names = decoded._pixels, []
    monkeypatch.setattr(decoded, "_pixels", lambda o, name, *rest: names.append(name) or pixels(o, name, *rest))
    return names


def test_only_what_changed_is_decoded_again(pets: Path, picture: Picture, opened: list[str]) -> None:
    from_folder(pets)
    opened.clear()
    (pets / "README.txt").write_text("of no account")
    (pets / "cat" / "2.png").unlink()
    assert values(from_folder(pets).x) == [10, 30, 40, 50]
    assert opened == []
    (pets / "cat" / "2.png").write_bytes(picture(21))
    (pets / "dog" / "a.jpeg").write_bytes(picture(41))
    assert values(from_folder(pets).x) == [10, 21, 30, 41, 50]
    assert set(opened) == {"cat/2.png", "dog/a.jpeg"}
    assert len(list(decoded.cache().glob("pets-*/images.npy"))) == 1, "earlier versions are gone"
    for file in pets.rglob("*.*"):
        if file.is_file():
            file.write_bytes(picture(7, 4, 4))
    assert from_folder(pets).x.shape == (5, 3, 4, 4), "those of another size are not used"


def test_a_damaged_image_costs_no_other(pets: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded, "CHUNK", 2)
    (pets / "dog" / "b.JPG").write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"b.JPG cannot be read"):
        from_folder(pets)
    (pets / "dog" / "b.JPG").unlink()
    opened.clear()
    assert values(from_folder(pets).x) == [10, 20, 30, 40]
    assert opened == []
    assert not list(decoded.cache().glob("*.part")), "what was begun is gone too"


def test_sizes_and_sources_of_one_name_are_apart(pets: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, calls = decoded._pixels, []

    def interrupted(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return pixels(*arguments)

    monkeypatch.setattr(decoded, "CHUNK", 1)
    monkeypatch.setattr(decoded, "_pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        from_folder(pets, size=4)
    monkeypatch.setattr(decoded, "_pixels", pixels)
    assert values(from_folder(pets, size=6).x) == [10, 20, 30, 40, 50]
    twin = pets.parent / "other" / "pets"
    for place, value in ((pets / "a", 1), (twin / "a", 2)):
        place.mkdir(parents=True)
        (place / "0.bmp").write_bytes(picture(value, kind="bmp"))
        os.utime(place / "0.bmp", ns=(0, 0))  # as reproducible archives unpack
    shutil.rmtree(pets / "cat")
    shutil.rmtree(pets / "dog")
    assert (values(from_folder(pets).x), values(from_folder(twin).x)) == ([1], [2])


def test_two_at_once_decode_once(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, calls = decoded._decode, []

    def slow(*arguments: object) -> None:
        calls.append(arguments)
        time.sleep(0.1)
        decode(*arguments)

    monkeypatch.setattr(decoded, "_decode", slow)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(from_folder, [pets, pets])
    assert len(calls) == 1
    assert first.fingerprint() == second.fingerprint()


def test_the_test_part_counts_classes_like_the_training_part(pets: Path) -> None:
    shutil.copytree(pets, pets.parent / "test", ignore=shutil.ignore_patterns("cat"))
    train = from_folder(pets)
    assert from_folder(pets.parent / "test", class_names=train.class_names).labels.tolist() == [1, 1]
    with pytest.raises(ValueError, match=r"class_names must hold every class folder.*but dog is missing"):
        from_folder(pets, class_names=["cat"])


def test_images_outside_class_folders_are_unlabelled(pets: Path) -> None:
    read = from_folder(pets / "dog")
    assert read.labels.tolist() == [-1, -1]
    assert read.class_names == ()


def test_size_keeps_the_middle_square_and_grey_one_channel(nowhere: Path, picture: Picture) -> None:
    from PIL import Image

    (nowhere / "mixed" / "a").mkdir(parents=True)
    wide = Image.new("RGB", (40, 20), (255, 0, 0))
    wide.paste((0, 0, 255), (10, 0, 30, 20))  # the middle square is blue
    wide.save(nowhere / "mixed" / "a" / "0.png")
    (nowhere / "mixed" / "a" / "1.png").write_bytes(picture(7, 5, 9, mode="L"))
    read = from_folder(nowhere / "mixed", size=10)
    assert read.x.shape == (2, 3, 10, 10)
    assert read.x[0].float().mean((1, 2))[1:].tolist() == [0, pytest.approx(255, abs=12)]
    assert (read.x[1] == 7).all()
    assert from_folder(nowhere / "mixed", size=10, channels=1).x.shape == (2, 1, 10, 10)
    with pytest.raises(ValueError, match=r"images must have one size, got \(20, 40\) and \(9, 5\) \(a/1.png in.*size="):
        from_folder(nowhere / "mixed")


def test_a_damaged_image_is_named(pets: Path, picture: Picture) -> None:
    (pets / "cat" / "2.png").write_bytes(picture(3, 64, 64, kind="jpeg")[:300])
    with pytest.raises(ValueError, match=r"cat/2.png cannot be read .*[Tt]runcated.*delete this image or get it again"):
        from_folder(pets)
    (pets / "cat" / "2.png").write_text("<html>")
    with pytest.raises(ValueError, match=r"cat/2.png cannot be read \(cannot identify"):
        from_folder(pets)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "zip"])
def test_a_truncated_archive_is_named(pets: Path, kind: str) -> None:
    archive = packed(pets, kind)
    archive.write_bytes(archive.read_bytes()[:-150])
    with pytest.raises(ValueError, match=rf"pets.{kind} is damaged or half written"):
        from_folder(archive)


def test_what_is_not_there_is_told(pets: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"path must be a folder or an archive of images.*absent does not"):
        from_folder(pets / "absent")
    (pets / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty holds no images"):
        from_folder(pets / "empty")
    for settings, message in (({"size": 0}, "size must be at least 1, got 0"), ({"channels": 4}, "channels must be 1")):
        with pytest.raises(ValueError, match=message):
            from_folder(pets, **settings)


def test_a_disk_without_room_is_told_before_it_starts(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoded.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(OSError, match=r"decoding .*pets needs 0.0 GB in .*, which has 0.0 GB: name a larger folder"):
        from_folder(pets)


def test_a_cache_that_cannot_be_written_is_told(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (pets.parent / "cache").write_text("in the way")
    with pytest.raises(PermissionError, match=r"decoded images cannot be kept in .*CL_EXPLORE_DATA"):
        from_folder(pets)


def test_only_wanted_plain_files_are_unpacked(nowhere: Path) -> None:
    import hashlib

    with tarfile.open(nowhere / "set.tar.gz", "w:gz") as tar:
        for name in ("set/wanted", "../outside", "set/unwanted", "/etc/absolute"):
            entry = tarfile.TarInfo(name)
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"abc"))
        link = tarfile.TarInfo("set/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    md5 = hashlib.md5((nowhere / "set.tar.gz").read_bytes()).hexdigest()
    members = ("set/wanted", "set/link")
    with pytest.raises(ValueError, match=r"set.tar.gz is damaged or half written: its md5 is"):
        decoded.unpacked(nowhere / "set.tar.gz", "0" * 32, members)
    place = decoded.unpacked(nowhere / "set.tar.gz", md5, members)
    assert [str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()] == ["set/wanted"]
    assert not list(nowhere.rglob("outside"))
    os.unlink(nowhere / "set.tar.gz")
    assert decoded.unpacked(nowhere / "set.tar.gz", md5, members) == place, "the second time, the archive is not read"


def test_members_of_a_folder_are_found_below_links(pets: Path) -> None:
    (pets.parent / "linked").mkdir()
    (pets.parent / "linked" / "cat").symlink_to(pets / "cat")
    assert len(folder.from_folder(pets.parent / "linked")) == 3
