"""Networks and their moving parts: encoders, the projection head and momentum copies."""

from cl_explore.nn.convnet import ConvNet
from cl_explore.nn.mlp import MLP, projection_head
from cl_explore.nn.momentum import Momentum
from cl_explore.nn.pooled import BagOfTokens, Pooled
from cl_explore.nn.resnet import ResNet, resnet18, resnet50

__all__ = ["MLP", "BagOfTokens", "ConvNet", "Momentum", "Pooled", "ResNet", "projection_head", "resnet18", "resnet50"]
