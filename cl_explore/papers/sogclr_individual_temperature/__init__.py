"""Contrastive learning with automatic temperature individualization (iSogCLR, arXiv 2305.11965)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="sogclr-individual-temperature",
    title="Not all semantics are created equal: contrastive self-supervised learning with automatic temperature "
    "individualization",
    name="iSogCLR",
    arxiv="2305.11965",
    year=2023,
    theme="temperature, long tails",
    losses=("sogclr", "isogclr"),
    lesson="a_temperature_for_everyone",
)
