"""The drawing at the top of every chapter: from a sample over views, encoder, head and loss to the probe."""

from collections.abc import Collection

from cl_explore.app.cells import TEMPLATES
from cl_explore.names import unknown

PARTS = ("views", "encoder", "head", "loss", "probe")


def drawing(lit: Collection[str] = ()) -> str:
    """The pipeline as an SVG picture for a page, whose style sheet colours it, with the parts `lit` standing out.

    Raises: ValueError for a part that is none.

    >>> drawing(["loss"]).count('class="lit"')
    1
    """
    for part in lit:
        if part not in PARTS:
            raise unknown("part", part, PARTS)
    alt = (
        "A sample gives two views, an encoder f maps each to h, a head g maps h to z, a loss moves z on the sphere, "
        f"a probe reads h. Lit up: {', '.join(part for part in PARTS if part in lit) or 'nothing'}."
    )
    return TEMPLATES.get_template("pipeline.svg.j2").render(lit=lit, alt=alt)
