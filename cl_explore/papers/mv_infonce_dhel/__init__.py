"""A principled framework for multi-view contrastive learning (MV-InfoNCE and MV-DHEL, arXiv 2507.06979)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="mv-infonce-dhel",
    title="A principled framework for multi-view contrastive learning",
    name="MV-InfoNCE and MV-DHEL",
    arxiv="2507.06979",
    year=2025,
    theme="many views",
    losses=("dhel", "mv_infonce", "mv_dhel"),
    lesson="many_views",
)
