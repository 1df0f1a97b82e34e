"""A server of short lives: reads orders, forks a process for each that trains, and kills it where the order says.

Order, one line of JSON: {"case": name, "store": folder, "line": n or null, "after": seconds or null, "alone": bool}.
The process dies by SIGKILL before the n-th line of cl_explore/train that it would run (what makes the key, which only
reads, is not counted), or after so many seconds. Alone, it must have no trouble with its checkpoints. Answer, one line
too: {"died": bool, "steps": how many it took, and of one that lived "lines": how many it ran, and hashes of "weights",
"history" (but for seconds) and "snapshots"}.
"""

import hashlib
import json
import os
import select
import signal
import sys
import warnings
from pathlib import Path

import lightning_fabric  # noqa: F401 - a second, paid once for all lives
import torch
from torch.nn import functional as F

from cl_explore import data, losses, nn, train
from cl_explore.methods import JointEmbedding, Method, Step
from cl_explore.train import imports
from cl_explore.views import VectorViews

COUNTED = {
    str(path)
    for path in Path(train.__file__).parent.glob("*.py")
    if path.stem not in ("code", "imports", "key", "walk")
}
SAMPLES = 50


class Two(Method):
    """Two views, a network with batch norm and dropout, its momentum copy, and a criterion that keeps state."""

    def __init__(self, criterion):
        width = 128
        encoder = torch.nn.Sequential(nn.MLP([6, width, 8]), torch.nn.Dropout(0.2))
        super().__init__(encoder, nn.projection_head(8, 8, 4), VectorViews(noise=0.1))
        self.criterion = criterion
        self.teacher = nn.Momentum(torch.nn.Sequential(self.encoder, self.head), 0.9)

    def step(self, batch, generator):
        views = self.augment(batch.x, generator, 2)
        z = self.project(self(views.flatten(0, 1))).unflatten(0, views.shape[:2])
        return Step(self.loss(z, views, batch), {"spread": z.detach().std()})

    def after_step(self):
        self.teacher.update()


class Pair(Two):
    def loss(self, z, views, batch):
        return self.criterion(z[:, 0], self.teacher(views[:, 1]))


class Neighbour(Two):
    def __init__(self, criterion):
        super().__init__(criterion)
        self.predictor = nn.MLP([4, 8, 4])

    def loss(self, z, views, batch):
        return self.criterion(z, self.predictor(z.flatten(0, 1)).view_as(z))


class Clusters(Two):
    def __init__(self, criterion):
        super().__init__(criterion)
        self.queue = losses.Queue(24, 2, 4)

    def loss(self, z, views, batch):
        self.fresh = z.detach()
        return self.criterion(z, self.queue.rows.clone())

    def after_step(self):
        super().after_step()
        self.queue.enqueue(self.fresh)


class Parametric(Two):
    def __init__(self, criterion):
        super().__init__(criterion)
        self.classifier = torch.nn.Linear(8, 3)

    def loss(self, z, views, batch):
        return self.criterion(z[:, 0], batch.labels, self.classifier(self(views[:, 0])), self.teacher(views[:, 1]))


class Numbered(Two):
    def loss(self, z, views, batch):
        return self.criterion(F.normalize(z, dim=-1), batch.index)


def joint():
    encoder = torch.nn.Sequential(nn.MLP([6, 16, 8]), torch.nn.Dropout(0.2))
    return JointEmbedding(encoder, nn.projection_head(8, 8, 4), "varcon", VectorViews(noise=0.1), n_views=3)


CASES = {
    "moco": (lambda: Pair(losses.MoCo(40, 4)), "sgd"),
    "nnclr": (lambda: Neighbour(losses.NNCLR(40, 4)), "adam"),
    "swav": (lambda: Clusters(losses.SwAV(5, 4)), "lars"),
    "paco": (lambda: Parametric(losses.PaCo(40, 4)), "adam"),
    "sogclr": (lambda: Numbered(losses.SogCLR(SAMPLES)), "sgd"),
    "isogclr": (lambda: Numbered(losses.ISogCLR(SAMPLES)), "adam"),
    "clip": (lambda: Pair(losses.CLIP()), "adam"),
    "siglip": (lambda: Pair(losses.SigLIP()), "adam"),
    "varcon": (joint, "adam"),
}


def train_case(case, store, done):
    build, optimizer = CASES[case]
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(SAMPLES) % 3
    x = torch.randn(SAMPLES, 6, generator=generator) + labels[:, None]
    toy = data.Dataset("toy", x, labels, torch.arange(SAMPLES), tuple("abc"))
    torch.manual_seed(0)
    method = build()
    move = type(method).after_step

    def after_step(self):
        move(self)
        os.write(done, b"s")

    type(method).after_step = after_step
    settings = {"epochs": 4, "batch_size": 16, "warmup_epochs": 1, "snapshots": 4, "weight_decay": 1e-3}
    return train.fit(
        method, toy, optimizer=optimizer, store=store, device="cpu", progress=False, checkpoint_seconds=0, **settings
    )


def digest(run):
    def of(tensors):
        return hashlib.sha256(b"".join(each.contiguous().numpy().tobytes() for each in tensors)).hexdigest()

    return {
        "weights": of(run.method.state_dict().values()),
        "history": hashlib.sha256(
            run.history.drop(columns="seconds").to_json(double_precision=15).encode()
        ).hexdigest(),
        "snapshots": of(vars(run.snapshots).values()),
    }


def live(order, done):
    """In the forked process: train, and die where the order says."""
    lines = 0

    def line(frame, event, _):
        nonlocal lines
        lines += event == "line"
        if lines == order["line"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    if order["alone"]:
        warnings.filterwarnings("error", message=".*checkpoint")
    sys.settrace(lambda frame, *_: line if frame.f_code.co_filename in COUNTED else None)
    run = train_case(order["case"], order["store"], done)
    sys.settrace(None)
    os.write(done, json.dumps({"lines": lines, **digest(run)}).encode())


def serve():
    torch.set_num_threads(1)
    imports.behind(["cl_explore.train.loop", "cl_explore.methods.joint_embedding"])  # read once for all lives
    for text in sys.stdin:
        order = json.loads(text)
        said, done = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(order, done)
                code = 0
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(done)
        heard = b""
        if order["after"] is not None:
            select.select([], [], [], order["after"])
            os.kill(child, signal.SIGKILL)
        while piece := os.read(said, 65536):
            heard += piece
        os.close(said)
        _, status = os.waitpid(child, 0)
        took = len(heard) - len(heard.lstrip(b"s"))
        result = json.loads(heard[took:]) if os.waitstatus_to_exitcode(status) == 0 else {}
        died = os.waitstatus_to_exitcode(status) == -signal.SIGKILL
        print(json.dumps({"died": died, "steps": took, **result}), flush=True)


if __name__ == "__main__":
    serve()
