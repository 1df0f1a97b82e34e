"""What SwiFT contrasts, persons and moments of one person, and an encoder of clips with windows in four dimensions."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.data.batch import Samples
from cl_explore.methods import Augment, JointEmbedding, Step
from cl_explore.methods.method import Embedded
from cl_explore.takes import Amount, Count, takes


def local_contrast(z: Tensor, *, temperature: float = 0.1) -> Tensor:
    """NT-Xent within each subject, between its own clips: the mean over anchors, a scalar.

    z: (B, C, V, D), V augmentations of each of C clips of B subjects
    temperature: divides cosines
    Source: the authors' code, where B times this is called the local-local loss; with the subjects for groups it is
        `losses.mcl`
    Raises: ValueError for another shape
    """
    if z.ndim != 4:
        raise ValueError(f"z must have shape (B, C, V, D), got {tuple(z.shape)}")
    subject = torch.arange(len(z), device=z.device).repeat_interleave(z.shape[1])
    return losses.mcl(z.flatten(0, 1), subject, temperature=temperature)


class SwiFT(JointEmbedding):
    """Instance contrast between subjects, local contrast between the clips of a subject, or both through one head.

    The instance contrast takes two clips of a subject for positives and all clips of others for negatives; the local
    one takes two augmentations of a clip for positives and those of the subject's other clip for negatives. The
    metrics `instance` and `local` are means over anchors.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        loss: str,
        augment: Augment,
        *,
        instance_weight: Amount = 1.0,
        local_weight: Amount = 1.0,
        local_reduction: Literal["sum", "mean"] = "sum",
        **options: Any,
    ) -> None:
        """What it is made of.

        loss: of the instance contrast, with two views; the authors' is "nt_xent".
        augment: gives as many augmentations of one clip of a subject as of another, first all of the first clip.
        instance_weight, local_weight: of each contrast; without weight it needs no augmentation of its own: of each
            clip there are one for the instance contrast and two for the local one. The authors have 1 and 0, 0 and 1,
            or 1 and 1.
        local_reduction: over subjects, whose sum (the authors') grows with the batch beside the instance contrast.
        options: knobs of the loss, of which `temperature` is that of both.
        Raises: ValueError if both weights are 0, or for another reduction
        """
        views = 2 * ((instance_weight > 0) + 2 * (local_weight > 0))
        if not views:
            raise ValueError("instance_weight or local_weight must be above 0, got 0 for both")
        if local_reduction not in ("sum", "mean"):
            raise ValueError(f"local_reduction must be 'sum' or 'mean', got {local_reduction!r}")
        super().__init__(encoder, head, loss, augment, views, **options)
        self.instance_weight, self.local_weight = instance_weight, local_weight
        self.local_reduction = local_reduction

    def compare(self, embedded: Embedded) -> Step:
        """The weighted sum of both contrasts."""
        z = embedded.z.unflatten(1, (2, -1))
        metrics, loss = {}, z.new_zeros(())
        if self.instance_weight:
            first = super().compare(embedded._replace(z=z[:, :, 0]))
            metrics["instance"] = first.loss.detach()
            loss = loss + self.instance_weight * first.loss
        if self.local_weight:
            local = local_contrast(z[:, :, -2:], temperature=self.knobs["temperature"])
            metrics["local"] = local.detach()
            loss = loss + self.local_weight * local * (len(z) if self.local_reduction == "sum" else 1)
        return Step(loss, metrics)


