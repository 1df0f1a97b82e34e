"""Run by test_gather.py as each of two processes: `python two_processes.py RANK MEETING_FILE RESULT_FILE`.

Writes, for each case, how far loss, gradients and state of two processes lie from those of one on the joined batch.
"""

import json
import sys

import torch
import torch.distributed as dist
from every_loss import CASES, batch, build, networks, views
from torch.nn.parallel import DistributedDataParallel

from cl_explore.losses import SigLIP
from cl_explore.methods import Method, Step, gather

WORLD = 2
OWN = "SigLIP by a reader's own method"


class Own(Method):
    """A method written by a reader, around a loss with parameters of its own."""

    def __init__(self, criterion):
        super().__init__(*networks(), views)
        self.criterion = criterion

    def step(self, batch, generator):
        z = self.embed_views(batch, generator).z
        return Step(self.criterion(z[:, 0], z[:, 1]), {})


class Stepping(torch.nn.Module):
    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, batch):
        return self.method.step(batch, None)


def make(case):
    if case != OWN:
        return build(case)
    torch.manual_seed(0)
    return Own(SigLIP()).double()


def descend(step, method, batches):
    """Two steps of gradient descent: the loss, metrics, gradients and state after each, each over its largest number.

    Infinities, where averages start, are written as a number nothing else has.
    """
    seen = []
    for one in batches:
        method.zero_grad()
        loss, metrics = step(one)
        loss.backward()
        weights = [weight for weight in method.parameters() if weight.grad is not None]
        gradients = [weight.grad.clone() for weight in weights]
        with torch.no_grad():
            for weight in weights:
                weight -= 0.1 * weight.grad
        method.after_step()
        seen += [loss.detach(), *metrics.values(), *gradients, *method.state_dict().values()]
    flat = [part.double().nan_to_num(nan=1e9, posinf=2e9, neginf=3e9).flatten() for part in seen]
    return torch.cat([part / part.abs().max().clamp(min=1) for part in flat])


def alone(case, n):
    method = make(case)
    return descend(Stepping(method), method, [batch(case, n, 1), batch(case, n, 2)])


def share(tensor):
    return tensor.tensor_split(WORLD)[dist.get_rank()]


def together(case, n):
    parts = [batch(case, n, seed).each(share) for seed in (1, 2)]
    method = make(case)
    return descend(DistributedDataParallel(Stepping(method), find_unused_parameters=True), method, parts)


def main(rank, meeting, result):
    torch.set_num_threads(1)
    cases = [*((case, 7) for case in CASES), (OWN, 7), (OWN, 8)]
    expected = {one: alone(*one) for one in cases} if rank == "0" else {}
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=int(rank), world_size=WORLD)
    found = {}
    for case, n in cases:
        mine = together(case, n)
        ranks = [torch.empty_like(mine) for _ in range(WORLD)]
        dist.all_gather(ranks, mine)
        if rank == "0":
            gaps = [(one - mine).abs().max().item() for one in (expected[case, n], ranks[1])]
            found[f"{case}, {n} samples"] = dict(zip(("to one process", "between ranks"), gaps, strict=True))
    mixed = torch.arange(3.0 + int(rank), requires_grad=True)
    halves = gather(mixed.bfloat16(), torch.arange(3 + int(rank)) + 10 * int(rank))
    found["order"] = [halves[0].tolist(), halves[1].tolist()]
    if rank == "0":
        with open(result, "w") as file:
            json.dump(found, file)
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
