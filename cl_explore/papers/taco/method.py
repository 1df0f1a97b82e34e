"""TACO: state and actions together must tell the state that follows them among those that follow others.

Source: Zheng et al. 2023 and the authors' code. The contrast is `losses.cpc`: one learned matrix, one direction, no
normalisation, no temperature. The agent that would use the encoder (critic, actor) is not part of it.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data import Batch
from cl_explore.data.batch import Samples
from cl_explore.methods import Augment, Method, Step
from cl_explore.methods.gather import gather
from cl_explore.names import unknown
from cl_explore.takes import Count, takes
from cl_explore.views.draw import draw_views

TERMS = ("taco", "curl", "reward")
Start = Literal["authors", "identity"]


class ActionEncoder(nn.Module):
    """Codes u (N, K * L) of K actions (N, K * A), each first encoded by itself."""

    def __init__(self, actions: int, steps: int, latent: int) -> None:
        """A numbers an action, K steps, L numbers for the code of each."""
        super().__init__()
        self.steps = steps
        self.each = nn.Sequential(nn.Linear(actions, 64), nn.Tanh(), nn.Linear(64, latent))
        width = steps * latent
        self.together = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """u of actions x."""
        return self.together(self.each(x.unflatten(1, (self.steps, -1))).flatten(1))


class TACO(Method):
    """The sum of three terms on transitions: observation, K actions, the observation that follows, the reward.

    Samples have the parts "now" and "later", observations of one shape, and "actions" (N, K * A); the factor "reward"
    is read by the term of that name. The representation of a sample is z of "now".
    """

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        augment: Augment,
        *,
        features: Count,
        actions: Count,
        steps: Count = 3,
        latent: Count | None = None,
        hidden: Count = 1024,
        terms: Sequence[str] = TERMS,
        start: Start = "authors",
        stop: bool = True,
    ) -> None:
        """Networks and terms.

        encoder, head: from an observation to h and from h to z (N, D): linear, LayerNorm, tanh in the paper.
        augment: two views of "now", one of "later".
        features: D.
        actions, steps: A numbers an action, K actions.
        latent: numbers for the code of an action, by default 1.25 A rounded down, plus 1.
        hidden: width of the layers that join state and actions and guess the reward.
        terms: which of TERMS count, each with weight 1: "taco"; "curl", in which z finds the other view of its own
            observation by the same matrix; "reward", the squared error of a guess from state and actions.
        start: of the matrix W, "authors" draws it from [0, 1], "identity" begins with plain inner products.
        stop: no gradient goes through the states that are to be found; the same network makes them.

        Raises ValueError for no term and an unknown one.
        """
        if not terms:
            raise ValueError(f"terms must name one of {', '.join(TERMS)} at least, got none")
        for term in terms:
            if term not in TERMS:
                raise unknown("term", term, TERMS)
        super().__init__(encoder, head, augment)
        self.terms, self.stop = tuple(terms), stop
        latent = latent or actions * 5 // 4 + 1
        self.actions = ActionEncoder(actions, steps, latent)
        both = features + steps * latent
        self.join = nn.Sequential(nn.Linear(both, hidden), nn.ReLU(), nn.Linear(hidden, features))
        self.reward = nn.Sequential(nn.Linear(both, hidden), nn.ReLU(), nn.Linear(hidden, 1))
        self.critic = nn.Parameter(torch.eye(features) if start == "identity" else torch.rand(features, features))

    def forward(self, x: Samples) -> Tensor:
        """z (N, D) of observations, or of the part "now" of samples."""
        return self.head(self.encoder(x["now"] if isinstance(x, dict) else x))

    def project(self, h: Tensor) -> Tensor:
        """z, which is the representation too."""
        return h

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """The sum of the terms, each of which is a metric."""
        x = batch.x
        now, other = draw_views(self.augment, x["now"], generator, 2).unbind(1)
        later = draw_views(self.augment, x["later"], generator, 1)[:, 0]
        return self.compare(now, other, later, x["actions"], batch.factors.get("reward"))

    def compare(self, now: Tensor, other: Tensor, later: Tensor, actions: Tensor, reward: Tensor | None) -> Step:
        """The terms of two views of observations, those that follow (N, ...), actions (N, K * A), rewards (N,)."""
        z = self(now)
        both = torch.cat((z, self.actions(actions)), 1)
        found: dict[str, Tensor] = {}
        with torch.set_grad_enabled(not self.stop):
            targets = {"taco": later, "curl": other}
            keys = {term: self(targets[term]) for term in self.terms if term in targets}
        for term, key in keys.items():
            query, key = gather(self.join(both) if term == "taco" else z, key)
            found[term] = losses.cpc(query, key, self.critic)
        if "reward" in self.terms:
            if reward is None:
                raise ValueError('terms "reward" needs a factor "reward" of the data set, which has none')
            found["reward"] = F.mse_loss(self.reward(both)[:, 0], reward.to(z.dtype))
        return Step(torch.stack([*found.values()]).sum(), {term: value.detach() for term, value in found.items()})

    def extra_repr(self) -> str:
        return f"terms={self.terms}, stop={self.stop}"


def form(encoder: nn.Module, head: nn.Module, loss: None, augment: Augment, **options: Any) -> TACO:
    """TACO as the bench builds it: the loss is its own."""
    return TACO(encoder, head, augment, **options)
