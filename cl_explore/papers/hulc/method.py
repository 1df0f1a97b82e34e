"""HULC's losses: three ways to ground an instruction in a film, plans with a balanced KL, mixtures of logistics.

What they train: films and instructions alone, or a policy, rebuilt at the tabletop's size.
Source: the authors' code (`hulc/models/hulc.py`, `decoders/logistic_decoder_rnn.py`).
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.distributions import Independent, Normal, OneHotCategoricalStraightThrough, kl_divergence
from torch.nn import functional as F

from cl_explore.data import Batch, Dataset
from cl_explore.data.batch import Samples
from cl_explore.methods import Augment, Method, Step, TwoTower
from cl_explore.methods.method import Embedded
from cl_explore.methods.skeleton import width
from cl_explore.names import unknown
from cl_explore.nn import MLP, Transformer
from cl_explore.takes import Amount, Count, Share, takes

Decoded = tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]
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


def draw_action(logits: Tensor, log_scales: Tensor, means: Tensor, generator: Generator, least: float = -7.0) -> Tensor:
    """Actions (..., A) drawn from mixtures as of `logistic_mixture`: of one logistic each, and not rounded to bins."""
    one = torch.multinomial(logits.softmax(-1).flatten(0, -2), 1, generator=generator).view(*logits.shape[:-1], 1)
    mean, scale = (part.gather(-1, one)[..., 0] for part in (means, log_scales.clamp(min=least).exp()))
    return mean + scale * torch.rand(mean.shape, generator=generator).clamp(1e-5, 1 - 1e-5).logit()


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


class Policy(Method):
    """A policy that learns from play: what to do for a goal, which is the last frame or, of some windows, a sentence.

    A posterior draws a plan from the film, a prior from first frame and goal; a decoder acts on plan, frames and goal.
    The loss is L_act and the balanced KL, and `weight` times `contrast` of the windows that have an instruction: half.
    Samples: "video" (N, T * P), "instruction" (N, S), "actions" (N, T * (A + 1)), and the factor "told".
    A reconstruction: layers are the authors', sizes are not (a plan of 32 choices of 32, f of 4096 numbers, a decoder
    2048 wide, 10 logistics), and the decoder sees all features of a frame where theirs sees a half.
    """

    encoder: MLP

    @takes
    def __init__(
        self,
        encoder: MLP,
        head: nn.Module,
        augment: Augment,
        *,
        sentence: Count,
        frames: Count,
        numbers: Count,
        weight: Amount = 3.0,
        alpha: Share = 0.8,
        beta: Amount = 0.01,
        choices: Count = 8,
        classes: Count = 8,
        logistics: Count = 3,
        hidden: Count = 64,
    ) -> None:
        """Networks and weights.

        encoder: from a frame (N, P) to its features; head: from a film's f to what is compared with an instruction.
        sentence, frames, numbers: S, T and A of the samples. weight: of the contrast; alpha, beta: of `balanced_kl`.
        choices, classes: of a plan. logistics: of a mixture. hidden: features of f, and of all hidden layers.
        """
        super().__init__(encoder, head, augment)
        features = width(encoder)
        self.weight, self.alpha, self.beta, self.classes, self.numbers = weight, alpha, beta, classes, numbers
        goals = (MLP([size, hidden, hidden, 32], batch_norm=False) for size in (features, sentence))
        self.seen_goal, self.said_goal = (nn.Sequential(goal, nn.LayerNorm(32)) for goal in goals)
        self.recognise = nn.Sequential(Transformer(features, 2, 8, length=frames), nn.Linear(features, hidden))
        self.posterior = nn.Linear(hidden, choices * classes)
        self.prior = MLP([features + 32, hidden, hidden, choices * classes], batch_norm=False)
        self.decoder = nn.RNN(choices * classes + features + 32, hidden, 2, nonlinearity="relu", batch_first=True)
        self.action = nn.Linear(hidden, 3 * numbers * logistics + 2)
        with torch.no_grad():  # logistics that begin wide and at one place are slow to come apart; the authors let them
            _, scales, means = self.action.bias[:-2].view(3, numbers, -1)
            scales[:], means[:] = -2.0, torch.linspace(-1, 1, logistics)
        self.said_head = MLP([32, hidden, width(head)], batch_norm=False)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(0.07)))

    def forward(self, x: Samples) -> Tensor:
        """f (N, hidden) of the films among the samples."""
        assert isinstance(x, dict)
        return self.film(self.look(x["video"]))

    def look(self, video: Tensor) -> Tensor:
        """Features (N, T, D) of the frames of films (N, T * P)."""
        return self.encoder(video.view(-1, self.encoder.in_features)).unflatten(0, (len(video), -1))

    def film(self, seen: Tensor) -> Tensor:
        """f (N, hidden) of features of frames: a mean over time."""
        return self.recognise(seen).mean(1)

    def decode(self, plan: Tensor, seen: Tensor, goal: Tensor, state: Tensor | None = None) -> Decoded:
        """Mixtures (three of N, T, A, M) and the gripper's logits (N, T, 2) for frames (N, T, D), and the new state."""
        given = torch.cat([plan, goal], dim=1)[:, None].expand(-1, seen.shape[1], -1)
        made, state = self.decoder(torch.cat([given, seen], dim=2), state)
        mixture, grip = self.action(made).tensor_split([-2], dim=2)
        logits, log_scales, means = mixture.unflatten(2, (3, self.numbers, -1)).unbind(2)
        return (logits, log_scales, means), grip, state

    def draw_order(self, dataset: Dataset, batch_size: int, generator: Generator) -> Tensor:
        """Half of every batch has an instruction; those windows come as often as that takes."""
        told, count = dataset.factors["told"].cpu().bool(), len(dataset) // batch_size
        halves = []
        for rows, size in ((told.nonzero()[:, 0], batch_size // 2), ((~told).nonzero()[:, 0], -(-batch_size // 2))):
            rounds = -(-count * size // len(rows))
            drawn = [rows[torch.randperm(len(rows), generator=generator, device="cpu")] for _ in range(rounds)]
            halves.append(torch.cat(drawn)[: count * size].view(count, size))
        return torch.cat(halves, dim=1).flatten()

    def step(self, batch: Batch, generator: Generator) -> Step:
        """The loss, and its three terms before weights, of which the KL has beta in it."""
        assert isinstance(batch.x, dict)
        told, seen = batch.factors["told"].bool(), self.look(batch.x["video"])
        said = self.said_goal(batch.x["instruction"])
        goal, f = torch.where(told[:, None], said, self.seen_goal(seen[:, -1])), self.film(seen)
        posterior, prior = self.posterior(f), self.prior(torch.cat([seen[:, 0], goal], dim=1))
        mixture, grip, _ = self.decode(categoricals(posterior, self.classes).rsample().flatten(1), seen, goal)
        actions = batch.x["actions"].unflatten(1, (seen.shape[1], -1))
        held = F.cross_entropy(grip.flatten(0, 1), (actions[..., -1] > 0).long().flatten())
        act = held + logistic_mixture(*mixture, actions[..., :-1])
        kl = balanced_kl(lambda state: categoricals(state, self.classes), prior, posterior, self.alpha, self.beta)
        clip = contrast(self.head(f), self.said_head(said), self.log_scale, told)
        return Step(act + kl + self.weight * clip, {"act": act.detach(), "kl": kl.detach(), "clip": clip.detach()})

    def told(self, instruction: Tensor, generator: Generator) -> Callable[[Tensor], Tensor]:
        """What acts on instructions (N, S): frames (N, P) of one moment after another to actions (N, A + 1).

        The plan is drawn from the prior at the first frame and kept; the authors draw it anew every 30 steps.
        """
        goal, plan, state = self.said_goal(instruction).detach(), torch.empty(0), None

        @torch.no_grad()
        def act(frame: Tensor) -> Tensor:
            nonlocal plan, state
            seen = self.look(frame)
            if state is None:
                share = self.prior(torch.cat([seen[:, 0], goal], dim=1)).unflatten(1, (-1, self.classes)).softmax(-1)
                drawn = torch.multinomial(share.flatten(0, 1), 1, generator=generator).view(share.shape[:2])
                plan = F.one_hot(drawn, self.classes).float().flatten(1)
            mixture, grip, state = self.decode(plan, seen, goal, state)
            push = draw_action(*mixture, generator)
            return torch.cat([push, 2.0 * grip.argmax(-1, keepdim=True) - 1], dim=2)[:, 0]

        return act

    @torch.no_grad()
    def scores(self, video: Tensor, instruction: Tensor) -> Tensor:
        """The cosine of each film (N, T * P) and each instruction (M, S), (N, M)."""
        film, said = self.head(self.film(self.look(video))), self.said_head(self.said_goal(instruction))
        return F.normalize(film, dim=1) @ F.normalize(said, dim=1).T
