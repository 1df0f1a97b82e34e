"""cMIM: an auto-encoder whose codes must also be far from each other in angle."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="cmim",
    title="cMIM: A contrastive mutual information framework for unified generative and discriminative representation "
    "learning",
    name="cMIM",
    arxiv="2502.19642",
    year=2025,
    theme="a code that draws and is told apart",
    lesson="embeddings_that_draw",
)
