"""Every loss and every module with state in every skeleton that takes it: two steps on the device, without an error."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cl_explore import losses, nn
from cl_explore.data import Batch
from cl_explore.methods import JointEmbedding, Method, MomentumContrast, Predictive, TwoTower
from gpu_stages.case import Case

SAMPLES = 40
SIZES = torch.tensor([14, 13, 13])
MADE_WITH = {"size": SAMPLES, "dim": 4, "prototypes": 3}  # what modules are made with, by the name of the argument
MODULES = {
    name: module
    for name, module in vars(losses).items()
    if isinstance(module, type) and issubclass(module, torch.nn.Module) and module is not losses.Queue
}


def cases(small: bool, device: str) -> list[Case]:
    names = [*losses.catalogue, *MODULES][:: 12 if small else 1]
    return [Case("skeletons", 60, partial(every_skeleton_steps, device, names))]


def make(name: str) -> Any:
    """A loss by its name, a module new and with weights of its own."""
    if name not in MODULES:
        return name
    parameters = inspect.signature(MODULES[name]).parameters.values()
    return MODULES[name](**{one.name: MADE_WITH[one.name] for one in parameters if one.default is one.empty})


def augment(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    return torch.stack([x + view * x.roll(view, 1).sin() for view in range(n_views)], dim=1)


def networks() -> tuple[torch.nn.Module, torch.nn.Module]:
    return nn.MLP([6, 16, 8], batch_norm=False), nn.projection_head(8, 8, 4)


def two_tower(name: str, n_views: int) -> Method:
    image, text = networks(), networks()
    encoders, heads = {"image": image[0], "text": text[0]}, {"image": image[1], "text": text[1]}
    return TwoTower(encoders, heads, make(name), {"image": augment, "text": augment}, classes=SIZES)


def predictive(name: str, n_views: int) -> Method:
    takes = losses.get(name).arguments if name not in MODULES else inspect.signature(MODULES[name].forward).parameters
    predictor = nn.MLP([4, 8, 4], batch_norm=False) if "prediction" in takes else None
    return Predictive(
        *networks(), make(name), augment, n_views, decay=0.9, predictor=predictor, queue=12, classes=SIZES
    )


SKELETONS: dict[str, Callable[[str, int], Method]] = {
    "JointEmbedding": lambda name, v: JointEmbedding(*networks(), make(name), augment, v, classes=SIZES),
    "MomentumContrast": lambda name, v: MomentumContrast(*networks(), make(name), augment, v, queue=12, classes=SIZES),
    "TwoTower": two_tower,
    "Predictive": predictive,
}


def batch(skeleton: str, seed: int, device: str) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(9, 6, generator=generator)
    both = {"image": x, "text": x.flip(1)} if skeleton == "TwoTower" else x
    rows = torch.randperm(SAMPLES, generator=generator)[:9]
    return Batch(both, torch.arange(9) % 3, rows).each(lambda column: column.to(device))


def accepted(names: list[str]) -> Iterator[tuple[str, str, int]]:
    """Loss, skeleton and number of views that go together on the CPU, of the usual two views where they will do."""
    for name in names:
        for skeleton, build in SKELETONS.items():
            for n_views in (2, 1, 3):
                try:
                    build(name, n_views).step(batch(skeleton, 0, "cpu"), torch.Generator())
                except ValueError:
                    continue
                yield name, skeleton, n_views
                break


def every_skeleton_steps(device: str, names: list[str]) -> dict[str, Any]:
    tried, wrong = 0, []
    for name, skeleton, n_views in accepted(names):
        tried += 1
        try:
            step_twice(SKELETONS[skeleton](name, n_views).to(device), skeleton, device)
        except Exception as error:
            wrong.append(f"{name} in {skeleton}: {type(error).__name__}: {error}".splitlines()[0])
    return {"tried": tried, "wrong": wrong}


def step_twice(method: Method, skeleton: str, device: str) -> None:
    """ValueError if the loss or a gradient is not finite."""
    descent = torch.optim.SGD(method.parameters(), lr=0.1)
    generator = torch.Generator(device).manual_seed(0)
    for seed in range(2):
        loss = method.step(batch(skeleton, seed, device), generator).loss
        descent.zero_grad()
        loss.backward()
        descent.step()
        method.after_step()
        gradients = [weight.grad for weight in method.parameters() if weight.grad is not None]
        if not all(each.isfinite().all() for each in [loss, *gradients]):
            raise ValueError(f"step {seed + 1} gave a number that is not finite")
