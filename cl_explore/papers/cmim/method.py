"""cMIM (arXiv 2502.19642): codes that restore their samples, with a term that says which sample a code belongs to.

The terms follow the author's code of KERMT and of MIM; that it is the paper's formula is inferred, not verified.
"""

import math
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor, nn

from cl_explore.data import Batch
from cl_explore.losses.unit import unit
from cl_explore.methods import Augment, Method, Step
from cl_explore.methods.gather import gather
from cl_explore.takes import Amount, Count, Positive, takes

Negatives = Literal["mean", "sum"]
Objective = Literal["ae", "vae", "mim", "cmim"]


def log_belongs(z: Tensor, temperature: float, negatives: Negatives = "mean") -> Tensor:
    """log p(k = 1 | x, z): how surely each code belongs to its own sample and to none of the others in the batch.

    z: (B, ...), codes, compared by their cosine; the positive is a code with itself. temperature: divides cosines.
    negatives: their mean stands against the positive, at any B, or their sum.
    Returns: (B,); 0 for a single code, which has no negatives
    Source: KERMT, compute_cmim_loss

    >>> log_belongs(torch.ones(5, 3), temperature=0.1).exp()
    tensor([0.5000, 0.5000, 0.5000, 0.5000, 0.5000])
    """
    x = unit(z.flatten(1))
    count = len(x)
    if count == 1:
        return x.sum(1) * 0
    own = torch.eye(count, dtype=torch.bool, device=x.device)
    others = (x @ x.T / temperature).masked_fill(own, -torch.inf).logsumexp(1)
    if negatives == "mean":
        others = others - math.log(count - 1)
    return -nn.functional.softplus(others - 1 / temperature)


def log_normal(x: Tensor, mean: Tensor | float, log_scale: Tensor | float) -> Tensor:
    """Log-density of x (B, D) under a normal distribution of independent coordinates, summed over them: (B,)."""
    log_scale = torch.as_tensor(log_scale, dtype=x.dtype, device=x.device)
    return (-0.5 * ((x - mean) * (-log_scale).exp()).square() - log_scale - 0.5 * math.log(2 * math.pi)).sum(1)


class Terms(NamedTuple):
    """Log-densities of a batch, each (B,): of samples given codes, of codes given samples, of codes by the prior."""

    log_px: Tensor
    log_qz: Tensor
    log_pz: Tensor


def latent(terms: Terms, width: int, *, normalize_loss: bool = False, normalize_gradient: bool = False) -> Tensor:
    """(log q(z|x) + log P(z)) / 2 (B,), which MIM rewards.

    width: dimensions of a code. normalize_loss: the value is divided by it. normalize_gradient: the gradient is, and
    the value stays; with both, the gradient is divided twice, as in KERMT.
    """
    found = (terms.log_qz + terms.log_pz) / 2
    if normalize_loss:
        found = found / width
    return found.detach() + (found - found.detach()) / width if normalize_gradient else found


def marginal_mim(terms: Terms, beta: float = 1.0) -> Tensor:
    """The loss (B,) of MIM whose q(x) is the model's own: log q(x) = log p(x|z) + log P(z) - log q(z|x).

    beta: weight of the encoder's joint density; with 1 it is -(log p(x|z) + log P(z)), the joint likelihood.
    """
    log_px, log_qz, log_pz = terms
    marginal = log_px + log_pz - log_qz
    return -(log_px + log_pz + beta * (log_qz + marginal)) / 2


class Coder(Method):
    """An encoder of codes z = mean + scale * noise, and a decoder whose last hidden layer is an embedding as well.

    The loss is the negative of log p(x|z) and, by objective: "ae" nothing; "vae" log P(z) - log q(z|x); "mim"
    (log q(z|x) + log P(z)) / 2; "cmim" that and `log_belongs`. MIM rewards log q(z|x): scales shrink to their clamp.
    """

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Linear,
        loss: Objective,
        augment: Augment,
        *,
        pixels: Count,
        sigma: Positive = 0.2,
        temperature: Positive = 1.0,
        negatives: Negatives = "mean",
        weight: Amount = 1.0,
        least_log_scale: float = -6.0,
        normalize_loss: bool = False,
        normalize_gradient: bool = False,
    ) -> None:
        """What decides the codes.

        encoder: x (N, ...) -> (N, H). head: (N, H) -> (N, 2 D), means of codes and logarithms of their scales.
        loss: the objective. augment: makes the one view of a sample. pixels: numbers in a sample.
        sigma: scale of p(x|z). weight: of log p(x|z). least_log_scale: the clamp. The rest as `log_belongs`, `latent`.
        Raises: ValueError if the head gives an odd number of features
        """
        super().__init__(encoder, head, augment, n_views=1)
        if head.out_features % 2:
            raise ValueError(f"head must give a mean and a scale for each dimension, got {head.out_features} features")
        self.loss, self.sigma, self.temperature, self.negatives = loss, sigma, temperature, negatives
        self.weight, self.least_log_scale, self.width = weight, least_log_scale, head.out_features // 2
        self.normalize_loss, self.normalize_gradient = normalize_loss, normalize_gradient
        self.hidden = nn.Sequential(nn.Linear(self.width, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU())
        self.output = nn.Linear(128, pixels)

    def networks(self) -> list[nn.Module]:
        """What is worth compiling."""
        return [*super().networks(), self.hidden, self.output]

    def project(self, h: Tensor) -> Tensor:
        """The means of codes (N, D)."""
        return self.posterior(h)[0]

    def posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Means and logarithms of scales of codes, each (N, D), of h (N, H)."""
        mean, log_scale = self.head(h).chunk(2, -1)
        return mean, log_scale.clamp(min=self.least_log_scale)

    def informative(self, z: Tensor) -> Tensor:
        """The decoder's last hidden layer (N, 128) of codes z (N, D): an embedding that costs no training."""
        return self.hidden(z)

    def draw(self, z: Tensor) -> Tensor:
        """The samples (N, pixels) that the decoder makes of codes z (N, D)."""
        return self.output(self.hidden(z))

    def terms(self, x: Tensor, generator: Generator) -> tuple[Tensor, Terms]:
        """Codes (N, D) drawn of samples x (N, ...), and their log-densities."""
        mean, log_scale = self.posterior(self(x))
        noise = torch.randn(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
        z = mean + log_scale.exp() * noise
        log_px = log_normal(x.flatten(1), self.draw(z), math.log(self.sigma))
        return z, Terms(log_px, log_normal(z, mean, log_scale), log_normal(z, 0.0, 0.0))

    def step(self, batch: Batch, generator: Generator) -> Step:
        """The objective of a batch, and its parts."""
        assert isinstance(batch.x, Tensor)
        x = self.draw_views(batch.x, generator)
        assert isinstance(x, Tensor)
        own, densities = self.terms(x.squeeze(1), generator)
        z, *joined = gather(own, *densities)
        terms = Terms(*joined)
        gain = self.weight * terms.log_px
        metrics = {"log p(x|z)": terms.log_px.detach().mean()}
        if self.loss == "vae":
            gain = gain + terms.log_pz - terms.log_qz
        if self.loss in ("mim", "cmim"):
            gain = gain + latent(terms, self.width, normalize_loss=self.normalize_loss,
                                 normalize_gradient=self.normalize_gradient)  # fmt: skip
        if self.loss == "cmim":
            belongs = log_belongs(z, self.temperature, self.negatives)
            gain, metrics["log p(k=1)"] = gain + belongs, belongs.detach().mean()
        return Step(-gain.mean(), metrics)
