"""The record of a paper."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Paper:
    """What is known of a paper without importing anything of it.

    slug: its one name everywhere; its folder is named so, with underscores.
    title: as published.
    name: what its authors call the method.
    arxiv: its number.
    year: of publication.
    theme: what it is about, in a few words.
    losses: those of the catalogue that are its.
    lesson: the notebook that tells it, without number.
    """

    slug: str
    title: str
    name: str
    arxiv: str
    year: int
    theme: str
    losses: tuple[str, ...] = ()
    lesson: str | None = None
