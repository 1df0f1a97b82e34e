"""Spoken commands learned task after task: a frozen copy of the network holds the old classes in place."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="coconut",
    title="Continual Contrastive Spoken Language Understanding",
    name="COCONUT",
    arxiv="2310.02699",
    year=2024,
    theme="learning new classes without losing the old ones",
    lesson="what_survives",
    losses=("nspt", "ntpt", "multimodal_supcon"),
)
