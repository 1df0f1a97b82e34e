"""MCL: learning the unlearned, mitigating feature suppression in contrastive learning."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="mcl-feature-suppression",
    title="Learning the unlearned: mitigating feature suppression in contrastive learning",
    name="MCL",
    arxiv="2402.11816",
    year=2024,
    theme="feature suppression",
    losses=("mcl",),
    lesson="lost_or_hidden",
)
