"""Where the notebooks of the course are, and how they are laid out in a folder of the reader's."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import cl_explore

PACKAGE = Path(cl_explore.__file__).parent
IN_CLONE = not (PACKAGE / "notebooks").is_dir()  # the wheel carries them inside the package
NOTEBOOKS = (PACKAGE.parent if IN_CLONE else PACKAGE) / "notebooks"
RECORD = ".laid_out.json"  # in the reader's folder: the hash of each notebook as it was laid out
OUTDATED = "older than the installed course"


def find(names: Sequence[str] = ()) -> list[Path]:
    """The notebooks called `names` (temperature, 02_temperature or 02_temperature.ipynb), or all.

    Raises: FileNotFoundError if one, or all, are missing.
    """
    found = {path.stem[3:]: path for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise FileNotFoundError(f"there are no notebooks in {NOTEBOOKS}: run from a clone of the repository or a wheel")
    numbered = found | {path.stem: path for path in found.values()}
    if missing := [name for name in names if name.removesuffix(".ipynb") not in numbered]:
        raise FileNotFoundError(f"there is no notebook {', '.join(missing)}; there are: {', '.join(found)}")
    return [numbered[name.removesuffix(".ipynb")] for name in names] or list(found.values())


@cache
def parts() -> dict[str, list[str]]:
    """The parts of the pipeline that each lesson is about, as lessons.txt says after its slug."""
    lines = (NOTEBOOKS / "lessons.txt").read_text(encoding="utf-8").splitlines()
    return {slug: about for slug, *about in map(str.split, lines)}


def lay_out(folder: Path, *, update: bool = False) -> dict[str, str]:
    """Copy the notebooks that `folder` lacks into it; by their names, what became of those that are not as before.

    update: also bring those up to date that the reader left as they were laid out, and take away those that are no
        longer of the course.

    A notebook that the reader edited, or that was there before, is never touched.
    """
    record = folder / RECORD
    laid_out = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    course = {path.name: path.read_bytes() for path in find()}
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for name in sorted(course.keys() | laid_out.keys()):
        path, new = folder / name, course.get(name)
        old = path.read_bytes() if path.is_file() else None
        if old is not None and old == new:
            laid_out[name] = _digest(old)
        elif old is not None and _digest(old) != laid_out.get(name):
            told[name] = "kept as you edited it; delete or rename it to get it anew"
        elif old is not None and not update:
            told[name] = OUTDATED
        elif new is None:
            path.unlink(missing_ok=True)
            del laid_out[name]
            told |= {name: "taken away: the course has it no more"} if old is not None else {}
        else:
            path.write_bytes(new)
            laid_out[name] = _digest(new)
            told[name] = "laid out" if old is None else "brought up to date"
    record.write_text(json.dumps(laid_out, indent=1), encoding="utf-8")
    return told


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
