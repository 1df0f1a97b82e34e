"""HULC's losses: three ways to ground an instruction in a film, plans with a balanced KL, mixtures of logistics.

Source: the authors' code (`hulc/models/hulc.py`, `decoders/logistic_decoder_rnn.py`).
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Independent, Normal, OneHotCategoricalStraightThrough, kl_divergence
from torch.nn import functional as F

from cl_explore.methods import Step, TwoTower
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width
from cl_explore.names import unknown
from cl_explore.nn import MLP

Grounding = Literal["clip", "mia", "bcz"]
GROUNDINGS = ("clip", "mia", "bcz")


def contrast(
    vision: Tensor, language: Tensor, log_scale: Tensor, mask: Tensor | None = None, same: Tensor | None = None
) -> Tensor:
    """L_clip: films against instructions and instructions against films, mean over the windows that take part.

    vision, language: (N, D), brought to unit length here.
    log_scale: scalar; e to it multiplies cosines, without a limit.
    mask: (N,) bool, windows that take part, those near the end of what was labelled; all if left out.
    same: (N,) int64, tasks; windows of one task are no negatives of each other (the authors' code leaves them in).
    A window without any negative gives exactly 0, and so does a batch without windows.
    """
    scores = log_scale.exp() * F.normalize(vision, dim=1) @ F.normalize(language, dim=1).T
    used = torch.ones_like(scores[0], dtype=torch.bool) if mask is None else mask.bool()
    against = used[:, None] & used
    if same is not None:
        against = against & (same[:, None] != same)
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(~(against | own), -math.inf)
    each = (scores.logsumexp(0) + scores.logsumexp(1)) / 2 - scores.diagonal()
    return (each * used).sum() / used.sum().clamp(min=1)


def matching(
    vision: Tensor, language: Tensor, discriminator: Callable[[Tensor], Tensor], mask: Tensor | None = None
) -> Tensor:
    """MIA: tell a film (N, D) with its instruction (N, D) from one with the instruction of the window before it.

    discriminator: (N, 2 D) -> (N, 1), a logit. mask: as in `contrast`; 0 where no window takes part.
    With one window its negative is its positive, and the loss at least log 2.
    """
    if mask is not None:
        vision, language = vision[mask.bool()], language[mask.bool()]
    logits = [discriminator(torch.cat([vision, other], dim=1)) for other in (language, language.roll(1, 0))]
    each = F.softplus(torch.cat([-logits[0], logits[1]]))
    return each.sum() / max(len(each), 1)


def regression(guess: Tensor, sentence: Tensor, mask: Tensor | None = None) -> Tensor:
    """BC-Z: 1 - cosine of what is read from a film (N, D) and the sentence's embedding (N, D), mean over `mask`.

    The authors' code applies the mask twice, which goes wrong unless all windows take part; here it is applied once.
    """
    each = 1 - F.cosine_similarity(guess, sentence)
    used = torch.ones_like(each) if mask is None else mask.to(each)
    return (each * used).sum() / used.sum().clamp(min=1)


def categoricals(state: Tensor, classes: int) -> Independent:
    """Plans of several one-hot choices, logits (N, C * classes): samples (N, C, classes), their gradient softmax's."""
    return Independent(OneHotCategoricalStraightThrough(logits=state.unflatten(1, (-1, classes))), 1)


def gaussian(state: Tensor) -> Independent:
    """Plans of numbers: means and, before a softplus, spreads side by side (N, 2 D)."""
    mean, spread = state.chunk(2, dim=1)
    return Independent(Normal(mean, F.softplus(spread) + 1e-4), 1)


def balanced_kl(
    plan: Callable[[Tensor], Independent], prior: Tensor, posterior: Tensor, alpha: float = 0.8, beta: float = 0.01
) -> Tensor:
    """beta KL(posterior || prior), of whose gradient alpha goes to the prior and 1 - alpha to the posterior.

    plan: what makes a distribution of a state (N, S), `gaussian` or `categoricals` of so many classes.
    prior, posterior: states (N, S). The value, a mean over N, does not depend on alpha.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    to_prior = kl_divergence(plan(posterior.detach()), plan(prior)).mean()
    to_posterior = kl_divergence(plan(posterior), plan(prior.detach())).mean()
    return beta * (alpha * to_prior + (1 - alpha) * to_posterior)


def logistic_mixture(
    logits: Tensor, log_scales: Tensor, means: Tensor, actions: Tensor, bins: int = 10, least: float = -7.0
) -> Tensor:
    """L_act: -log likelihood of actions in [-1, 1] that stand in `bins` bins, summed over A, a mean over the rest.

    logits, log_scales, means: (..., A, M) of M logistics; log_scales below `least` count as `least`.
    actions: (..., A). Within 1e-3 of a bound the bin reaches to infinity.
    """
    log_scales, half = log_scales.clamp(min=least), 1 / (bins - 1)
    away, narrow = actions[..., None] - means, (-log_scales).exp()
    upper, lower, middle = narrow * (away + half), narrow * (away - half), narrow * away
    within = upper.sigmoid() - lower.sigmoid()
    density = middle - log_scales - 2 * F.softplus(middle) + math.log(2 * half)
    log_p = torch.where(within > 1e-5, within.clamp(min=1e-12).log(), density)
    log_p = torch.where(actions[..., None] > 1 - 1e-3, -F.softplus(lower), log_p)
    log_p = torch.where(actions[..., None] < -1 + 1e-3, F.logsigmoid(upper), log_p)
    return -(log_p + logits.log_softmax(-1)).logsumexp(-1).sum(-1).mean()


class Grounded(TwoTower):
    """Films and instructions, the towers of the names video and instruction, trained by a grounding loss alone.

    Whatever loss `TwoTower` is given, `grounding` decides. A factor `used` of the data set is the mask of the losses.
    """

    def __init__(
        self, *towers: Any, grounding: Grounding = "clip", mask_same_label: bool = False, sentence: int = 16
    ) -> None:
        """What `TwoTower` does not take already.

        grounding: `contrast`, its scale learned from 1 / 0.07; `matching`; or `regression` from the film's h.
        mask_same_label: windows of one label are no negatives in `contrast`.
        sentence: features of an instruction's embedding before its tower.
        """
        if grounding not in GROUNDINGS:
            raise unknown("grounding", grounding, GROUNDINGS)
        super().__init__(*towers)
        self.grounding, self.mask_same_label = grounding, mask_same_label
        video, hidden = width(self.head["video"]), width(self.encoder["video"])
        self.log_scale = nn.Parameter(torch.tensor(-math.log(0.07)))
        self.discriminator = MLP([2 * video, 64, 1], batch_norm=False)
        self.read = MLP([hidden, 64, sentence], batch_norm=False)

    def compare(self, embedded: Embedded) -> Step:
        """The grounding loss."""
        (vision, language), mask = embedded.z.unbind(1), embedded.factors.get("used")
        if self.grounding == "clip":
            same = embedded.labels if self.mask_same_label else None
            return Step(contrast(vision, language, self.log_scale, mask, same), {})
        if self.grounding == "mia":
            return Step(matching(vision, language, self.discriminator, mask), {})
        guess, sentence = self.read(embedded.h["video"][:, 0]), embedded.views["instruction"][:, 0]
        return Step(regression(guess, sentence, mask), {})

    @torch.no_grad()
    def scores(self, video: Tensor, instruction: Tensor) -> Tensor:
        """How well each film (N, ...) fits each instruction (M, S), (N, M): a cosine, or the logit of a match."""
        h = self.encoder["video"](video)
        if self.grounding == "bcz":
            return F.normalize(self.read(h), dim=1) @ F.normalize(instruction, dim=1).T
        z, w = self.head["video"](h), self.head["instruction"](self.encoder["instruction"](instruction))
        if self.grounding == "clip":
            return F.normalize(z, dim=1) @ F.normalize(w, dim=1).T
        pairs = torch.cat([z[:, None].expand(-1, len(w), -1), w.expand(len(z), -1, -1)], dim=2)
        return self.discriminator(pairs.flatten(0, 1)).view(len(z), len(w))
