"""Every form of file that is read, with every damage of a list: an error that names it, or the right data."""

import os
from pathlib import Path

import pytest
from damage import complaints
from forms import FORMS, Picture


@pytest.mark.parametrize("name", FORMS)
def test_damage_is_named_or_does_no_harm(
    name: str, own: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # no power fails here, and hundreds of waits take a minute
    form = FORMS[name](own, picture, monkeypatch)
    assert complaints(form, own, frozenset({"a pipe"} if "kept" in name else ())) == []
