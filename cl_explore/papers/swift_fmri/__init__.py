"""SwiFT: Swin 4D fMRI Transformer (arXiv 2307.05916), here its contrastive pre-training."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="swift-fmri",
    title="SwiFT: Swin 4D fMRI Transformer",
    name="SwiFT",
    arxiv="2307.05916",
    year=2023,
    theme="persons and moments: two contrasts that pull in opposite directions",
    losses=("nt_xent", "mcl"),
    lesson="a_moment_ago",
)
