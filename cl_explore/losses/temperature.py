"""Losses that keep a number for every sample of the data set: SogCLR and its individual temperatures, iSogCLR."""

import math
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from cl_explore.losses.arguments import values_are_at_hand
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Choice, Knob, Scalar
from cl_explore.losses.orders import at_most
from cl_explore.losses.similarity import other_samples, points, stored_whole
from cl_explore.takes import Positive, Range, Share, takes

Rows = Annotated[int, Range(2)]
WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
GAMMA = Knob("gamma", 0.1, 1.0, log=True, maximum=1, help="weight of this batch in the moving average")
FIRST_VISIT = Choice("first_visit", ("sample", "zero"), help="what an average starts from: its first batch, or 0")


def _softmax_mean(z: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """For each point of z over those of other samples, their log-sum-exp and their softmax mean similarity, both (N,).

    The similarities in the mean carry a gradient, their weights and the log-sum-exp do not. A large table is not stored
    (and is then differentiable once only).
    """
    x, sample = points(z, torch.arange(len(z), device=z.device))
    if stored_whole(x, x):
        similarity = x @ x.T
        logits = similarity.detach() * scale[..., None]
        logits = logits.masked_fill(sample[:, None] == sample, -torch.inf)
        return logits.logsumexp(1), (logits.softmax(1) * similarity).sum(1)
    lse = other_samples(z, scale)
    with torch.inference_mode(False), torch.enable_grad():
        scales = scale.expand(len(x)).clone().requires_grad_()
        held = z.clone() if z.is_inference() else z.detach()
        (mean,) = torch.autograd.grad(other_samples(held, scales).sum(), scales)
    # The mean is the derivative of the log-sum-exp by the scale; that by s_ij is the softmax weight times the scale.
    live = lse / scale
    return lse.detach(), mean + (live - live.detach())


def _global_contrast(
    z: Tensor,
    log_mean: Tensor | None,
    temperature: Tensor,
    rho: Tensor | float,
    gamma: Tensor,
    first_visit: str,
) -> Parts:
    """The parts of `isogclr`. The weights exp(s_ij / tau) / mean_i of the negatives carry no gradient."""
    count = 2 * len(z) - 2
    positive = (z[:, 0] * z[:, 1]).sum(-1).repeat_interleave(2)
    tau, new = temperature.detach(), gamma.detach()
    lse, similarity = _softmax_mean(z, 1 / tau)
    mean = now = lse - math.log(count)
    if log_mean is not None:
        past = log_mean.detach().to(z.dtype).repeat_interleave(2)
        mean = torch.logaddexp(past + (-new).log1p(), now + new.log())
        if first_visit == "sample":
            mean = torch.where(past == -torch.inf, now, mean)
    pull = (now - mean).exp() * similarity  # the weighted sum of an anchor's negatives, over n, with the weights held
    slope = mean + rho - pull.detach() / tau
    given = at_most(1, temperature, "the temperature of a global contrastive loss", pull)
    return {
        "loss": pull - positive + (given - tau) * slope,  # the last term is 0: it hands on the gradient
        "objective": tau * (mean + rho) - positive.detach(),
        "positive": positive,
        "log_mean": mean,
        "temperature_gradient": slope,
    }


@loss(
    title="SogCLR",
    paper="2202.12387",
    family="temperature",
    formula=r"\tau \log \frac{1}{n} \sum_{j} e^{s_{ij}/\tau} - s_{ip}, \text{ the mean over all of the data set}",
    knobs=[TEMPERATURE, GAMMA, FIRST_VISIT],
    min_views=2,
    max_views=2,
)
def sogclr(
    z: Tensor,
    log_mean: Tensor | None = None,
    *,
    temperature: Scalar = 0.1,
    gamma: Scalar = 0.9,
    first_visit: str = "sample",
) -> Parts:
    """Global contrastive loss: each sample keeps a moving average of what its negatives sum to, so that a small batch
    weighs them as the whole data set would.

    z: (B, 2, D), n = 2 B - 2 negatives
    log_mean: (B,) the logarithm of each sample's average, -inf before its first visit; without it every average is this
        batch's
    Parts: each (N,): `loss`, `objective` the value of the formula, `positive` the cosine with the positive, `log_mean`
        the average after this batch, of which a sample keeps the mean over its views, `temperature_gradient`
    Source: Yuan et al. 2022 and the code of Qiu et al. 2023, as the mean (not the sum) over the views
    Collapsed: 0, the objective too
    Note: `loss` is a surrogate, sum_j w_ij s_ij / n - s_ip with the weights w held: its gradient is the one wanted, its
        value is not the formula's (plot `objective`), and a second derivative by temperature is refused. Without
        log_mean the gradient is temperature times that of `dcl`.

    >>> from cl_explore.losses import dcl
    >>> z = torch.randn(8, 2, 4)
    >>> decoupled = dcl(z, temperature=0.2, reduction="none") - math.log(14)
    >>> torch.allclose(sogclr.parts(z, temperature=0.2)["objective"], 0.2 * decoupled, atol=1e-5)
    True
    """
    return _global_contrast(z, log_mean, temperature, 0.0, gamma, first_visit)


@loss(
    title="iSogCLR",
    paper="2305.11965",
    family="temperature",
    formula=r"\tau_i \log \frac{1}{n} \sum_{j} e^{s_{ij}/\tau_i} - s_{ip} + \rho\, \tau_i",
    knobs=[
        TEMPERATURE,
        Knob("rho", 0.05, 2.0, log=True, help="nats by which the weights of the negatives may leave uniformity"),
        GAMMA,
        FIRST_VISIT,
    ],
    min_views=2,
    max_views=2,
)
def isogclr(
    z: Tensor,
    log_mean: Tensor | None = None,
    *,
    temperature: Scalar = 0.1,
    rho: Scalar = 0.3,
    gamma: Scalar = 0.9,
    first_visit: str = "sample",
) -> Parts:
    """Robust global contrastive loss: SogCLR where every sample has a temperature of its own, which it learns.

    z: (B, 2, D)
    log_mean: (B,) as in `sogclr`
    Parts: as `sogclr`
    Source: Qiu et al. 2023 and their code
    Collapsed: 0, the objective rho tau
    Note: `temperature_gradient` is the derivative of the objective by tau_i and the gradient an optimiser would see;
        with averages of this batch it is rho - KL(softmax_j(s_ij / tau_i) || uniform), so a temperature rests where the
        weights of the negatives carry rho nats. `ISogCLR` is the module that holds averages and temperatures and
        updates them.

    >>> from cl_explore.losses import sogclr
    >>> z = torch.randn(8, 2, 4)
    >>> bool(isogclr(z) == sogclr(z))
    True
    """
    return _global_contrast(z, log_mean, temperature, rho.detach(), gamma, first_visit)


def _rows(index: Tensor, z: Tensor, size: int) -> Tensor:
    """`index` (B,) as checked rows of a state of `size` samples."""
    if not isinstance(z, Tensor):
        raise TypeError(f"z must be a torch.Tensor, got {type(z).__name__}")
    if z.ndim != 3:
        raise ValueError(f"z must be (B, 2, D), got shape {tuple(z.shape)}")
    kind = type(index).__name__ if not isinstance(index, Tensor) else index.dtype
    if kind not in WHOLE or index.layout != torch.strided:
        raise TypeError(f"index must be a tensor of integers, got {kind if kind not in WHOLE else index.layout}")
    if index.shape != (len(z),):
        raise ValueError(f"index must have shape (B,) with B = {len(z)}, got {tuple(index.shape)}")
    if values_are_at_hand(index) and (int(index.min()) < 0 or int(index.max()) >= size):
        raise ValueError(f"index must lie in 0 to {size - 1}, got {int(index.min())} to {int(index.max())}")
    return index.long()


def _reduced(each: Tensor, reduction: str) -> Tensor:
    if not isinstance(reduction, str) or reduction not in ("mean", "none"):
        raise ValueError(f"reduction must be 'mean' or 'none', got {reduction!r}")
    return each.mean() if reduction == "mean" else each


def _of_sample(log_mean: Tensor) -> Tensor:
    """Logarithm (B,) of the mean of exp over the two views of each sample, log_mean (2 B,)."""
    return log_mean.view(-1, 2).logsumexp(1) - math.log(2)


class SogCLR(nn.Module):
    """`sogclr` with its moving averages: buffer `log_mean` (size,), -inf for a sample not yet seen.

    `size` is the number of samples in the data set. In training mode a call first computes the loss, whose weights
    already hold this batch, then stores the averages of its samples; in evaluation mode nothing is stored.
    """

    log_mean: Tensor

    @takes
    def __init__(
        self, size: Rows, *, temperature: Positive | nn.Parameter = 0.1, gamma: float = 0.9, first_visit: str = "sample"
    ) -> None:
        super().__init__()
        GAMMA.check(gamma, 1)
        FIRST_VISIT.check(first_visit, 1)
        self.knobs: dict[str, Any] = {"temperature": temperature, "gamma": gamma, "first_visit": first_visit}
        self.register_buffer("log_mean", torch.full((size,), -torch.inf))

    def forward(self, z: Tensor, index: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of z (B, 2, D), whose samples are the rows `index` (B,) of the data set, each at most once."""
        rows = _rows(index, z, len(self.log_mean))
        parts = sogclr.parts(z, self.log_mean[rows], **self.knobs)
        value = _reduced(parts["loss"], reduction)
        if self.training:
            self.log_mean[rows] = _of_sample(parts["log_mean"]).to(self.log_mean)
        return value


class ISogCLR(nn.Module):
    """`isogclr` with its state, three persistent buffers (size,): `log_mean`, `temperature` and `momentum`.

    In training mode a call, in this order: computes the loss with the temperatures as they are and weights that
    already hold this batch; stores the averages; for each sample takes the mean over its views of the temperature
    gradient, clipped to `clip` unless that is None, into the momentum, u <- (1 - beta) u + beta G (beta weighs the new
    gradient); steps tau <- tau - eta u, kept between `low` and `high`. In evaluation mode nothing is stored.
    """

    log_mean: Tensor
    temperature: Tensor
    momentum: Tensor

    @takes
    def __init__(
        self,
        size: Rows,
        *,
        temperature: Positive = 0.1,
        rho: float = 0.3,
        gamma: float = 0.9,
        first_visit: str = "sample",
        eta: float = 0.03,
        beta: Share = 0.5,
        low: float = 0.05,
        high: float = 1.0,
        clip: float | None = 3.0,
    ) -> None:
        super().__init__()
        if not 0 < low <= temperature <= high:
            raise ValueError(
                f"temperature must lie in low to high, {low:g} to {high:g} and above 0, got {temperature:g}"
            )
        GAMMA.check(gamma, 1)
        FIRST_VISIT.check(first_visit, 1)
        self.knobs: dict[str, Any] = {"rho": rho, "gamma": gamma, "first_visit": first_visit}
        self.eta, self.beta, self.low, self.high, self.clip = eta, beta, low, high, clip
        self.register_buffer("log_mean", torch.full((size,), -torch.inf))
        self.register_buffer("temperature", torch.full((size,), float(temperature)))
        self.register_buffer("momentum", torch.zeros(size))

    def forward(self, z: Tensor, index: Tensor, *, reduction: Literal["mean", "none"] = "mean") -> Tensor:
        """The loss of z (B, 2, D), whose samples are the rows `index` (B,) of the data set, each at most once."""
        rows = _rows(index, z, len(self.log_mean))
        tau = self.temperature[rows]
        parts = isogclr.parts(z, self.log_mean[rows], temperature=tau.repeat_interleave(2), **self.knobs)
        value = _reduced(parts["loss"], reduction)
        if self.training:
            slope = parts["temperature_gradient"]
            slope = slope if self.clip is None else slope.clamp(-self.clip, self.clip)
            slope = slope.view(-1, 2).mean(1).to(tau)
            momentum = torch.lerp(self.momentum[rows], slope, self.beta)
            self.log_mean[rows] = _of_sample(parts["log_mean"]).to(tau)
            self.momentum[rows] = momentum
            self.temperature[rows] = (tau - self.eta * momentum).clamp(self.low, self.high)
        return value
