"""Make the generated pages: `python docs/build.py`. A test keeps them in agreement with what they are made from.

docs/losses.md and its thumbnails come from the catalogue; docs/scorecard.md, the pages and figures of its studies and
the table of papers in the README from the records in data/scorecard, the page of what failed from docs/failed.toml
besides, the README's table of the course from the list and the sources of the notebooks.
"""

import math
import re
import runpy
import tomllib
from pathlib import Path

import torch
from torch import Tensor

from cl_explore import losses, papers
from cl_explore.app import coverage
from cl_explore.claims import failures, figures, scorecard
from cl_explore.claims import page as words
from cl_explore.losses import Choice, Knob, Loss
from cl_explore.losses.identities import IDENTITIES, sentence

HERE = Path(__file__).parent
README, RECORDS = HERE.parent / "README.md", HERE.parent / "data" / "scorecard"
SIZE, RADII = 180, (70, 46)  # pixels: the picture, the rings of first and second views
LONGEST = 0.45  # radians: the arc of the strongest force
COLOURS = ("#0072B2", "#D55E00", "#009E73")

HEAD = """# The losses

{count} losses, generated from their declarations by `make docs`. Formulas are in the notation of the house:
$s_{{ij}}$ is the cosine of points $i$ and $j$, $D_{{ij}}$ their distance, $\\tau$ the temperature, $p$ a positive,
$N = B V$ the points of $B$ samples in $V$ views.

**Collapsed** is the value when all points coincide, **perfect** the value when views coincide and samples (with labels:
classes) lie on a regular simplex or, for losses of raw embeddings, are white. The number *here* is for 64 samples, 2
views and 8 classes at the default knobs, and given where views and labels are all the loss needs. **Parts** are what
`losses.NAME.parts(...)` gives.

The picture shows which way the loss pushes on the circle: six samples of three classes (colours), their first views on
the outer ring and their second on the inner one; arcs point where each goes, the longest always equally long.
"""

WEB = """## The web of identities

{count} statements of the form "A equals B (when ...)", from the functions of these names in
`cl_explore.losses.identities`. A test checks each on random batches.
"""


def scene() -> tuple[Tensor, Tensor]:
    """Six samples of three classes on the circle: angles (6, 2) of their views, float64, and labels (6,)."""
    angle = torch.arange(6, dtype=torch.float64) * (math.pi / 3) + torch.tensor([0.2, -0.2, 0.1, 0.0, 0.25, -0.1])
    return torch.stack([angle - 0.22, angle + 0.22], dim=1), torch.tensor([0, 0, 1, 2, 1, 2])


def force(loss: Loss) -> Tensor:
    """Minus the gradient with respect to the angles of the scene, (6, 2)."""
    angle, labels = scene()
    angle.requires_grad_()
    value = loss.on_views(torch.stack([angle.cos(), angle.sin()], dim=-1), labels)
    (gradient,) = torch.autograd.grad(value, angle)
    return -gradient


def place(angle: float, radius: float) -> str:
    """Pixel coordinates of a point, as SVG writes them."""
    return f"{SIZE / 2 + radius * math.cos(angle):.1f} {SIZE / 2 - radius * math.sin(angle):.1f}"


def thumbnail(loss: Loss) -> str:
    """The scene with its forces as an SVG picture."""
    angles, labels = scene()
    forces = force(loss)
    forces = forces / forces.abs().max().clamp(min=1e-9) * LONGEST
    parts = [f'<circle cx="{SIZE // 2}" cy="{SIZE // 2}" r="{r}" fill="none" stroke="#ddd"/>' for r in RADII]
    for sample, label in enumerate(labels.tolist()):
        for view, radius in enumerate(RADII):
            start, turn = float(angles[sample, view]), float(forces[sample, view])
            if abs(turn) > 0.02:
                ring = radius + 7
                tip, sweep = start + turn, int(turn < 0)
                barb = math.copysign(min(abs(turn), 0.09), turn)
                head = f"M {place(tip - barb, ring - 4)} L {place(tip, ring)} L {place(tip - barb, ring + 4)}"
                arc = f"M {place(start, ring)} A {ring} {ring} 0 0 {sweep} {place(tip, ring)} {head}"
                parts.append(f'<path d="{arc}" fill="none" stroke="{COLOURS[label]}" stroke-width="1.6"/>')
            x, y = place(start, radius).split()
            parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{COLOURS[label]}"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIZE}" height="{SIZE}" role="img">'
    return "\n".join([head, f"<title>Forces of {loss.title} on the circle</title>", *parts, "</svg>", ""])


FIELDS = ("Parts", "Source", "Collapsed", "Perfect", "Raises")


