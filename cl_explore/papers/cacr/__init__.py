"""Contrastive attraction and contrastive repulsion for representation learning (CACR, arXiv 2105.03746)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="cacr",
    title="Contrastive attraction and contrastive repulsion for representation learning",
    name="CACR",
    arxiv="2105.03746",
    year=2023,
    theme="attraction, repulsion",
    losses=("cacr", "cacr_momentum"),
    lesson="attraction_and_repulsion",
)
