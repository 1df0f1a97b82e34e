"""Identity-seeking representation learning for person re-identification (ISR, arXiv 2308.08887)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="isr-reid",
    title="Identity-seeking self-supervised representation learning for generalizable person re-identification",
    name="ISR",
    arxiv="2308.08887",
    year=2023,
    theme="positives found by matching",
    lesson="clusters_for_labels",
)
