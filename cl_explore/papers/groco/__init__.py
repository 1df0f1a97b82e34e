"""Learning by sorting: self-supervised learning with group ordering constraints (GroCo, arXiv 2301.02009)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="groco",
    title="Learning by sorting: self-supervised learning with group ordering constraints",
    name="GroCo",
    arxiv="2301.02009",
    year=2023,
    theme="order",
    losses=("groco",),
    lesson="attraction_and_repulsion",
)
