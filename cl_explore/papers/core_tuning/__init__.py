"""Core-tuning: fine-tuning a contrastively trained encoder with the contrast kept on."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="core-tuning",
    title="Unleashing the power of contrastive self-supervised visual models via contrast-regularized fine-tuning",
    name="Core-tuning",
    arxiv="2102.06605",
    year=2021,
    theme="what fine-tuning gathers",
    lesson="what_survives",
    losses=("focal_supcon",),
)
