"""Beyond contrastive learning: list-wise training with multiple levels of relevance (SyCL, arXiv 2503.23239)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="listwise-wasserstein",
    title="Beyond contrastive learning: synthetic data enables list-wise training with multiple levels of relevance",
    name="SyCL",
    arxiv="2503.23239",
    year=2025,
    theme="degrees of same: graded relevance",
    losses=("listwise_wasserstein", "listwise_kl"),
    lesson="degrees_of_same",
)
