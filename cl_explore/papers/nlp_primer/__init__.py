"""A primer on contrastive pretraining in language processing (arXiv 2102.12982)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="nlp-primer",
    title="A primer on contrastive pretraining in language processing: methods, lessons learned and perspectives",
    name="NLP primer",
    arxiv="2102.12982",
    year=2021,
    theme="nearest neighbours: texts beside texts or beside labels",
    losses=("label_nce",),
    lesson="nearest_neighbour",
)
