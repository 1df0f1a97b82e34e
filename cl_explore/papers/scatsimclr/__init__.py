"""ScatSimCLR: self-supervised contrastive learning with pretext task regularization for small-scale datasets."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="scatsimclr",
    title="ScatSimCLR: self-supervised contrastive learning with pretext task regularization for small-scale datasets",
    name="ScatSimCLR",
    arxiv="2108.13939",
    year=2021,
    theme="small data, fixed first layers",
    losses=("nt_xent",),
    lesson="views",
)
