"""Separating common from salient patterns with contrastive representation learning (SepCLR, arXiv 2402.11928)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="sepclr",
    title="Separating common from salient patterns with contrastive representation learning",
    name="SepCLR",
    arxiv="2402.11928",
    year=2024,
    theme="what is hidden: common and salient codes",
    losses=("sepclr", "attribute_alignment"),
    lesson="lost_or_hidden",
)
