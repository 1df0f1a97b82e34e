"""What befalls files, and whether reading them stays right or names them."""

import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np


class Form(NamedTuple):
    """A way in which data lie somewhere.

    file: what is damaged. read: gives a text that tells the data.
    header: how many bytes at its front say what it is; none of them may change the data.
    one: whether it is one of many files, of which each may be missing.
    """

    file: Path
    read: Callable[[], str]
    header: int = 0
    one: bool = False


def damages(whole: bytes, header: int) -> Iterator[tuple[str, bytes | Callable[[Path], None]]]:
    """What befalls files, by name: other contents, or what stands in their place."""
    yield "empty", b""
    for share in (0.1, 0.5, 0.9):
        yield f"cut at {share}", whole[: int(len(whole) * share)]
    yield "without its last byte", whole[:-1]
    yield "a web page", b"<html><body>404 not found</body></html>\n"
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n"
    yield "an array", npy("<f8")
    yield "an array that lies of its size", npy("|u1", (2**40, 3, 8, 8))
    yield "an array of objects", npy("|O")
    yield "an idx file that lies of its size", struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31) + bytes(90)
    yield "a pickle that runs code", b"cposix\nsystem\n(S'touch executed'\ntR."
    yield "JSON", json.dumps({"a": 1}).encode()
    if header:
        yield from (("zeros", bytes(len(whole))), ("ones", b"\xff" * len(whole)), ("another order", whole[::-1]))
    for place in range(0, min(header, len(whole)), 1 + header // 10):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        yield f"a bit of byte {place}", bytes(flipped)
    yield "a folder", Path.mkdir
    yield "a link to itself", lambda file: file.symlink_to(file.name)
    yield "a link to nothing", lambda file: file.symlink_to("nothing")
    yield "a pipe", os.mkfifo
    yield "gone", lambda file: None


def npy(kind: str, shape: tuple[int, ...] = (2,)) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": kind, "fortran_order": False, "shape": shape})
    return out.getvalue() + bytes(64)


def outcome(form: Form, right: str, places: list[str]) -> str:
    """What comes of reading: "right", "named", or what is wrong."""
    try:
        return "right" if form.read() == right else "other data"
    except (ValueError, OSError) as error:
        return "named" if any(place in str(error) for place in places) else f"unnamed: {error!r}"
    except Exception as error:
        return f"raw: {error!r}"


def complaints(form: Form, own: Path, without: frozenset[str] = frozenset()) -> list[str]:
    """Each damage after which the file in the folder `own` is neither refused by name nor read right; none is right."""
    file, whole, right, wrong = form.file, form.file.read_bytes(), form.read(), []
    places = [file.name, *(str(folder) for folder in file.parents if own in folder.parents)]
    for damage, made in damages(whole, form.header):
        if damage in without or (damage in ("a folder", "gone") and form.one):
            continue
        file.rename(own / "aside")
        if isinstance(made, bytes):
            file.write_bytes(made)
        else:
            made(file)
        if (came := outcome(form, right, places)) not in ("right", "named"):
            wrong.append(f"{damage}: {came[:300]}")
        if file.is_dir():
            file.rmdir()
        (own / "aside").replace(file)
        if not damage.startswith("a bit") and (came := outcome(form, right, places)) != "right":
            wrong.append(f"{damage} left something behind: {came[:300]}")
    if Path("executed").exists():
        wrong.append("what a file holds was run")
    return wrong
