"""TACO: temporal latent action-driven contrastive loss for visual reinforcement learning (arXiv 2306.13229)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="taco",
    title="TACO: temporal latent action-driven contrastive loss for visual reinforcement learning",
    name="TACO",
    arxiv="2306.13229",
    year=2023,
    theme="what actions control",
    losses=("cpc",),
    lesson="what_an_agent_needs",
)