class OverTime(nn.Module):
    """Each token (N, T, X, Y, Z, C) with the moments before and after: a convolution over T, added to it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        series = x.movedim(1, -1)  # (N, X, Y, Z, C, T)
        mixed = F.gelu(self.convolution(series.flatten(0, 3))).view_as(series)
        return x + mixed.movedim(-1, 1)


class WindowAttention(nn.Module):
    """A block of 4-D window attention: tokens (N, T, X, Y, Z, C) attend to those of their own window, then an MLP.

    Where windows are shifted, the grid wraps round, and tokens that only this made neighbours do not see each other.
    Source: the Swin block (2103.14030) over time and space as SwiFT has it, without biases of relative position
    """

    @takes
    def __init__(self, features: Count, heads: Count, window: Sequence[int], shifted: bool = False) -> None:
        """window: sides in T, X, Y, Z, which must divide those of the grid.

        shifted: by half a window, along the axes that have more than one.
        Raises: ValueError for a window of other than four sides, or features that heads do not divide
        """
        if len(window) != 4 or min(window) < 1:
            raise ValueError(f"window must be four sides of at least 1 (T, X, Y, Z), got {list(window)}")
        if features % heads:
            raise ValueError(f"features must be a multiple of heads ({heads}), got {features}")
        super().__init__()
        self.heads, self.window, self.shifted = heads, tuple(window), shifted
        self.before, self.after = nn.LayerNorm(features), nn.LayerNorm(features)
        self.qkv, self.out = nn.Linear(features, 3 * features), nn.Linear(features, features)
        self.mlp = nn.Sequential(nn.Linear(features, 4 * features), nn.GELU(), nn.Linear(4 * features, features))

    def forward(self, x: Tensor) -> Tensor:
        grid = x.shape[1:5]
        if any(side % part for side, part in zip(grid, self.window, strict=True)):
            raise ValueError(f"window must divide the grid {tuple(grid)} of tokens, got {self.window}")
        sides = list(zip(grid, self.window, strict=True))
        shift = [part // 2 if self.shifted and part < side else 0 for side, part in sides]
        axes = (1, 2, 3, 4)
        rolled = self.before(x).roll([-step for step in shift], axes)
        q, k, v = self.qkv(self._windows(rolled)).unflatten(-1, (3, self.heads, -1)).permute(3, 0, 1, 4, 2, 5)
        seen = None
        if any(shift):
            # along an axis, what the roll brought from the front to the end is another region
            region = x.new_zeros(1, *grid, 1)
            for axis, (step, (side, _)) in enumerate(zip(shift, sides, strict=True)):
                wrapped = torch.arange(side, device=x.device) >= side - step
                region = 2 * region + wrapped.view([-1 if place == axis + 1 else 1 for place in range(6)])
            own = self._windows(region)[..., 0]
            seen = (own[..., :, None] == own[..., None, :])[:, :, None]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=seen)  # (N, W, heads, L, C / heads)
        whole = self._grid(self.out(mixed.transpose(2, 3).flatten(3)), grid)
        x = x + whole.roll(shift, axes)
        return x + self.mlp(self.after(x))

    def _windows(self, x: Tensor) -> Tensor:
        """The tokens of each window, (N, W, L, C), of a grid of tokens."""
        for axis, part in enumerate(self.window):
            x = x.unflatten(1 + 2 * axis, (-1, part))
        return x.permute(0, 1, 3, 5, 7, 2, 4, 6, 8, 9).flatten(5, 8).flatten(1, 4)

    def _grid(self, windows: Tensor, grid: Sequence[int]) -> Tensor:
        """The grid of tokens whose windows these are."""
        many = [side // part for side, part in zip(grid, self.window, strict=True)]
        x = windows.unflatten(1, many).unflatten(5, self.window)
        return x.permute(0, 1, 5, 2, 6, 3, 7, 4, 8, 9).reshape(len(x), *grid, -1)


class ClipEncoder(nn.Module):
    """Clips (N, T, X, Y, Z) in tokens of `patch` voxels a side and one frame, and h (N, 2 width) of all tokens.

    h is their mean, and the mean of their standard deviations over time: how active the brain is.
    SwiFT stacks four stages of windows with patches merged in between; here is one, of a convolution over time or of
    any `mix`.
    """

    @takes
    def __init__(self, shape: Sequence[int], width: Count = 16, patch: Count = 2, mix: nn.Module | None = None) -> None:
        """shape: T, X, Y, Z of clips; voxels beyond the last whole patch are left out.

        mix: maps tokens (N, T, X / patch, Y / patch, Z / patch, width) to as many; left out, `OverTime`.
        """
        super().__init__()
        frames, *sides = shape
        self.patch = nn.Conv3d(1, width, patch, patch)
        self.position = nn.Parameter(0.1 * torch.randn(frames, *(side // patch for side in sides), width))
        self.mix = OverTime(width) if mix is None else mix
        self.out_features = 2 * width

    def forward(self, x: Samples) -> Tensor:
        """x (N, T, X, Y, Z) -> h (N, 2 width)."""
        assert isinstance(x, Tensor)
        patches = self.patch(x.flatten(0, 1)[:, None]).unflatten(0, x.shape[:2])
        tokens = self.mix(patches.movedim(2, -1) + self.position)
        return torch.cat([tokens.mean((1, 2, 3, 4)), (tokens.var(1) + 1e-4).sqrt().mean((1, 2, 3))], dim=1)


def attending(width: int, window: Sequence[int], heads: int = 4) -> nn.Module:
    """A block with windows as they lie, then one with shifted windows: Swin's pair."""
    return nn.Sequential(*(WindowAttention(width, heads, window, shifted) for shifted in (False, True)))


def projection(features: int, size: int) -> nn.Module:
    """SwiFT's head of pooled tokens: linear without bias, and batch norm over all clips of the batch together."""
    return nn.Sequential(nn.Linear(features, size, bias=False), nn.BatchNorm1d(size))
