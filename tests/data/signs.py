"""Five emoji in the two forms in which the set lies somewhere."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from cl_explore.data import emoji

SIGNS = [
    {"label": "grinning face", "tags": ["face", "grin"], "hexcode": "1F600", "group": "smileys-emotion"},
    {"label": "flag: Cook Islands", "tags": ["CK", "flag"], "hexcode": "1F1E8-1F1F0", "group": "flags"},
    {"label": "red heart", "tags": [], "hexcode": "2764", "group": "smileys-emotion"},
    {"label": "cat face", "tags": ["pet"], "hexcode": "1F431", "group": "animals-nature"},
    {"label": "cat", "tags": ["pet"], "hexcode": "1F408", "group": "animals-nature"},
]


def drawn(style: int, row: int) -> np.ndarray:
    """A picture of its own for each style and sign: half of it is transparent."""
    picture = np.zeros((64, 64, 4), dtype=np.uint8)
    picture[:32] = (40 * style, 30 * row, 9, 255)
    return picture


def sheets(own: Path) -> Path:
    (own / "emoji").mkdir()
    lines = [json.dumps(sign | {"subgroup": sign["group"]}) for sign in SIGNS]
    (own / "emoji/emoji.jsonl").write_text("\n".join(lines), encoding="utf-8")
    for style, name in enumerate(emoji.STYLES):
        sheet = np.zeros((64, 48, 64, 4), dtype=np.uint8)
        for row in range(len(SIGNS)):
            sheet[:, row] = drawn(style, row)
        Image.fromarray(sheet.reshape(64, -1, 4)).save(own / f"emoji/{name}.webp", lossless=True, exact=True)
    return own / "emoji"


def packages(own: Path) -> Path:
    root = own / "node_modules"
    group = {name: number for number, name in enumerate(emoji.GROUPS)}
    found = [
        sign | {"group": group[sign["group"]], "subgroup": group[sign["group"]], "order": row}
        for row, sign in enumerate(SIGNS)
    ]
    found += [{"label": "light skin tone", "hexcode": "1F3FB", "group": 2, "order": 9, "subgroup": 1}]
    found += [{"label": "regional indicator A", "hexcode": "1F1E6"}]
    (root / emoji.PACKAGES[0]).parent.mkdir(parents=True)
    (root / emoji.PACKAGES[0]).write_text(json.dumps(found[::-1]), encoding="utf-8")
    for style, part in enumerate(emoji.PACKAGES[1:]):
        (root / part).mkdir(parents=True)
        for row, sign in enumerate(found):
            code = sign["hexcode"].lower() if style < 2 else sign["hexcode"]
            code = code + "-fe0f" if code == "2764" else code
            Image.fromarray(drawn(style, row)).save(root / part / f"{code}.png")
    return root
