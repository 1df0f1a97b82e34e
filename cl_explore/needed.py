"""What is said where a package is missing that a room needs beyond torch and numpy."""

import importlib.util


def needed(room: str, **packages: str) -> None:
    """Refuse to import a room that lacks packages, in one sentence that names them all.

    room: name of the room.
    packages: what pip calls each package, by the name it is imported by.
    Raises: ModuleNotFoundError, with the line that installs what is missing.
    """
    missing = {name: called for name, called in packages.items() if importlib.util.find_spec(name) is None}
    if missing:
        line = " ".join(missing.values())
        text = f"{room} needs {', '.join(packages.values())} beside torch and numpy. Missing here: pip install {line}"
        raise ModuleNotFoundError(text, name=next(iter(missing)))
