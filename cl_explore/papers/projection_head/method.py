"""The linear theory of a head, the head without parameters, the symmetrised ReLU, and what a ridge reads of a layer."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore.methods import JointEmbedding
from cl_explore.methods.method import Embedded
from cl_explore.takes import Amount, Count, Positive, takes

START = 0.3
"""Singular values of a layer at the start: growth is cubic in them, and from 0.02 nothing is learned in any time."""


class Moments(NamedTuple):
    """What the spectral loss knows of each of F features of x = sum_i strength_i y_i v_i + noise, y_i = +-1.

    total: (F,), Sigma_i, the second moment of a view along v_i.
    shared: (F,), Sigma+_i, the product of two views of one sample along v_i.
    """

    total: Tensor
    shared: Tensor

    def singular_values(self) -> Tensor:
        """w (F,) of the best linear map, sqrt(Sigma+) / Sigma."""
        return self.shared.sqrt() / self.total

    def optimum(self) -> Tensor:
        """The value of the loss there, -sum_i (Sigma+_i / Sigma_i)^2."""
        return -(self.shared / self.total).square().sum()


@takes
def moments(strength: Tensor, keep: Tensor, noise: Amount, *, signs: bool = False) -> Moments:
    """The moments of features that a view keeps or loses, each by itself.

    strength: (F,), phi.
    keep: (F,), a: the probability that a view keeps the feature, else it is erased.
    noise: standard deviation of the noise in every direction, drawn anew for each view.
    signs: a lost feature has a random sign instead, so that its second moment stays: E[b^2] = 1, E[b] = a.
    Source: derived from the paper's model of the data and checked numerically; a reconstruction of its theory
    Raises: ValueError for strengths below 0 and probabilities outside 0 to 1
    """
    if not bool((strength >= 0).all()):
        raise ValueError(f"strength must be at least 0, got {strength.min().item():g}")
    if not bool(((keep >= 0) & (keep <= 1)).all()):
        raise ValueError(f"keep must be between 0 and 1, got {keep.min().item():g} to {keep.max().item():g}")
    power = strength.square()
    return Moments(power * (1 if signs else keep) + noise**2, power * keep.square())


class Strengths(NamedTuple):
    """How strong each feature is, (F,): in the input, before the head and after it."""

    given: Tensor
    before: Tensor
    after: Tensor


@takes
def strengths(strength: Tensor, keep: Tensor, noise: Amount) -> Strengths:
    """phi, phi sqrt(w) and phi w of a linear encoder and a linear head, trained from small weights to the end.

    The layers share w evenly, since gradient flow keeps W1 W1^T = W2^T W2.

    >>> strengths(torch.tensor([2.0]), torch.tensor([1.0]), 0.0).before  # w = 1 / strength
    tensor([1.4142])
    """
    w = moments(strength, keep, noise).singular_values()
    return Strengths(strength, strength * w.sqrt(), strength * w)


@takes
def learned_from(steps: Count, lr: Positive, start: Positive = START) -> float:
    """Sigma+ from which on a feature is learned after so many steps: 1 / (8 steps lr start^2), features come in stages.

    start: singular values of each layer at the start.
    """
    return 1 / (8 * steps * lr * start**2)


def population_loss(first: Tensor, second: Tensor, known: Moments) -> Tensor:
    """The spectral contrastive loss of f(x) = second first x with endless data, -2 tr(W S+ W^T) + |W S W^T|^2."""
    w = second @ first
    return ((w * known.total) @ w.T).square().sum() - 2 * (w.square() * known.shared).sum()


class Layers(NamedTuple):
    """Two linear layers, first (P, F) and second (D, P), f(x) = second first x."""

    first: Tensor
    second: Tensor

    def imbalance(self) -> Tensor:
        """The largest entry of W1 W1^T - W2^T W2, which gradient flow does not change."""
        return (self.first @ self.first.T - self.second.T @ self.second).abs().max()


@takes
def descend(layers: Layers, known: Moments, steps: Count, lr: Positive) -> Layers:
    """The layers after gradient descent on `population_loss`."""
    first, second = layers
    for _ in range(steps):
        w = second @ first
        slope = 4 * (((w * known.total) @ w.T) @ w * known.total - w * known.shared)
        first, second = first - lr * second.T @ slope, second - lr * slope @ first.T
    return Layers(first, second)


@takes
def layer(features: Count, *, start: Positive = START) -> nn.Linear:
    """A square linear layer without offset, orthogonal times `start`, drawn from torch's global generator."""
    made = nn.Linear(features, features, bias=False)
    nn.init.orthogonal_(made.weight, gain=start)
    return made


