"""Hard negative mixing for contrastive learning (MoCHi, arXiv 2010.01028)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="mochi",
    title="Hard negative mixing for contrastive learning",
    name="MoCHi",
    arxiv="2010.01028",
    year=2020,
    theme="negatives",
    losses=("mochi",),
    lesson="negatives",
)
