"""The floors hold: a module imports only from those below it, and rooms have names that say who lives there."""

from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]


def test_modules_import_only_from_floors_below() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_no_room_for_odds_and_ends() -> None:
    names = {path.stem for path in (ROOT / "cl_explore").rglob("*")}
    assert not names & {"utils", "util", "helpers", "common", "misc"}


def test_every_file_says_who_lives_there() -> None:
    for path in (ROOT / "cl_explore").rglob("*.py"):
        assert path.read_text().startswith('"""'), f"{path} has no docstring"
