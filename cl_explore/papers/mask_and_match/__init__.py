"""Mask & Match: learning to recognise handwritten mathematics with self-supervised attention."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="mask-and-match",
    title="Mask & Match: learning to recognize handwritten math with self-supervised attention",
    name="Mask & Match",
    arxiv="2508.06107",
    year=2025,
    theme="pieces of pictures",
    lesson="pieces",
)
