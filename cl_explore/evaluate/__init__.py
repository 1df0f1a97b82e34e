"""Probes of a frozen encoder: what its representation makes easy."""

from cl_explore.evaluate.embedding import Embedding, embed
from cl_explore.evaluate.knn import knn_accuracy
from cl_explore.evaluate.linear import linear_accuracy
from cl_explore.evaluate.protocol import LinearProbe, linear_probe

__all__ = ["Embedding", "LinearProbe", "embed", "knn_accuracy", "linear_accuracy", "linear_probe"]
