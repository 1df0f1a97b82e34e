"""The description that a package index shows: the README, with links that lead to the project's address.

There, nothing lies beside the README. Once `[project.urls]` in pyproject.toml names `Repository`, its relative links
and pictures get that address; until then it is as it stands.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


def described(text: str, address: str) -> str:
    """The text with its relative links and pictures at the address of the repository."""
    pattern = re.compile(r"(!?)(\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\])\((?!https?://|#)([^)]+)\)")

    def absolute(found: re.Match[str]) -> str:
        picture, shown, path = found.groups()
        return f"{picture}{shown}({address.rstrip('/')}/{'raw' if picture else 'blob'}/main/{path})"

    return pattern.sub(absolute, text)


class Readme(MetadataHookInterface):
    """Gives the project its description."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        address = metadata.get("urls", {}).get("Repository")
        readme = described(text, address) if address else text
        metadata["readme"] = {"content-type": "text/markdown", "text": readme}
