"""Networks and their moving parts: encoders, the projection head and momentum copies."""

from cl_explore.nn.convnet import ConvNet
from cl_explore.nn.mlp import MLP, projection_head
from cl_explore.nn.momentum import Momentum
from cl_explore.nn.pooled import BagOfTokens, Pooled
from cl_explore.nn.resnet import ResNet, resnet18, resnet50
from cl_explore.nn.series_nets import DilatedNet, SeriesNet
from cl_explore.nn.transformer import AttentionPool, Transformer

__all__ = [
    "MLP", "AttentionPool", "BagOfTokens", "ConvNet", "DilatedNet", "Momentum", "Pooled", "ResNet", "SeriesNet",
    "Transformer", "projection_head", "resnet18", "resnet50",
]  # fmt: skip
