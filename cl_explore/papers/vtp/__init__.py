"""VTP: towards scalable pre-training of visual tokenizers for generation (arXiv 2512.13687)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="vtp",
    title="Towards scalable pre-training of visual tokenizers for generation",
    name="VTP",
    arxiv="2512.13687",
    year=2025,
    theme="a code that draws and means something",
    losses=("clip", "koleo"),
    lesson="embeddings_that_draw",
)
