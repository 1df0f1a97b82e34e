"""VATT: transformers for multimodal self-supervised learning from raw video, audio and text."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="vatt",
    title="VATT: transformers for multimodal self-supervised learning from raw video, audio and text",
    name="VATT",
    arxiv="2104.11178",
    year=2021,
    theme="three modalities, captions that may not fit",
    lesson="two_encoders",
    losses=("mil_nce",),
)
