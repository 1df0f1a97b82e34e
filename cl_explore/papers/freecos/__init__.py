"""FreeCOS: self-supervised learning from fractals and unlabelled images for curvilinear objects (arXiv 2307.07245)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="freecos",
    title="FreeCOS: self-supervised learning from fractals and unlabeled images for curvilinear object segmentation",
    name="FreeCOS",
    arxiv="2307.07245",
    year=2023,
    theme="every point: pixels of drawn and real vessels",
    lesson="every_point",
)
