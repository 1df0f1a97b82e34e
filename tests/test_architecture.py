"""The floors hold: a module imports only from those below it, and rooms have names that say who lives there."""

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
