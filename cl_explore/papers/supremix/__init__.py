"""Supervised contrastive learning for regression with mixup (SupReMix, arXiv 2309.16633)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="supremix",
    title="Mixup your own pairs: supervised contrastive learning for regression with mixup",
    name="SupReMix",
    arxiv="2309.16633",
    year=2023,
    theme="degrees of same: numbers",
    losses=("supremix",),
    lesson="degrees_of_same",
)
