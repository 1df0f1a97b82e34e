"""Methods: an encoder, a head, a loss and their state, stepping from a batch to a loss."""

from cl_explore.methods.gather import gather
from cl_explore.methods.joint_embedding import JointEmbedding
from cl_explore.methods.method import Augment, Method, Step

__all__ = ["Augment", "JointEmbedding", "Method", "Step", "gather"]
