"""The combination lock: a decision process whose reward only one sequence of actions reaches."""

from dataclasses import dataclass

import torch
from torch import Tensor

GOOD_A, GOOD_B, BAD = range(3)
LEVELS, ACTIONS, DIMENSIONS, NOISE, DECOY = 5, 4, 8, 0.2, 0.1


@dataclass(frozen=True, eq=False)
class Lock:
    """An episodic decision process of H levels with S states and A actions at each.

    transition: (H - 1, S, A, S) probability of the state at the next level.
    reward: (H, S, A), known to the agent.
    start: (S,) probability of the first state.
    features: (H, S, M) what is observed of a state.
    latent: (S,) the hidden state that shows itself as this one: GOOD_A, GOOD_B or BAD.
    """

    transition: Tensor
    reward: Tensor
    start: Tensor
    features: Tensor
    latent: Tensor


def combination_lock(observations: int, seed: int) -> Lock:
    """A lock of 5 levels and 4 actions whose 3 hidden states show themselves as `observations` states each.

    In either good state one secret action, drawn for each level, leads to a good state again; every other action leads
    to the bad one for ever. The secret action pays 1 at the last level, any other .1 at the first: a decoy. A state's
    features are its hidden state, one-hot, with noise of .2, turned into 8 dimensions by a rotation of its level.
    """
    if observations < 1:
        raise ValueError(f"observations must be at least 1, got {observations}")
    generator = torch.Generator().manual_seed(seed)
    latent = torch.arange(3).repeat_interleave(observations)
    secret = torch.randint(ACTIONS, (LEVELS, 2), generator=generator)
    opens = torch.zeros(LEVELS, 3, ACTIONS, dtype=torch.float64)
    opens[:, :2] = torch.nn.functional.one_hot(secret, ACTIONS).double()
    after = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]], dtype=torch.float64)  # of a wrong and of a secret action
    hidden = after[opens.long()]  # (H, 3, A, 3)
    reward = torch.zeros_like(opens)
    reward[-1] = opens[-1]
    reward[0, :2] = DECOY * (1 - opens[0, :2])
    one_hot = torch.eye(3, DIMENSIONS, dtype=torch.float64)[latent].expand(LEVELS, -1, -1)
    noisy = one_hot + NOISE * torch.randn(one_hot.shape, generator=generator, dtype=torch.float64)
    square = torch.randn(LEVELS, DIMENSIONS, DIMENSIONS, generator=generator, dtype=torch.float64)
    rotation = torch.linalg.qr(square).Q
    return Lock(
        transition=hidden[:-1][:, latent][..., latent] / observations,
        reward=reward[:, latent],
        start=(latent != BAD).double() / (2 * observations),
        features=noisy @ rotation,
        latent=latent,
    )


def plan(transition: Tensor, reward: Tensor, bonus: Tensor | float = 0.0) -> Tensor:
    """Q (H, S, A) by backward induction, each capped at H: Q_h = min(r_h + b_h + P_h max_a Q_{h+1}, H).

    transition: (H - 1, S, A, S), a model of it or the truth; reward: (H, S, A); bonus: (H, S, A), or one number.
    """
    levels = len(reward)
    now = reward + bonus
    q = [now[-1].clamp(max=levels)]
    for level in reversed(range(levels - 1)):
        q.append((now[level] + transition[level] @ q[-1].amax(-1)).clamp(max=levels))
    return torch.stack(q[::-1])


def value(lock: Lock, policy: Tensor) -> float:
    """The expected return of the policy (H, S) of action numbers, exactly."""
    states = torch.arange(len(lock.start))
    ahead = torch.zeros(len(states), dtype=lock.reward.dtype)
    for level in reversed(range(len(lock.reward))):
        ahead_of = lock.transition[level][states, policy[level]] @ ahead if level < len(lock.transition) else 0.0
        ahead = lock.reward[level][states, policy[level]] + ahead_of
    return float(lock.start @ ahead)


def rollout(lock: Lock, policy: Tensor, episodes: int, greed: float, generator: torch.Generator) -> Tensor:
    """Episodes played: (episodes, H, 2) state and action at each level.

    policy: (H, S) action numbers, followed with probability `greed`; otherwise an action is drawn uniformly.
    """
    states = torch.multinomial(lock.start, episodes, replacement=True, generator=generator)
    played = []
    for level in range(len(lock.reward)):
        drawn = torch.randint(ACTIONS, (episodes,), generator=generator)
        follows = torch.rand(episodes, generator=generator) < greed
        actions = torch.where(follows, policy[level][states], drawn)
        played.append(torch.stack([states, actions], dim=1))
        if level < len(lock.transition):
            states = torch.multinomial(lock.transition[level][states, actions], 1, generator=generator)[:, 0]
    return torch.stack(played, dim=1)
