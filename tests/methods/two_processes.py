"""Run by test_gather.py as each of two processes: `python two_processes.py RANK MEETING_FILE RESULT_FILE`.

Writes, for each case, how far loss, gradients and state of two processes lie from those of one on the joined batch.
"""

import json
import sys

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from cl_explore import losses, nn
from cl_explore.data import Batch
from cl_explore.losses.queued import MoCo
from cl_explore.losses.sigmoid import SigLIP
from cl_explore.losses.temperature import ISogCLR, SogCLR
from cl_explore.methods import JointEmbedding, Method, Step, gather

WORLD = 2


class Own(Method):
    """A method written by a reader, around a loss with state or parameters of its own."""

    def __init__(self, encoder, head, augment, criterion):
        super().__init__(encoder, head, augment)
        self.criterion = criterion

    def step(self, batch, generator):
        views = self.augment(batch.x, generator, 2)
        z = self.project(self(views.flatten(0, 1))).unflatten(0, views.shape[:2])
        z, index = gather(z, batch.index)
        given = (z, index) if isinstance(self.criterion, (SogCLR, ISogCLR)) else (z[:, 0], z[:, 1])
        return Step(self.criterion(*given), {})


class Stepping(torch.nn.Module):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, batch):
        return self.method.step(batch, None)


def two_views(x, generator, n_views):
    return torch.stack([x, x.roll(1, 1).sin()], dim=1)


def build(case):
    torch.manual_seed(0)
    parts = nn.MLP([6, 16, 8], batch_norm=False), nn.projection_head(8, 8, 4), two_views
    method = Own(*parts, OWN[case]()) if case in OWN else JointEmbedding(parts[0], parts[1], case, parts[2])
    return method.double()


OWN = {
    "module SogCLR": lambda: SogCLR(40),
    "module ISogCLR": lambda: ISogCLR(40),
    "module MoCo": lambda: MoCo(12, 4),
    "module SigLIP": lambda: SigLIP(),
}
CASES = [name for name, loss in losses.catalogue.items() if loss.fits(2)] + list(OWN)


def batch(n, seed):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Batch(x, torch.arange(n) % 3, torch.randperm(40, generator=torch.Generator().manual_seed(seed))[:n])


def descend(step, method, batches):
    """Two steps of gradient descent: the loss, metrics, gradients and state after each."""
    seen = []
    for one in batches:
        method.zero_grad()
        loss, metrics = step(one)
        loss.backward()
        gradients = [weight.grad.clone() for weight in method.parameters()]
        with torch.no_grad():
            for weight in method.parameters():
                weight -= 0.1 * weight.grad
        state = [value.clone() for value in method.state_dict().values()]
        seen += [loss.detach(), *metrics.values(), *gradients, *state]
    return seen


def distance(first, second):
    """The largest difference; equal infinities are none."""
    pairs = zip(first, second, strict=True)
    return max(((a != b) * (a - b).nan_to_num(nan=1e9).abs()).max().item() for a, b in pairs)


def alone(case, n):
    method = build(case)
    return descend(Stepping(method), method, [batch(n, 1), batch(n, 2)])


def together(case, n):
    parts = [batch(n, seed).each(lambda column: column.tensor_split(WORLD)[dist.get_rank()]) for seed in (1, 2)]
    method = build(case)
    return descend(DistributedDataParallel(Stepping(method)), method, parts)


def main(rank, meeting, result):
    torch.set_num_threads(1)
    expected = {(case, n): alone(case, n) for case in CASES for n in (8, 7)}
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=WORLD)
    found = {}
    for (case, n), one in expected.items():
        ranks = [None] * WORLD
        dist.all_gather_object(ranks, together(case, n))
        found[f"{case}, {n} samples"] = {"to one process": distance(ranks[0], one), "between ranks": distance(*ranks)}
    mixed = torch.arange(3.0 + int(rank), requires_grad=True)
    halves = gather(mixed.bfloat16(), torch.arange(3 + int(rank)) + 10 * int(rank))
    found["order"] = [halves[0].tolist(), halves[1].tolist()]
    if rank == "0":
        with open(result, "w") as file:
            json.dump(found, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
