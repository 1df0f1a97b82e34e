"""Contrastive UCB: features of transitions learned by noise contrast, and a bonus for directions seldom seen.

The paper's algorithm in tabular form, a reconstruction: the authors published code of another agent (SPR with a bonus,
for Atari), and no noise contrast in it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.papers.contrastive_ucb.world import ACTIONS, Lock, plan, rollout, value

STEPS, LR, DECAY, INIT = 20, 0.05, 1e-3, 0.01


def contrast(ratio: Tensor, observed: Tensor) -> Tensor:
    """Binary noise contrast: is the next state the one observed, or one drawn from the negatives?

    ratio: any shape, f = psi(s')^T phi(s, a) > 0, which the best model makes P(s'|s,a) / P^-(s').
    observed: same shape, 1 for an observed next state, 0 for a negative, or the share of the observed.
    Returns: same shape, y log(1 + 1/f) + (1 - y) log(1 + f).
    Source: Qiu et al. 2022, the contrastive loss; the same as binary cross-entropy with logit log f.
    """
    return F.binary_cross_entropy_with_logits(ratio.log(), observed.to(ratio), reduction="none")


def expected_contrast(phi: Tensor, psi: Tensor, joint: Tensor, negatives: Tensor) -> Tensor:
    """The mean of `contrast` where each observed transition meets all negatives, in expectation: a scalar.

    phi: (..., S, A, d); psi: (..., S, d); joint: (..., S, A, S) share of each transition, summing to 1.
    negatives: (S,) probability of each state as a negative.
    """
    ratio = torch.einsum("...sad,...td->...sat", phi, psi)
    drawn = joint.sum(-1, keepdim=True) * negatives
    each = joint * contrast(ratio, torch.ones_like(ratio)) + drawn * contrast(ratio, torch.zeros_like(ratio))
    return each.sum() / 2


class Model(NamedTuple):
    """Features normalised so that their products are probabilities.

    phi: (..., S, A, d); mu: (..., S, d); transition: (..., S, A, S) = phi mu^T, rows sum to 1.
    """

    phi: Tensor
    mu: Tensor
    transition: Tensor


def normalise(phi: Tensor, psi: Tensor, negatives: Tensor) -> Model:
    """phi (..., S, A, d) and psi (..., S, d) as a model: phi / z, P^- psi, with z the sum of f over the negatives."""
    mu = negatives[:, None] * psi
    phi = phi / torch.einsum("...sad,...td->...sa", phi, mu)[..., None]
    return Model(phi, mu, torch.einsum("...sad,...td->...sat", phi, mu))


def on_simplex(model: Model) -> Model:
    """The same probabilities with each phi(s, a) summing to 1, so that its length, and the bonus, mean something."""
    mass = model.mu.sum(-2, keepdim=True)
    return Model(model.phi * mass[..., None, :, :], model.mu / mass, model.transition)


def bonus(phi: Tensor, counts: Tensor, gamma: float, ridge: float, cap: float) -> Tensor:
    """min(gamma |phi(s, a)| in the norm of the inverse covariance, cap), (..., S, A).

    phi: (..., S, A, d); counts: (..., S, A) visits; ridge: times the identity is added to the covariance.
    For one-hot phi this is gamma / sqrt(ridge + visits), the bonus of tabular UCB.
    """
    covariance = torch.einsum("...sa,...sad,...sae->...de", counts, phi, phi)
    covariance = covariance + ridge * torch.eye(phi.shape[-1], dtype=phi.dtype)
    flat = phi.flatten(-3, -2)
    squared = (flat * torch.linalg.solve(covariance, flat.mT).mT).sum(-1)
    return (gamma * squared.clamp(min=0).sqrt()).clamp(max=cap).unflatten(-1, counts.shape[-2:])


class Features(nn.Module):
    """phi = softmax and psi = exp of linear maps of what is observed, one pair of maps for each transition.

    Small weights at first and weight decay make what was never seen look uniform, so that its bonus is large.
    """

    def __init__(self, lock: Lock, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        levels, dims = len(lock.transition), lock.features.shape[-1]
        sizes = {"action": (levels, ACTIONS, dims, rank), "outcome": (levels, dims, rank)}
        for name, size in sizes.items():
            drawn = INIT * torch.randn(size, generator=generator, dtype=torch.float64)
            self.register_parameter(name, nn.Parameter(drawn))
        self.before, self.after = lock.features[:-1], lock.features[1:]

    def forward(self) -> tuple[Tensor, Tensor]:
        """phi (H - 1, S, A, d) and psi (H - 1, S, d)."""
        phi = torch.einsum("hsm,hamd->hsad", self.before, self.action).softmax(-1)
        return phi, torch.einsum("hsm,hmd->hsd", self.after, self.outcome).exp()


@dataclass(frozen=True, eq=False)
class Exploration:
    """What an agent did over K rounds.

    values: (K,) exact expected return of each round's greedy policy.
    visits: (K, H, 3) how often each hidden state was met, up to each round.
    ratio, truth: (H - 1, S, A, S) f of the last model and P / P^-; tried: (H - 1, S, A) how often each action was.
    """

    values: Tensor
    visits: Tensor
    ratio: Tensor
    truth: Tensor
    tried: Tensor

    def regret(self, best: float) -> float:
        """What the policies fall short of `best`, summed over 400 episodes and counted in rounds of 5."""
        return 80 * float((best - self.values).mean())


def explore(
    lock: Lock,
    seed: int,
    *,
    gamma: float = 2.0,
    rank: int | None = 3,
    ridge: float = 0.3,
    rounds: int = 80,
    episodes: int = 5,
    steps: int = STEPS,
    greed: float = 1.0,
) -> Exploration:
    """Plan with the bonus, play, learn; repeat.

    gamma: size of the bonus, 0 for a greedy agent. rank: d of the learned features; None plans on counts of raw
    states instead (UCBVI). steps: of Adam on the noise contrast each round, 0 leaves the features untrained. greed:
    share of actions that follow the plan while playing.
    """
    for name, number, least in (("gamma", gamma, 0), ("rounds", rounds, 1), ("episodes", episodes, 1)):
        if number < least:
            raise ValueError(f"{name} must be at least {least}, got {number}")
    generator = torch.Generator().manual_seed(seed)
    levels, states = len(lock.reward), len(lock.start)
    negatives = torch.full((states,), 1 / states, dtype=torch.float64)
    counts = torch.zeros_like(lock.transition)
    met = torch.zeros(levels, 3)
    features = Features(lock, rank, generator) if rank else None
    descent = torch.optim.Adam(features.parameters(), LR, weight_decay=DECAY) if features else None
    values, visits = [], []
    for _ in range(rounds):
        model = learned(features, negatives) if features else counted(counts)
        extra = torch.zeros_like(lock.reward)
        extra[:-1] = bonus(model.phi, counts.sum(-1), gamma, ridge, levels)
        if not features:
            extra[:-1][counts.sum(-1) == 0] = levels  # UCBVI expects the best of what it has never tried
        policy = plan(model.transition, lock.reward, extra).argmax(-1)
        values.append(value(lock, policy))
        played = rollout(lock, policy, episodes, greed, generator)
        for level in range(levels):
            at, did = played[:, level].unbind(1)
            met[level] += torch.bincount(lock.latent[at], minlength=3)
            if level < levels - 1:
                here = (torch.full_like(at, level), at, did, played[:, level + 1, 0])
                counts.index_put_(here, torch.ones(episodes, dtype=counts.dtype), accumulate=True)
        visits.append(met.clone())
        for _ in range(steps):
            if not features or not descent:
                break
            descent.zero_grad()
            phi, psi = features()
            expected_contrast(phi, psi, counts / counts.sum() * len(counts), negatives).backward()
            descent.step()
    transition = (learned(features, negatives) if features else counted(counts)).transition
    return Exploration(
        torch.tensor(values), torch.stack(visits), transition / negatives, lock.transition / negatives,
        counts.sum(-1),
    )  # fmt: skip


def learned(features: Features, negatives: Tensor) -> Model:
    """The model that the features stand for."""
    with torch.no_grad():
        phi, psi = features()
        return on_simplex(normalise(phi, psi, negatives))


def counted(counts: Tensor) -> Model:
    """The model of raw states: one-hot features of (s, a) and the observed shares; a pair never seen leads nowhere.

    counts: (H - 1, S, A, S).
    """
    levels, states, actions, _ = counts.shape
    pairs = torch.eye(states * actions, dtype=counts.dtype).unflatten(0, (states, actions)).expand(levels, -1, -1, -1)
    transition = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    return Model(pairs, transition.flatten(1, 2).mT, transition)
