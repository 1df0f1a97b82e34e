"""ColloSSL: collaborative self-supervised learning for human activity recognition (arXiv 2202.00758)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="collossl",
    title="ColloSSL: collaborative self-supervised learning for human activity recognition",
    name="ColloSSL",
    arxiv="2202.00758",
    year=2022,
    theme="several devices at once: which one is the positive",
    losses=("collossl",),
    lesson="beat_hour_person",
)
