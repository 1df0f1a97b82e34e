"""Contrastive video representation learning (CVRL, arXiv 2008.03800)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="cvrl",
    title="Spatiotemporal contrastive video representation learning",
    name="CVRL",
    arxiv="2008.03800",
    year=2021,
    theme="moments of one thing",
    losses=("nt_xent",),
    lesson="a_moment_ago",
)
