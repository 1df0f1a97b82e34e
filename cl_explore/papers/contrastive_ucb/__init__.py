"""Contrastive UCB: provably efficient contrastive self-supervised learning in online reinforcement learning."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="contrastive-ucb",
    title="Contrastive UCB: provably efficient contrastive self-supervised learning in online reinforcement learning",
    name="Contrastive-UCB",
    arxiv="2207.14800",
    year=2022,
    theme="exploration in reinforcement learning",
    lesson="what_an_agent_needs",
)
