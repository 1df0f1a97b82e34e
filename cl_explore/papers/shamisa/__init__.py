"""SHAMISA: shaped modelling of implicit structural associations for image quality (SHAMISA, arXiv 2603.13669)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="shamisa",
    title="Shaped modeling of implicit structural associations for self-supervised no-reference image quality "
    "assessment",
    name="SHAMISA",
    arxiv="2603.13669",
    year=2026,
    theme="degrees of same: a graph of graded relations",
    losses=("shamisa",),
    lesson="degrees_of_same",
)
