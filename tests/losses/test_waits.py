"""No loss on a table that is stored makes a GPU wait for the host, nor the host for it, but those named here.

The device "meta" stands for the GPU: a tensor there has no values, so whoever asks for one fails.
"""

from typing import Any

import pytest
import torch
from gpu_stages.inputs import given
from roles import batch, options
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cl_explore import losses
from cl_explore.losses import Loss

ALLOWED = {
    "varcon": "unique: how many classes there are decides how many centroids",
    "listwise_wasserstein": "linalg_svd: the decomposition checks on the host whether it converged",
}
"""Which losses wait, once in a step, for what."""
COPIES = {torch.tensor, torch.as_tensor, torch.from_numpy, Tensor.new_tensor, Tensor.tolist, Tensor.item, Tensor.cpu}


class Waits(TorchFunctionMode):
    """The calls that bring a number of the host to the device, each a copy from pageable memory, or one from there."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in COPIES:
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


class Decompositions(TorchDispatchMode):
    """The decompositions of a step, of forward and of backward."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        if any(slow in name for slow in ("svd", "eigh", "cholesky", "solve", "inv", "_to_copy", "copy_")):
            devices = {x.device for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)}
            if "copy" not in name or len(devices | {(kwargs or {}).get("device") or torch.device("meta")}) > 1:
                self.found.append(name)
        return func(*args, **(kwargs or {}))


def waits(loss: Loss, **knobs: Any) -> list[str]:
    z, y, _ = batch(0)
    x = {
        name: value.float().to("meta").requires_grad_() if value.is_floating_point() else value.to("meta")
        for name, value in given(loss, z, y).items()
    }
    with Waits() as calls, Decompositions() as slow:
        try:
            value = loss(**x, **knobs)
            value.backward()
        except (NotImplementedError, RuntimeError) as error:
            calls.found.append(str(error).splitlines()[0])
    return calls.found + slow.found


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
def test_no_loss_waits_but_those_named(loss: Loss) -> None:
    for knobs in options(loss):
        found = waits(loss, **knobs)
        reason = ALLOWED.get(loss.name, "")
        assert bool(found) == bool(reason), f"{loss.name}, {knobs}: {found}"
        assert all(reason.partition(":")[0] in each for each in found), f"{loss.name}, {knobs}: {found}"
