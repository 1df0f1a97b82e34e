"""Large-scale training of foundation models for wearable biosignals (arXiv 2312.05409)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="wearable-biosignals",
    title="Large-scale training of foundation models for wearable biosignals",
    name="Wearable biosignals",
    arxiv="2312.05409",
    year=2024,
    theme="pairs of one person, not of one minute",
    losses=("info_nce", "koleo"),
    lesson="beat_hour_person",
)
