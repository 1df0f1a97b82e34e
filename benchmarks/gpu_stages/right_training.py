"""Training on the device: every loss in every skeleton, equal runs from equal seeds, killed runs, waits in a step."""

import multiprocessing
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cl_explore import data, methods, nn, train, views
from gpu_stages.case import Case, waits

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
ALLOWED = (
    "cl_explore/losses/variational.py"  # VarCon's table has a column for each class: it must know how many there are
)
STEPPED = ("nt_xent", "supcon", "varcon", "clip", "siglip", "barlow_twins", "vicreg")

COMPILED: dict[str, Callable[..., methods.Method]] = {
    "JointEmbedding": partial(methods.JointEmbedding, loss="nt_xent"),
    "JointEmbedding in chunks": partial(methods.JointEmbedding, loss="nt_xent", chunk=16),
    "MomentumContrast": partial(methods.MomentumContrast, loss="moco", queue=256),
    "Predictive": lambda *networks, augment: methods.Predictive(
        *networks, "byol", augment, decay=0.9, predictor=nn.MLP([32, 64, 32])
    ),
}


def cases(small: bool, device: str) -> list[Case]:
    images, width, precisions = (128, 4, PRECISIONS[:2]) if small else (4096, 16, PRECISIONS)
    stepped = STEPPED[:2] if small else STEPPED
    return [
        Case("waits in a step", 60, partial(waits_in_a_step, device, images, width, stepped)),
        *(Case(f"fit twice, {each}", 60, partial(fit_twice, device, images, width, each)) for each in precisions),
        Case("kill and resume", 90, partial(kill_and_resume, device, images, width)),
        *(Case(f"compiled as not, {each}", 60, partial(compiled_as_not, device, images, each)) for each in COMPILED),
    ]


def world(images: int) -> data.Dataset:
    """Pictures (3, 32, 32) of which all is known: no file is needed."""
    return data.load("factor_world", "train", n=images, size=32)


def method(loss: str, width: int) -> methods.JointEmbedding:
    torch.manual_seed(0)
    encoder = nn.resnet18(width=width) if width > 8 else nn.ConvNet(3, width)
    head = nn.projection_head(encoder.out_features, 64, 32)
    return methods.JointEmbedding(encoder, head, loss, views.ImageViews.simclr())


def fit(device: str, images: int, width: int, precision: str, store: Path | bool) -> train.Run:
    settings: dict[str, Any] = {"epochs": 4, "batch_size": images // 8, "snapshots": 3, "optimizer": "sgd", "lr": 0.1}
    return train.fit(
        method("nt_xent", width), world(images), device=device, precision=precision, store=store,
        checkpoint_seconds=0, progress=False, **settings,
    )  # fmt: skip


def difference(one: train.Run, other: train.Run) -> dict[str, Any]:
    """Whether two runs are one: their losses step by step, and their weights."""
    a, b = one.history["loss"], other.history["loss"]
    pairs = zip(one.method.state_dict().values(), other.method.state_dict().values(), strict=True)
    equal = a.equals(b) and all(torch.equal(here.cpu(), there.cpu()) for here, there in pairs)
    apart = (a != b).to_numpy().nonzero()[0]
    return {
        "identical": equal,
        "first step apart": int(apart[0]) + 1 if len(apart) else None,
        "largest difference of the loss": float((a - b).abs().max()),
        "last loss": float(a.iloc[-1]),
    }


def fit_twice(device: str, images: int, width: int, precision: str) -> dict[str, Any]:
    """As it comes, and with PyTorch's deterministic algorithms, by which it must be the same run."""
    usual = difference(*(fit(device, images, width, precision, False) for _ in range(2)))
    torch.use_deterministic_algorithms(True)
    try:
        strict = difference(*(fit(device, images, width, precision, False) for _ in range(2)))
    except RuntimeError as error:  # an operation has no deterministic form
        strict = {"identical": False, "failed": str(error).splitlines()[0]}
    finally:
        torch.use_deterministic_algorithms(False)
    wrong = [] if strict["identical"] else ["under deterministic algorithms, two runs from one seed are not one"]
    return {"wrong": wrong, "as it comes": usual, "deterministic": strict}


def train_to(store: Path, device: str, images: int, width: int) -> None:
    torch.use_deterministic_algorithms(True)
    fit(device, images, width, "32-true", store)


def kill_and_resume(device: str, images: int, width: int) -> dict[str, Any]:
    """A process that trains is killed as soon as it has kept a checkpoint; this one goes on from there."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder)
        other = multiprocessing.get_context("spawn").Process(target=train_to, args=(store, device, images, width))
        other.start()
        while other.is_alive() and not list(store.glob("*.part/step-*")):
            time.sleep(0.001)
        other.kill()
        other.join()
        kept = sorted(path.name for path in store.glob("*.part/step-*"))
        torch.use_deterministic_algorithms(True)
        try:
            resumed, whole = fit(device, images, width, "32-true", store), fit(device, images, width, "32-true", False)
        finally:
            torch.use_deterministic_algorithms(False)
    found = difference(resumed, whole)
    wrong = [] if found["identical"] else ["the resumed run differs from one that was not stopped"]
    return {"wrong": wrong + ([] if kept else ["no checkpoint was kept"]), "killed at": kept, **found}


def compiled_as_not(device: str, images: int, skeleton: str) -> dict[str, Any]:
    """Losses of compiled networks, step by step, against those of the same run not compiled."""

    def losses(compiled: bool) -> Tensor:
        torch.manual_seed(0)
        encoder = nn.ConvNet(3, 8)
        networks = (encoder, nn.projection_head(encoder.out_features, 64, 32))
        made = COMPILED[skeleton](*networks, augment=views.ImageViews.simclr())
        loop = train.Loop(
            made, world(images), epochs=3, batch_size=images // 8, snapshots=2, device=device, compile=compiled,
            optimizer="sgd", lr=0.05,
        )  # fmt: skip
        for _ in loop:
            pass
        return torch.tensor(loop.read()["loss"].to_numpy())

    off = float((losses(True) / losses(False) - 1).abs().max())
    return {"wrong": [] if off < 0.01 else [f"off by {off:.2g}"], "off": off}


def waits_in_a_step(device: str, images: int, width: int, stepped: tuple[str, ...]) -> dict[str, Any]:
    """Where the host waits in three steps within an epoch, the networks in bfloat16, for each loss."""
    found = {}
    for loss in stepped:
        loop = train.Loop(
            method(loss, width), world(images), epochs=2, batch_size=images // 8, snapshots=0, device=device,
            precision="bf16-mixed", optimizer="sgd", lr=0.1,
        )  # fmt: skip
        going = iter(loop)
        for _ in range(2):
            next(going)
        found[loss] = waits(lambda going=going: [next(going) for _ in range(3)], device)
        going.close()
    wrong = [f"{loss}: {place}" for loss, places in found.items() for place in places if not place.startswith(ALLOWED)]
    return {"wrong": wrong, "waits": found}
