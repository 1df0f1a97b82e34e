"""Contrast Everything: a hierarchical contrastive framework for medical time series (COMET, arXiv 2310.14017)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="comet",
    title="Contrast Everything: a hierarchical contrastive framework for medical time series",
    name="COMET",
    arxiv="2310.14017",
    year=2023,
    theme="nested sameness: steps, samples, trials, patients",
    lesson="beat_hour_person",
)
