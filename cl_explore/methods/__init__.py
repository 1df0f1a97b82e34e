"""Methods: an encoder, a head, a loss and their state, stepping from a batch to a loss."""

# ruff: noqa: E402

from cl_explore.needed import needed as _needed

_needed("cl_explore.methods", PIL="pillow", tqdm="tqdm")

from cl_explore.methods.gather import gather
from cl_explore.methods.joint_embedding import JointEmbedding
from cl_explore.methods.method import Augment, Embedded, Method, Step
from cl_explore.methods.momentum_contrast import MomentumContrast
from cl_explore.methods.prediction import Predictive
from cl_explore.methods.skeleton import Skeleton
from cl_explore.methods.two_tower import Tower, TwoTower

__all__ = [
    "Augment",
    "Embedded",
    "JointEmbedding",
    "Method",
    "MomentumContrast",
    "Predictive",
    "Skeleton",
    "Step",
    "Tower",
    "TwoTower",
    "gather",
]
