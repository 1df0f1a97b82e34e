"""How views are asked for, of whatever augmentation: at full precision, and checked before anything is made of them."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cl_explore.losses.catalogue import without_autocast


def draw_views(
    augment: Callable[[Any, torch.Generator, int], Any],
    x: Any,
    generator: torch.Generator,
    n_views: int,
    *,
    bag: bool = False,
) -> Any:
    """What augment(x, generator, n_views) gives, made outside autocast and checked.

    x: (B, ...), or tensors by name, each so; the views, (B, n_views, ...), may be one tensor all the same
    bag: any number of views will do
    Note: the views of numbers come in the type of x, those of tokens in float32 if they are no tokens any more.
    Raises: TypeError or ValueError, saying which axis is wrong, unless that is what `augment` returns
    """
    first = next(iter(x.values())) if isinstance(x, dict) else x
    views: Any = without_autocast(first.device.type, partial(augment, x, generator, n_views))
    samples, alike, ready = len(first), False, {}
    for name, part in views.items() if isinstance(views, dict) else [("", views)]:
        what = f"views of {name!r}" if name else "views"
        need = f"augment must return {what} as a tensor (B, V, ...)"
        if not isinstance(part, Tensor):
            raise TypeError(f"{need}, got {type(part).__name__}; of a list of views it is torch.stack(views, dim=1)")
        count = part.shape[1] if bag and part.ndim > 1 else n_views
        if part.shape[:2] == (samples, count) and count > 0:
            alike |= samples == count > 1
            of = [x[name]] if isinstance(x, dict) and name in x else list(x.values()) if isinstance(x, dict) else [x]
            ready[name] = _in_type_of(of, part, need)
            continue
        need += f" with B = {samples} samples" + ("" if bag else f" and V = {n_views} views of each")
        got = f"got shape {tuple(part.shape)}"
        if part.shape[:2] == (n_views, samples):
            raise ValueError(f"{need}, {got}: axes 0 and 1 are swapped; torch.stack(views, dim=1) has them in order")
        if part.ndim < 2:
            raise ValueError(f"{need}, {got}: an axis is missing")
        wrong = 0 if part.shape[0] != samples else 1
        raise ValueError(f"{need}, {got}: axis {wrong} is wrong")
    if alike:  # as many samples as views, which no shape tells apart: ask for those of one more
        more = {k: _one_more(part) for k, part in x.items()} if isinstance(x, dict) else _one_more(x)
        with torch.random.fork_rng(devices=[]):
            draw_views(augment, more, torch.Generator(first.device).manual_seed(0), n_views, bag=bag)
    return ready if isinstance(views, dict) else ready[""]


def _in_type_of(x: list[Tensor], views: Tensor, need: str) -> Tensor:
    """The views in the type of the samples that they were made of, or in float32; TypeError if they can be in none."""
    if views.is_floating_point():
        return views.to(next((part.dtype for part in x if part.is_floating_point()), torch.float32))
    whole = next((part.dtype for part in x if not part.is_floating_point()), None)
    if whole is None or views.is_complex() or views.dtype == torch.bool:
        raise TypeError(f"{need} of floating-point numbers{'' if whole is None else ' or integers'}, got {views.dtype}")
    return views.to(whole)


def _one_more(x: Tensor) -> Tensor:
    return torch.cat([x, x[:1]])
