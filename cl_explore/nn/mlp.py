"""Multi-layer perceptrons: encoders of feature vectors and small images, and the projection head."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from cl_explore.takes import Count, takes


class MLP(nn.Module):
    """Linear layers of the given sizes with (batch norm and) ReLU between them; the last one is linear.

    >>> MLP([64, 128, 32]).out_features
    32
    """

    @takes
    def __init__(self, sizes: Sequence[int], batch_norm: bool = True) -> None:
        """sizes: features in, of each hidden layer, and out; ValueError if they are fewer than two or below 1."""
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes must be at least two positive numbers (in, ..., out), got {list(sizes)}")
        super().__init__()
        layers: list[nn.Module] = []
        for features, hidden in pairwise(sizes[:-1]):
            # batch norm subtracts the mean, so a bias before it would do nothing
            layers += [nn.Linear(features, hidden, bias=not batch_norm)]
            layers += [nn.BatchNorm1d(hidden)] if batch_norm else []
            layers += [nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))
        self.in_features, self.out_features = sizes[0], sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        """x (N, ...) with in_features numbers a row, flattened here -> (N, out_features)."""
        x = x.flatten(1)
        if x.shape[1] != self.in_features:
            raise ValueError(f"x must have {self.in_features} numbers a row, got {x.shape[1]}")
        return self.layers(x)


@takes
def projection_head(in_features: Count, hidden: Count, out_features: Count) -> MLP:
    """The head of SimCLR (2002.05709): linear, ReLU, linear; maps h (N, in_features) to z (N, out_features)."""
    return MLP([in_features, hidden, out_features], batch_norm=False)
