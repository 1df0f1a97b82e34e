"""Why the layer before the projection head transfers better than the one that the loss sees."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="projection-head",
    title="Investigating the benefits of projection head for representation learning",
    name="fixed reweighting head",
    arxiv="2403.11391",
    year=2024,
    theme="what the layer before the head keeps",
    lesson="what_survives",
)
