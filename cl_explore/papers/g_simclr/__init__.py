"""G-SimCLR: self-supervised contrastive learning with guided projection via pseudo labelling (arXiv 2009.12007)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="g-simclr",
    title="G-SimCLR: self-supervised contrastive learning with guided projection via pseudo labelling",
    name="G-SimCLR",
    arxiv="2009.12007",
    year=2020,
    theme="batches without false negatives",
    losses=("g_simclr",),
    lesson="clusters_for_labels",
)
