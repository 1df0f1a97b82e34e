"""SwAV: views assigned to shared prototypes, in equal shares, and predicted from one another."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cl_explore.losses.arguments import require
from cl_explore.losses.catalogue import TEMPERATURE, Parts, loss
from cl_explore.losses.knob import Knob, Scalar, as_tensor
from cl_explore.takes import Count, Positive, takes

EPSILON = Knob("epsilon", 0.01, 1.0, log=True, help="softness of the target codes: large = all prototypes alike")


def sinkhorn(scores: Tensor, epsilon: float | Tensor, iterations: int) -> Tensor:
    """Soft assignment of N points to C prototypes that gives every prototype the same share.

    scores (N, C), returns (N, C) of rows that sum to 1: exp(scores / epsilon), its columns and rows normalised in
    turn. The last step is one of rows, so that columns only come near N / C. In logarithms, which hold any epsilon.

    >>> sinkhorn(torch.tensor([[5.0, 4.0], [5.0, 1.0]]), epsilon=0.1, iterations=3).round()
    tensor([[0., 1.],
            [1., 0.]])
    """
    require(scores=(scores, "N C"))
    EPSILON.check(epsilon, 1)
    if getattr(epsilon, "device", scores.device) != scores.device:
        raise ValueError(f"epsilon must be on {scores.device} like scores, got another device")
    if not isinstance(iterations, int) or isinstance(iterations, bool) or not 1 <= iterations <= 10_000:
        raise ValueError(f"iterations must be a whole number from 1 to 10,000, got {iterations!r}")
    log = scores / as_tensor("epsilon", epsilon, scores)
    for _ in range(iterations):
        log = (log - log.logsumexp(0)).log_softmax(1)
    return log.exp()


@loss(
    title="SwAV",
    paper="2006.09882",
    family="assignment",
    formula=r"-\sum_c q_{jc} \log \frac{e^{z_i^\top w_c/\tau}}{\sum_{c'} e^{z_i^\top w_{c'}/\tau}}",
    knobs=[
        TEMPERATURE,
        EPSILON,
        Knob(
            "iterations",
            1.0,
            10.0,
            minimum=1,
            maximum=10_000,
            help="rounds of normalisation towards equal shares",
        ),
    ],
    min_samples=1,
    min_views=2,
)
def swav(
    z: Tensor,
    prototypes: Tensor,
    memory: Tensor | None = None,
    *,
    temperature: Scalar = 0.1,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Parts:
    """Swapped assignment: predict from one view the cluster code of the other.

    z: (B, V, D) with V >= 2, N = B V anchors
    prototypes: (C, D)
    memory: (K, V, D) earlier embeddings of each view that take part in the balancing only
    Parts: `loss` (N,), `code` (N, C) the code of each anchor
    Source: Caron et al. 2020, equations 1 and 2, and the authors' code
    Collapsed: at least log C, as equal shares make every code uniform
    Perfect: near 0
    Raises: `ValueError` for one sample without memory
    Note: The codes q (`sinkhorn` of the cosines, view by view) are targets and carry no gradient; the prototypes learn
        through the softmax. One prototype: 0. `SwAV` is the module that keeps the prototypes.

    >>> z = torch.eye(4)[:, None].expand(4, 2, 4)
    >>> swav(z, torch.eye(4)) < 1e-3
    tensor(True)
    """
    if memory is None and len(z) < 2:
        raise ValueError("z must hold at least 2 samples to share the prototypes among, got 1 (or give a memory)")
    scores = z @ prototypes.T
    everyone = scores if memory is None else torch.cat([memory @ prototypes.T, scores])
    # Detached, which forward derivatives respect as well; no_grad does not stop them.
    views = everyone.detach().unbind(1)
    codes = torch.stack([sinkhorn(view, epsilon, iterations)[-len(z) :] for view in views], dim=1)
    target = (codes.sum(1, keepdim=True) - codes) / (z.shape[1] - 1)
    scale = 1 / temperature
    log_p = (scores.flatten(0, 1) * scale[..., None]).log_softmax(1)
    return {"loss": -(target.flatten(0, 1) * log_p).sum(1), "code": codes.flatten(0, 1)}


class SwAV(nn.Module):
    """`swav` with its learnable prototypes, a parameter (C, D) that starts as random directions.

    Each call first brings the prototypes back to unit length, as the optimiser has moved them off the sphere, then
    computes the loss. Keeping them still during the first steps is up to the training loop.

    >>> criterion = SwAV(prototypes=5, dim=3)
    >>> criterion(torch.randn(4, 2, 3)).backward()
    >>> criterion.prototypes.grad.shape
    torch.Size([5, 3])
    """

    @takes
    def __init__(
        self,
        prototypes: Count,
        dim: Count,
        *,
        temperature: Positive | nn.Parameter = 0.1,
        epsilon: Positive = 0.05,
        iterations: Count = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.knobs: dict[str, Any] = {"temperature": temperature, "epsilon": epsilon, "iterations": iterations}
        device = None if generator is None else generator.device
        start = torch.randn(prototypes, dim, generator=generator, device=device)
        self.prototypes = nn.Parameter(F.normalize(start, dim=1))

    def forward(
        self, z: Tensor, memory: Tensor | None = None, *, reduction: Literal["mean", "none"] = "mean"
    ) -> Tensor:
        """The loss of z (B, V, D), its codes balanced together with memory (K, V, D) where given."""
        # Through .data: autograd would take the write for a change of what an earlier graph still needs.
        self.prototypes.data.copy_(F.normalize(self.prototypes.data, dim=1))
        return swav(z, self.prototypes, memory, reduction=reduction, **self.knobs)
