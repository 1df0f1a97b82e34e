"""SPACE-2: tree-structured semi-supervised contrastive pre-training for task-oriented dialog (arXiv 2209.06638)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="space-2",
    title="SPACE-2: Tree-Structured Semi-Supervised Contrastive Pre-training for Task-Oriented Dialog Understanding",
    name="SPACE-2",
    arxiv="2209.06638",
    year=2022,
    theme="trees of labels: degrees of same",
    losses=("soft_supcon",),
    lesson="degrees_of_same",
)
