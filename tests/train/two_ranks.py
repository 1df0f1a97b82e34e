"""Run by test_ranks.py as `torchrun --nproc-per-node 2 two_ranks.py STORE RESULT`; it imports `build` too."""

import os
import signal
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from cl_explore import data, nn, train
from cl_explore.methods import JointEmbedding
from cl_explore.views import VectorViews


def fixed_views(x, generator, n_views):
    return torch.stack([x, x.roll(1, 1).sin()], dim=1)


class Witness(JointEmbedding):
    """Remembers the samples it was given, and is interrupted after the step that the environment names."""

    steps = 0

    def step(self, batch, generator):
        self.seen = batch.index
        if self.steps == 0:
            self.generator_state = generator.get_state()
        return super().step(batch, generator)

    def after_step(self):
        self.steps += 1
        if str(self.steps) == os.environ.get("INTERRUPTED_AT"):
            os.kill(os.getpid(), signal.SIGINT)


def build(augment=fixed_views, batch_norm=False, dropout=0.0, loss="nt_xent"):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(nn.MLP([6, 16, 8], batch_norm), torch.nn.Dropout(dropout))
    return Witness(encoder, nn.projection_head(8, 8, 4), loss, augment)


def toy():
    labels = torch.arange(50) % 3
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(1)) + labels[:, None]
    return data.Dataset("toy", x, labels, torch.arange(50) + 100, tuple("abc"))


def fit(method, **options):
    settings = {"epochs": 4, "batch_size": 15, "lr": 0.01, "snapshots": 3, "device": "cpu", "store": False}
    return train.fit(method, toy(), **{**settings, "progress": False, **options})


def record(run):
    columns = {name: column.tolist() for name, column in run.history.items()}
    return {"weights": run.method.state_dict(), "history": columns, "z": run.snapshots.z, "cached": run.cached}


def refusal(**options):
    try:
        fit(build(), **options)
    except ValueError as error:
        return str(error)


def main(store, result):
    rank = int(os.environ["RANK"])
    joined, really = [], dist.all_gather
    dist.all_gather = lambda every, own: (joined.append(own.shape), really(every, own))
    found = {loss: record(fit(build(loss=loss))) for loss in ("nt_xent", "varcon")}
    dist.all_gather, found["joined"] = really, joined

    method = build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2)
    found["whole"] = record(fit(method, store=store, seed=3))
    found["seen"], found["generator"] = method.seen.tolist(), method.generator_state
    found["kept"] = sorted(path.name for path in Path(store).iterdir())
    found["again"] = record(fit(build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2), store=store, seed=3))

    long = {"epochs": 14, "store": store, "seed": 4, "checkpoint_seconds": 1e9}
    if rank == 1:
        os.environ["INTERRUPTED_AT"] = "20"
    try:
        fit(build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2), **long)
    except KeyboardInterrupt as error:
        found["interrupt"] = str(error)
    os.environ.pop("INTERRUPTED_AT", None)
    resumed = build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2)
    found["resumed"] = record(fit(resumed, **long, progress=True))
    found["steps after it"] = resumed.steps
    straight = build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2)
    found["straight"] = record(fit(straight, **{**long, "store": False}))

    found["refusals"] = [refusal(sync_batchnorm=True), refusal(device="cpu:1")]
    torch.save(found, f"{result}-{rank}")


if __name__ == "__main__":
    main(*sys.argv[1:])
