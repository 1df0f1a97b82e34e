"""Selfie: self-supervised pretraining for image embedding (arXiv 1906.02940)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="selfie",
    title="Selfie: self-supervised pretraining for image embedding",
    name="Selfie",
    arxiv="1906.02940",
    year=2019,
    theme="missing patches",
    losses=("selfie",),
    lesson="pieces",
)
