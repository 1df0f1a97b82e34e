"""Each loss of the catalogue and each module with state, in each skeleton that takes it: the cases of two tests."""

import inspect

import torch

from cl_explore import losses, nn
from cl_explore.data import Batch
from cl_explore.methods import JointEmbedding, MomentumContrast, Predictive, TwoTower

SAMPLES = 40
SIZES = torch.tensor([14, 13, 13])
MADE_WITH = {"size": SAMPLES, "dim": 4, "prototypes": 3}  # what modules are made with, by the name of the argument

MODULES = {
    name: module
    for name, module in vars(losses).items()
    if isinstance(module, type) and issubclass(module, torch.nn.Module) and module is not losses.Queue
}


def make(name):
    if name not in MODULES:
        return name
    parameters = inspect.signature(MODULES[name]).parameters.values()
    return MODULES[name](**{one.name: MADE_WITH[one.name] for one in parameters if one.default is one.empty})


def views(x, generator, n_views):
    """No randomness: two processes draw other views than one."""
    return torch.stack([x + view * x.roll(view, 1).sin() for view in range(n_views)], dim=1)


def networks():
    return nn.MLP([6, 16, 8], batch_norm=False), nn.projection_head(8, 8, 4)


def joint_embedding(loss, n_views):
    return JointEmbedding(*networks(), loss, views, n_views, classes=SIZES)


def momentum_contrast(loss, n_views):
    return MomentumContrast(*networks(), loss, views, n_views, queue=12, classes=SIZES)


def two_tower(loss, n_views):
    encoders, heads = ({name: networks()[part] for name in ("image", "text")} for part in (0, 1))
    return TwoTower(encoders, heads, loss, {"image": views, "text": views}, classes=SIZES)


def predictive(loss, n_views):
    predictor = nn.MLP([4, 8, 4], batch_norm=False) if "prediction" in _takes(loss) else None
    return Predictive(*networks(), loss, views, n_views, decay=0.9, predictor=predictor, queue=12, classes=SIZES)


def _takes(loss):
    return losses.get(loss).arguments if isinstance(loss, str) else inspect.signature(loss.forward).parameters


def _accepted():
    """(loss, skeleton, how many views) by name, of the usual two views where they will do."""
    found = {}
    for name in [*losses.catalogue, *MODULES]:
        for skeleton in (joint_embedding, momentum_contrast, two_tower, predictive):
            case = f"{name} by {skeleton.__name__}"
            for n_views in (2, 1, 3):
                try:
                    skeleton(make(name), n_views).double().step(batch(case, 9, seed=0), torch.Generator())
                except ValueError:
                    continue
                found[case] = name, skeleton, n_views
                break
    return found


def build(case):
    name, skeleton, n_views = CASES[case]
    torch.manual_seed(0)
    return skeleton(make(name), n_views).double()


def batch(case, n, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 6, generator=generator, dtype=torch.float64)
    both = {"image": x, "text": x.flip(1)} if case.endswith("two_tower") else x
    return Batch(both, torch.arange(n) % 3, torch.randperm(SAMPLES, generator=generator)[:n])


CASES = _accepted()
