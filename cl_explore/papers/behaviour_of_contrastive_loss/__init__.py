"""Understanding the behaviour of contrastive loss (hard contrastive loss, arXiv 2012.09740)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="behaviour-of-contrastive-loss",
    title="Understanding the behaviour of contrastive loss",
    name="hard contrastive loss",
    arxiv="2012.09740",
    year=2021,
    theme="temperature, uniformity, tolerance",
    losses=("hard_truncated", "simple", "hard_simple"),
    lesson="temperature",
)
