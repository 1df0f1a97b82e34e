"""The house style: one palette, one marker a class, one system of figure sizes, pictures with alt text."""

from io import BytesIO
from typing import Annotated, Any, Literal

import matplotlib as mpl
from IPython.display import display
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from cl_explore.takes import Positive, Range, takes

Panels = Annotated[int, Range(1, 100)]

# Okabe and Ito's colours where they reach a contrast of 3:1 on white (blue, vermillion, green, purple, black), then a
# darker yellow, a darker sky blue, dark red, violet and slate, moved until every pair stays apart under simulated
# protanopia, deuteranopia and tritanopia. Ten are too many to tell apart with certainty: draw the markers as well.
CLASS_COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#000000",
    "#928146",
    "#1E98ED",
    "#762129",
    "#8638D2",
    "#797186",
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
SEQUENTIAL = "viridis"  # for quantities with one direction
DIVERGING = "RdBu_r"  # for quantities with a meaningful zero, always drawn with signed numbers beside it

FULL_WIDTH = 9.0  # inches: the width of a notebook's output at DPI
DPI = 96

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(color=CLASS_COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "figure.constrained_layout.use": True,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.alpha": 0.35,
    "grid.linewidth": 0.6,
    "image.cmap": SEQUENTIAL,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.dpi": DPI,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


def use() -> None:
    """Apply the style to every matplotlib figure of this process (call it once at the top of a notebook)."""
    mpl.rcParams.update(RC)


def class_look(label: int) -> tuple[str, str]:
    """Colour and marker of class `label`; from the eleventh class on, the colours repeat with other markers.

    >>> class_look(0), class_look(10)
    (('#0072B2', 'o'), ('#0072B2', 's'))
    """
    turn, place = divmod(label, len(CLASS_COLOURS))
    return CLASS_COLOURS[place], MARKERS[(place + turn) % len(MARKERS)]


@takes
def figure(
    width: Literal["full", "half"] = "full", *, height: Positive | None = None, columns: Panels = 1, rows: Panels = 1
) -> Figure:
    """An empty figure of rows x columns axes (`fig.axes`, row by row) in the house style.

    `width` is the notebook's ("full", 9 inches) or half of it, and `height` is in inches; left out, each panel is
    drawn three quarters as high as it is wide, and at most 4 inches high. The figure is not registered with pyplot:
    it is displayed by `show` only, and freed with its last reference. Raises ValueError for an unknown width.
    """
    inches = FULL_WIDTH if width == "full" else FULL_WIDTH / 2
    if height is None:
        height = rows * min(0.75 * inches / columns, 4.0)
    with mpl.rc_context(RC):
        fig = Figure(figsize=(inches, height))
        fig.subplots(rows, columns)
    return fig


@takes
def show(fig: Figure, alt: str, *, dpi: int = DPI) -> None:
    """Display a figure as a PNG that carries `alt`, a sentence for readers who cannot see the picture.

    The sentence says what the picture shows, best of all its finding; it is stored as the output's text and in its
    metadata, from where the HTML export takes it. Raises ValueError unless it has 30 to 200 characters and dpi is 80
    to 110 (legible, and small enough to commit).
    """
    if not 30 <= len(alt) <= 200:
        raise ValueError(f"alt must have 30 to 200 characters that say what the picture shows, got {len(alt)}: {alt!r}")
    if not 80 <= dpi <= 110:
        raise ValueError(f"dpi must be between 80 and 110, got {dpi}")
    png = BytesIO()
    with mpl.rc_context(RC):
        fig.savefig(png, format="png", dpi=dpi, metadata={"Software": None})
    display({"image/png": png.getvalue(), "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
