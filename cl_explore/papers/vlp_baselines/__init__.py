"""Improved baselines for vision-language pre-training (arXiv 2305.08675)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="vlp-baselines",
    title="Improved baselines for vision-language pre-training",
    name="CLIP-rocket",
    arxiv="2305.08675",
    year=2023,
    theme="two encoders: a better recipe against one more loss",
    lesson="two_encoders",
    losses=("clip",),
)
