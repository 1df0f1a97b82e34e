"""What a static block holds, read as a page reads it."""

import base64
import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

TYPES = {"Uint8Array": "u1", "Int8Array": "<i1", "Int16Array": "<i2", "Int32Array": "<i4"}


class Page(HTMLParser):
    """Collects tags, ids and scripts; complains about anything loaded from elsewhere."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.open: list[str] = []
        self.script = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.script += data


def resolved(node: Any, find: Any) -> Any:
    """As the page does it."""
    if isinstance(node, dict):
        return find(node["$"]) if "$" in node else {name: resolved(part, find) for name, part in node.items()}
    return [resolved(part, find) for part in node] if isinstance(node, list) else node


def packed(text: str) -> str:
    """What a static block holds of frames and sliders, as JSON; the rest of it is the same in every block."""
    return re.search(r'still\(document.getElementById\("[^"]+"\), (.*)\);\n', text).group(1)  # type: ignore


def unpacked(text: str) -> tuple[list[dict], list[dict]]:
    """The frames and sliders of a static block."""
    data = json.loads(packed(text))

    def find(place: int) -> Any:
        part = data["shared"][place]
        if isinstance(part, dict) and "data" in part:
            return np.frombuffer(base64.b64decode(part["data"]), TYPES[part["type"]]) * part["scale"]
        return resolved(part, find)

    return [resolved(frame, find) for frame in data["frames"]], data["sliders"]
