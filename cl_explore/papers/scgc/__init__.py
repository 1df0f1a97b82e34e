"""Self-supervised contrastive graph clustering (SCGC, arXiv 2204.12656)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="scgc",
    title="SCGC: self-supervised contrastive graph clustering",
    name="SCGC",
    arxiv="2204.12656",
    year=2022,
    theme="graphs, clusters",
    losses=("scgc",),
    lesson="clusters_for_labels",
)
