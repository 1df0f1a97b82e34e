"""Self-supervised deviation learning for spatio-temporal forecasting (ST-SSDL, arXiv 2510.04908)."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="st-ssdl",
    title="How different from the past? Spatio-temporal time series forecasting with self-supervised deviation "
    "learning",
    name="ST-SSDL",
    arxiv="2510.04908",
    year=2025,
    theme="what is usual: the past as an anchor",
    losses=("deviation",),
    lesson="a_moment_ago",
)
