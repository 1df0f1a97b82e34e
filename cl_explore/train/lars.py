"""Layer-wise adaptive rate scaling, the optimiser of large batches."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from cl_explore.takes import Amount, Positive, Share, takes


class LARS(Optimizer):
    """SGD with momentum in which every layer moves by a share of its own length (You et al. 2017, 1708.03888).

    With w the weights of a layer, g its gradient, gamma the learning rate and beta the weight decay, the algorithm 1 of
    the paper:  lambda = trust ||w|| / (||g|| + beta ||w||),  v <- momentum v + gamma lambda (g + beta w),  w <- w - v.

    Biases and batch-norm scales (one dimension or none) take lambda = 1 and no weight decay; layers that are 0 or whose
    gradient is take lambda = 1. No norm is ever read by the host.
    """

    @takes
    def __init__(
        self,
        params: Iterable[nn.Parameter],
        lr: Amount,
        momentum: Share = 0.9,
        weight_decay: Amount = 0.0,
        trust: Positive = 1e-3,
    ) -> None:
        """trust: the share eta of its length by which a layer may move at learning rate 1."""
        try:
            params = list(params)
        except TypeError:
            raise TypeError(f"params must be parameters, got {type(params).__name__}") from None
        if not params:
            raise ValueError("params must hold at least one parameter, got none")
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; `closure`, if given, computes the loss anew and is returned."""
        with torch.enable_grad():
            loss = closure() if closure is not None else None
        # lists at once: a kernel for each of hundreds of small tensors costs more than the arithmetic
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            updates = [weight.grad for weight in weights]
            layers = [place for place, weight in enumerate(weights) if weight.ndim > 1]
            if layers:
                own, slopes = ([tensors[place] for place in layers] for tensors in (weights, updates))
                length, slope = (torch.stack(torch._foreach_norm(tensors)) for tensors in (own, slopes))
                rate = group["trust"] * length / (slope + group["weight_decay"] * length)
                rate = torch.where((length > 0) & (slope > 0), rate, 1.0)
                moved = torch._foreach_mul(own, group["weight_decay"])
                torch._foreach_add_(moved, slopes)
                torch._foreach_mul_(moved, rate.unbind())
                for place, update in zip(layers, moved, strict=True):
                    updates[place] = update
            velocities = [self.state[weight].setdefault("velocity", torch.zeros_like(weight)) for weight in weights]
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_add_(velocities, updates, alpha=group["lr"])
            torch._foreach_sub_(weights, velocities)
        return loss
