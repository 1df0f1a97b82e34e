"""Embed-Search-Align: DNA sequence alignment using transformer models (DNA-ESA, arXiv 2309.11087)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="dna-esa",
    title="Embed-Search-Align: DNA sequence alignment using transformer models",
    name="DNA-ESA",
    arxiv="2309.11087",
    year=2025,
    theme="a read finds its place in a genome by its vector",
    lesson="nearest_neighbour",
)