class FixedHead(nn.Module):
    """The proposed alternative to a trained head: coordinate i of h is multiplied by kappa^-i, nothing is learned.

    Later coordinates count less in the loss, so that less is asked of them. To be dropped after training as any head;
    a loss of cosines normalises after it.

    >>> FixedHead(3, kappa=2.0)(torch.ones(1, 3))
    tensor([[1.0000, 0.5000, 0.2500]])
    """

    power: Tensor

    @takes
    def __init__(self, features: Count, kappa: float = 1.05, *, over: Amount = 0) -> None:
        """kappa: at least 1, which is no head at all; 1.05 with SimCLR, 1.5 with SupCon, 1.2 with cross-entropy.

        over: fall by kappa^over from the first coordinate to behind the last one, whatever the width: kappa^(-over
            i/H). 0 leaves the paper's kappa^-i, which is 0 in float32 beyond the coordinate 104 / ln kappa.
        Source: the authors' ReweightProjectionHead; the values of kappa are those that a reproduction quotes
        Raises: ValueError for kappa below 1
        """
        if kappa < 1:
            raise ValueError(f"kappa must be at least 1, got {kappa}")
        super().__init__()
        self.kappa, self.out_features = kappa, features
        self.register_buffer("power", -torch.arange(features, dtype=torch.float32) * (over / features if over else 1))

    def forward(self, h: Tensor) -> Tensor:
        """h (N, H) -> z (N, H)."""
        return h * self.kappa ** self.power.to(h.dtype)


class SymmetricReLU(nn.Module):
    """ReLU(u - b) - ReLU(-u - b) with a learned threshold b (F,) a feature: what stays below it is gone.

    threshold: b at the start.
    """

    @takes
    def __init__(self, features: Count, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.full((features,), threshold))
        self.out_features = features

    def forward(self, u: Tensor) -> Tensor:
        """u (N, F) -> (N, F)."""
        return F.relu(u - self.threshold) - F.relu(-u - self.threshold)


class Diagonal(nn.Module):
    """One layer of the paper's diagonal network: each feature has a weight and a symmetrised ReLU of its own.

    Two in a row, as encoder and head, may hold features before the head that are gone entirely behind it.
    """

    @takes
    def __init__(self, features: Count, *, start: Positive = START) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((features,), start))
        self.activation = SymmetricReLU(features)
        self.out_features = features

    def forward(self, x: Tensor) -> Tensor:
        """x (N, F) -> (N, F)."""
        return self.activation(self.weight * x)


class BehindHead(JointEmbedding):
    """For losses of logits: the linear classifier stands behind the head, on z, and not on h.

    The head must give as many features as it takes.
    """

    def provide(self, need: str, embedded: Embedded) -> Tensor | None:
        if need == "logits":
            return self.classifier(embedded.z).mean(1)
        return super().provide(need, embedded)


def ridge_accuracy(
    h: Tensor, labels: Tensor, unseen_h: Tensor, unseen: Tensor, *, standardise: bool, alpha: float = 1.0
) -> float:
    """Accuracy of ridge regression on classes, features (n, H) centred and, if told, divided by their deviation.

    Standardised features undo a reweighting of coordinates; a penalty on features as they are feels it.
    """
    h, unseen_h = h.double(), unseen_h.double()
    mean, scale = h.mean(0), h.std(0) if standardise else torch.ones(())
    x, new = ((part - mean) / torch.where(scale > 0, scale, 1) for part in (h, unseen_h))
    y = F.one_hot(labels).double()
    weights = torch.linalg.solve(x.T @ x + alpha * torch.eye(x.shape[1], dtype=x.dtype), x.T @ (y - y.mean(0)))
    return ((new @ weights + y.mean(0)).argmax(1) == unseen).double().mean().item()