def knob(loss: Loss, declared: Knob | Choice) -> str:
    """One line on a knob: its name, default, range or options, and what it does."""
    default = loss.defaults[declared.name]
    span = " / ".join(declared.options) if isinstance(declared, Choice) else f"{declared.low:g} to {declared.high:g}"
    return f"`{declared.name}` = {default} ({span})" + (f": {declared.help}" if declared.help else "")


def plain(text: str) -> str:
    """The text with nothing but its `code` read as Markdown."""
    return "".join(
        part if i % 2 else re.sub(r"([*_\[\]<|])", r"\\\1", part) for i, part in enumerate(re.split("(`.*?`)", text))
    )


def section(loss: Loss) -> str:
    """Everything about one loss."""
    paper = f"[{loss.paper}](https://arxiv.org/abs/{loss.paper})" if loss.paper[:4].isdigit() else loss.paper
    fields = {name: plain(text) for name, text in loss.fields.items()}
    note = fields.pop("Note", None)
    if loss.fits(2):
        for name, value in zip(("Collapsed", "Perfect"), loss.bounds(), strict=True):
            number = f"{value + 0.0:.3f}".replace("-0.000", "0.000")
            fields[name] = f"{fields[name]}; here {number}" if name in fields else f"{number} here"
    lines = [f"### {loss.title}", ""]
    if loss.fits(2):
        lines += [f'<img src="losses/{loss.name}.svg" alt="Forces of {loss.title} on the circle" align="right">', ""]
    lines += [plain(loss.summary), "", f"$${loss.formula}$$", ""]
    lines += [f"`losses.{loss.name}({', '.join(loss.arguments)})` · {paper}", ""]
    lines += [f"- `{name}`: {fields.pop(name)}" for name in loss.arguments]
    lines += [f"- {knob(loss, declared)}" for declared in loss.knobs]
    lines += [f"- {name}: {fields[name]}" for name in FIELDS if name in fields]
    return "\n".join([*lines, *(["", note] if note else [])])


def web() -> str:
    """The web of identities."""
    lines = [f"- {sentence(stated)}" for stated in IDENTITIES]
    return WEB.format(count=len(lines)) + "\n" + "\n".join(lines)


def page() -> str:
    """The whole page, families in order of their first loss."""
    families: dict[str, list[Loss]] = {}
    for loss in losses.catalogue.values():
        families.setdefault(loss.family, []).append(loss)
    index = [
        f"- **{family}:** " + ", ".join(f"{loss.title} (`{loss.name}`)" for loss in members)
        for family, members in families.items()
    ]
    body = [f"## {family}\n\n" + "\n\n".join(map(section, members)) for family, members in families.items()]
    return "\n\n".join([HEAD.format(count=len(losses.catalogue)).strip(), "\n".join(index), *body, web()]) + "\n"


def readme() -> str:
    """The README with the course and the coverage of the papers, each between its two marks, and counts of today."""
    lessons = runpy.run_path(str(HERE.parent / "notebooks" / "lessons.py"))
    text = README.read_text(encoding="utf-8")
    tables = {"papers": coverage.markdown(), "the course": lessons["table"](lessons["read"](), "notebooks/")}
    for name, table in tables.items():
        between = f"(?<=<!-- {name} -->\n).*?(?=\n<!-- end of {name} -->)"
        text = re.sub(between, lambda _, table=table: table, text, flags=re.DOTALL)
    text = re.sub(r"(?<=There are )\d+(?= losses)", str(len(losses.catalogue)), text)
    return re.sub(r"(?<=lists )\d+(?= identities)", str(len(IDENTITIES)), text)


def files() -> dict[Path, str]:
    """Every generated text and what belongs in it."""
    records = scorecard.read(RECORDS)
    pictures = {
        HERE / "losses" / f"{name}.svg": thumbnail(loss) for name, loss in losses.catalogue.items() if loss.fits(2)
    }
    lessons = tomllib.loads((HERE / "failed.toml").read_text(encoding="utf-8"))
    sheets = {HERE / "scorecard" / f"{words.stem(record)}.md": words.sheet(record) for record in records}
    pages = {HERE / "losses.md": page(), HERE / "scorecard.md": words.page(records), README: readme()}
    sheets[HERE / "scorecard" / "failed.md"] = failures.page(records, lessons)
    return {**pages, **sheets, **pictures}


if __name__ == "__main__":
    for folder in (HERE / "losses", HERE / "scorecard"):
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
    records = scorecard.read(RECORDS)
    for record in records:
        figures.save(
            papers.study(record["study"]).draw, record["rows"], HERE / "scorecard" / f"{words.stem(record)}.png"
        )
    print(f"{len(losses.catalogue)} losses, {len(records)} studies")
