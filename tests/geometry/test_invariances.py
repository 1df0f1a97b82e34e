"""What must not change a measure: turning the space, reordering samples, renaming classes, the kind of container."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cl_explore import geometry

N, D = 24, 6

OF_POINTS: dict[str, Callable[[Tensor], Tensor]] = {
    "alignment": lambda x: geometry.alignment(x[:, None] + torch.arange(3).to(x)[:, None] * x.flip(0)[:, None]),
    "uniformity": geometry.uniformity,
    "spectrum": geometry.spectrum,
    "effective_rank": geometry.effective_rank,
    "participation_ratio": geometry.participation_ratio,
    "alpha_req": geometry.alpha_req,
    "knn_overlap": lambda x: geometry.knn_overlap(x, x.abs().cumsum(1), 4),
    "hubness": lambda x: geometry.hubness(geometry.knn_graph(x, 4)).skewness,
}
OF_CLASSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tolerance": geometry.tolerance,
    "literal_tolerance": lambda x, y: geometry.tolerance(x, y, reading="literal"),
    "dispersion": lambda x, y: torch.stack([getattr(geometry.dispersion(x, y), n) for n in ("within", "between")]),
    "per_class": lambda x, y: geometry.dispersion(x, y).per_class.sort().values,
    "centroid_similarity": lambda x, y: geometry.centroid_similarity(x, y).flatten().sort().values,
    "neural_collapse": lambda x, y: torch.stack(
        [
            getattr(geometry.neural_collapse(x, y), n)
            for n in ("nc1", "nc2_equinorm", "nc2_equiangular", "nc2_max_angle")
        ]
    ),
}
BLIND_TO_AXES = {name: f for name, f in OF_POINTS.items() if name != "knn_overlap"}  # its second space is made of axes


def sample(seed: int) -> tuple[Tensor, Tensor, torch.Generator]:
    gen = torch.Generator().manual_seed(seed)
    x = torch.randn(N, D, generator=gen, dtype=torch.float64)
    return x, torch.arange(N) % 4, gen


def assert_same(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


seeds = given(seed=st.integers(0, 2**32 - 1))
few = settings(max_examples=15, deadline=None, derandomize=True)


@few
@seeds
def test_rotation(seed: int) -> None:
    x, labels, gen = sample(seed)
    turn = torch.linalg.qr(torch.randn(D, D, generator=gen, dtype=torch.float64)).Q
    for measure in BLIND_TO_AXES.values():
        assert_same(measure(x @ turn), measure(x))
    for of_classes in OF_CLASSES.values():
        assert_same(of_classes(x @ turn, labels), of_classes(x, labels))


@few
@seeds
def test_order_of_samples(seed: int) -> None:
    x, labels, gen = sample(seed)
    order = torch.randperm(N, generator=gen)
    for name, measure in OF_POINTS.items():
        if name != "alignment":  # pairs each row with another, above
            assert_same(measure(x[order]), measure(x))
    for of_classes in OF_CLASSES.values():
        assert_same(of_classes(x[order], labels[order]), of_classes(x, labels))


@few
@seeds
def test_names_of_classes(seed: int) -> None:
    x, labels, gen = sample(seed)
    names = torch.randperm(1000, generator=gen)[:4]
    for of_classes in OF_CLASSES.values():
        assert_same(of_classes(x, names[labels]), of_classes(x, labels))


@few
@seeds
def test_length_of_vectors_on_the_sphere(seed: int) -> None:
    x, labels, gen = sample(seed)
    longer = x * (0.1 + 10 * torch.rand(N, 1, generator=gen, dtype=torch.float64))
    assert_same(geometry.uniformity(longer), geometry.uniformity(x))
    assert_same(
        geometry.hubness(geometry.knn_graph(longer, 4)).skewness, geometry.hubness(geometry.knn_graph(x, 4)).skewness
    )
    for name in ("tolerance", "dispersion", "centroid_similarity"):
        assert_same(OF_CLASSES[name](longer, labels), OF_CLASSES[name](x, labels))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_arrays(dtype: type) -> None:
    x, labels, _ = sample(3)
    array = x.numpy().astype(dtype)
    array.setflags(write=False)
    backwards, tensor = array[::-1], torch.tensor(array).flip(0)  # a view with negative strides
    for measure in (geometry.uniformity, geometry.effective_rank, geometry.participation_ratio, geometry.alpha_req):
        value = measure(backwards)
        assert value.dtype == torch.float64
        assert value.shape == ()
        assert value == measure(tensor)
    assert geometry.tolerance(backwards, labels.numpy().astype(np.uint8)) == geometry.tolerance(tensor, labels)
    assert geometry.knn_overlap(backwards, tensor, 3) == 1


def test_summary() -> None:
    x, labels, _ = sample(0)
    table = geometry.summary(x.requires_grad_(), labels)
    d = geometry.dispersion(x, labels)
    assert table == {
        "uniformity": geometry.uniformity(x).item(),
        "tolerance": geometry.tolerance(x, labels).item(),
        "within": d.within.item(),
        "between": d.between.item(),
        "ratio": d.ratio.item(),
        "effective_rank": geometry.effective_rank(x).item(),
        "participation_ratio": geometry.participation_ratio(x).item(),
    }
    assert list(geometry.summary(x)) == ["uniformity", "effective_rank", "participation_ratio"]


def test_everything_public_is_exported() -> None:
    assert all(hasattr(geometry, name) for name in geometry.__all__)
