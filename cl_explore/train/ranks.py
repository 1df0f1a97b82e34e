"""The processes that train one method together, started by `torchrun` or `fabric run`."""

import os
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from cl_explore.methods import Method
from cl_explore.train.run import Run
from cl_explore.train.settings import Precision

if TYPE_CHECKING:
    from lightning_fabric import Fabric

MEETING = 16
"""Steps between two questions to all processes, such as whether it is time for a checkpoint: each stops the device."""


def make_fabric(device: str, precision: Precision) -> "Fabric":
    """One device for this process; with a launcher, joined to the other processes it started, a device for each.

    Raises ValueError if there is no such device, or not one for each process.
    """
    from lightning_fabric import Fabric  # it brings torch's compiler along, a second that only training is to pay

    kind, _, number = device.partition(":")
    world = int(os.environ["WORLD_SIZE"]) if dist.is_available() and dist.is_torchelastic_launched() else 1
    try:
        if world == 1:
            return Fabric(accelerator=kind, devices=[int(number)] if number else 1, precision=precision)
        if number:
            raise ValueError(f"each of the {world} processes has a device of its own, so name only its kind")
        here = int(os.environ["LOCAL_WORLD_SIZE"])
        fabric = Fabric(accelerator=kind, strategy="ddp", devices=here, num_nodes=world // here, precision=precision)
        if "LT_CLI_USED" not in os.environ:  # `fabric run` has it done by now
            fabric.launch()
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"device {device!r} with precision {precision!r} cannot be used here: {error}") from error
    return fabric


def from_all(fabric: "Fabric", own: Any) -> list[Any]:
    """What each process hands over, in the order of ranks."""
    every = [own] * fabric.world_size
    if fabric.world_size > 1:
        dist.all_gather_object(every, own)
    return every


def of_first(fabric: "Fabric", method: Method, run: Run | None) -> Run:
    """The run of the first process, with its weights and state in every process's `method`."""
    if fabric.world_size > 1:
        for value in method.state_dict().values():
            dist.broadcast(value, src=0)
    names = [field.name for field in fields(Run) if field.name != "method"]
    record = fabric.broadcast({name: getattr(run, name) for name in names} if run is not None else {})
    return Run(**record, method=method)


def synchronise_batch_norm(method: Method, fabric: "Fabric") -> None:
    """Let batch norm take its statistics over the views of all processes; ValueError where torch cannot: on the CPU."""
    if fabric.world_size == 1:
        return
    if fabric.device.type == "cpu":
        raise ValueError("sync_batchnorm needs GPUs, got device 'cpu'")
    torch.nn.SyncBatchNorm.convert_sync_batchnorm(method)
