"""The papers: a folder each, with its record, its study and what else it alone needs.

>>> from cl_explore import papers
>>> papers.get("cacr").arxiv
'2105.03746'
"""

import importlib
import pkgutil
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from cl_explore.claims.paper import Paper
from cl_explore.names import unknown

if TYPE_CHECKING:
    from cl_explore.claims.study import Study


def slugs() -> list[str]:
    """The slugs of all papers, sorted: every folder here is one."""
    return sorted(each.name.replace("_", "-") for each in pkgutil.iter_modules(__path__) if each.ispkg)


def get(slug: str) -> Paper:
    """The record of a paper; ValueError naming the nearest for an unknown slug, TypeError for what is no text."""
    if not isinstance(slug, str):
        raise TypeError(f"slug must be a text, got {type(slug).__name__}")
    if slug not in slugs():
        raise unknown("paper", slug, slugs())
    return importlib.import_module(_module(slug)).PAPER


def has(slug: str, part: str) -> bool:
    """Whether a paper has a module called `part`, such as "study" or "panel"; imports nothing of it.

    Raises as `get`, and TypeError for a part that is no text.
    """
    if not isinstance(part, str):
        raise TypeError(f"part must be a text, got {type(part).__name__}")
    return find_spec(f"{_module(get(slug).slug)}.{part}") is not None


def study(slug: str) -> "Study":
    """The claims of a paper and the code that tests them.

    Raises: ValueError for an unknown slug or a paper without a study; ModuleNotFoundError that says what to install
    where a package is missing that this paper needs.
    """
    return _part(slug, "study").STUDY


def panel(slug: str) -> Any:
    """The class of a paper's panel; raises as `study` does."""
    return _part(slug, "panel").PANEL


def _module(slug: str) -> str:
    return f"{__name__}.{slug.replace('-', '_')}"


def _part(slug: str, part: str) -> Any:
    if not has(slug, part):
        having = [each for each in slugs() if has(each, part)]
        raise ValueError(f"paper {slug!r} has no {part}; those that have one: {', '.join(having)}")
    try:
        return importlib.import_module(f"{_module(slug)}.{part}")
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("cl_explore"):
            raise
        package = error.name.partition(".")[0]
        text = f"the {part} of {slug} needs {package}, which is not installed: pip install {package}"
        raise ModuleNotFoundError(text, name=error.name) from error
