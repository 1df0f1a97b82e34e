"""The floors hold: a module imports only from those below it, and rooms have names that say who lives there."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_modules_import_only_from_floors_below() -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    # in a process of its own, as it switches off all loggers that exist
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout


def test_no_room_for_odds_and_ends() -> None:
    names = {path.stem for path in (ROOT / "cl_explore").rglob("*")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def test_every_file_says_who_lives_there() -> None:
    for path in (ROOT / "cl_explore").rglob("*.py"):
        assert path.read_text().startswith('"""'), f"{path} has no docstring"


def test_no_two_rooms_have_a_file_of_the_same_name() -> None:
    rooms = ROOT / "cl_explore"
    names = [path.stem for path in rooms.rglob("*.py") if path.parent.parent != rooms / "papers"]
    twice = {name for name in names if names.count(name) > 1} - {"__init__"}
    assert twice == set()


def test_files_are_short() -> None:
    """Half of the public files have at most 150 lines, none more than 300; no line of a script more than 120 signs."""
    rooms = ROOT / "cl_explore"
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in rooms.rglob("*.py")}
    assert {path.name: count for path, count in lines.items() if count > 300} == {}
    public = sorted(count for path, count in lines.items() if not path.name.startswith("_"))
    assert public[len(public) // 2] <= 150
    scripts = {path: path.read_text(encoding="utf-8").splitlines() for path in rooms.rglob("*.js")}
    of_pages = scripts.pop(rooms / "app" / "templates" / "book.js")
    assert sum(map(len, scripts.values())) <= 1000
    assert len(of_pages) <= 100
    assert max(len(line) for script in [of_pages, *scripts.values()] for line in script) <= 120


def test_every_text_has_an_encoding() -> None:
    """What is left out is that of the system, which on Windows is not UTF-8."""
    lacking = []
    for path in (ROOT / "cl_explore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("read_text", "write_text"):
                lacking += [] if any(each.arg == "encoding" for each in node.keywords) else [f"{path}:{node.lineno}"]
    assert lacking == []
