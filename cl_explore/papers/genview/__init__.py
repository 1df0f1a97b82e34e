"""GenView: enhancing view quality with pretrained generative model for self-supervised learning (arXiv 2403.12003)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="genview",
    title="GenView: enhancing view quality with pretrained generative model for self-supervised learning",
    name="GenView",
    arxiv="2403.12003",
    year=2024,
    theme="views made by a generator",
    lesson="views",
)
