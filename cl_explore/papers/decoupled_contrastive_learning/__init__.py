"""Decoupled contrastive learning (DCL, arXiv 2110.06848)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="decoupled-contrastive-learning",
    title="Decoupled contrastive learning",
    name="DCL",
    arxiv="2110.06848",
    year=2022,
    theme="negatives, batch size",
    losses=("dcl", "dclw"),
    lesson="negatives",
)
