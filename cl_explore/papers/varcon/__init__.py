"""Variational supervised contrastive learning (VarCon, arXiv 2506.07413)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="varcon",
    title="Variational supervised contrastive learning",
    name="VarCon",
    arxiv="2506.07413",
    year=2025,
    theme="labels, class dispersion",
    losses=("varcon",),
    lesson="varcon",
)
