"""Teach a network of points from frozen pixels, superpixel by superpixel."""

from cl_explore.claims.paper import Paper

PAPER = Paper(
    slug="slidr",
    title="Image-to-Lidar Self-Supervised Distillation for Autonomous Driving Data",
    name="SLidR",
    arxiv="2203.16258",
    year=2022,
    theme="points and pixels: regions in place of pairs",
    lesson="every_point",
)
