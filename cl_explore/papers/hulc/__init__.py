"""HULC: what matters in language conditioned robotic imitation learning over unstructured data."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="hulc",
    title="What matters in language conditioned robotic imitation learning over unstructured data",
    name="HULC",
    arxiv="2204.06252",
    year=2022,
    theme="language for robots",
    lesson="what_an_agent_needs",
)
