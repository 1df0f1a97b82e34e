"""Callables of the forms that other libraries use give views, seeded, and what they give is checked."""

# ruff: noqa: NPY002  # these are what others draw from

import random
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cl_explore import data, methods, nn, train, views

X = torch.randint(0, 256, (5, 3, 6, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def shifted(image: Tensor) -> Tensor:
    """As torchvision: one tensor."""
    return (image + 0.1 * torch.rand(())).clamp(max=1)


def turned(image: Image.Image) -> Image.Image:
    """As torchvision: one PIL image."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else image


def dimmed(*, image: NDArray[np.uint8]) -> dict[str, Any]:
    """As albumentations: an array by its name, in a dictionary."""
    assert image.dtype == np.uint8
    return {"image": (image * np.random.rand()).astype(np.uint8)}


def flipped(images: Tensor) -> Tensor:
    """As kornia: a batch."""
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(-1), images)


class Own:
    """As albumentations: its random state is its own."""

    def __init__(self) -> None:
        self.random = np.random.default_rng()

    def set_random_seed(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def __call__(self, image: NDArray[np.uint8]) -> dict[str, Any]:
        return {"image": (image * self.random.random()).astype(np.uint8)}


FORMS: dict[str, tuple[Any, Any]] = {
    "torchvision": (shifted, "tensor"),
    "PIL": (turned, "pil"),
    "albumentations": (dimmed, "array"),
    "a state of its own": (Own(), "array"),
    "kornia": (flipped, "batch"),
}
NOTHING: dict[Any, Any] = {
    "tensor": lambda image: image,
    "pil": lambda image: image,
    "array": lambda image: {"image": image},
    "batch": lambda images: images,
}


@pytest.mark.parametrize("form", NOTHING)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_changes_nothing_gives_the_images_back(form: Any, channels: int) -> None:
    made = views.Transform(NOTHING[form], form)(X[:, :channels], torch.Generator(), 3)
    assert torch.equal(made, (X[:, :channels] / 255)[:, None].expand(-1, 3, -1, -1, -1))


@pytest.mark.parametrize("name", FORMS)
def test_the_generator_decides_and_global_states_stay(name: str) -> None:
    augment = views.Transform(*FORMS[name])
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    first, second = augment(X, generator, 4), augment(X, generator, 4)
    again = augment(X, torch.Generator().manual_seed(0), 4)
    assert first.shape == (5, 4, 3, 6, 4)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert any(not torch.equal(first[:, 0], first[:, view]) for view in range(1, 4))
    after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])


def test_global_states_stay_when_the_transform_fails() -> None:
    def fails(image: Tensor) -> Tensor:
        raise KeyError(random.random() + np.random.rand())

    random.seed(0)
    np.random.seed(0)
    expected = random.random(), np.random.rand()
    random.seed(0)
    np.random.seed(0)
    with pytest.raises(KeyError):
        views.Transform(fails)(X, torch.Generator())
    assert (random.random(), np.random.rand()) == expected


@pytest.mark.parametrize("name", FORMS)
def test_a_method_trains_with_it_and_its_runs_repeat(name: str) -> None:
    digits = data.load("digits").subset(range(64))

    def trained() -> list[float]:
        torch.manual_seed(0)
        method = methods.JointEmbedding(nn.MLP([64, 16]), nn.MLP([16, 8]), "nt_xent", views.Transform(*FORMS[name]))
        run = train.fit(method, digits, epochs=2, batch_size=32, store=False, progress=False)
        return run.history["loss"].tolist()  # type: ignore[no-any-return]

    assert trained() == trained()


@pytest.mark.parametrize(
    "made",
    [
        lambda image: image[:, :3],
        lambda image: image[:, :3].mul(255).byte(),
        lambda image: image[:, :3].permute(1, 2, 0).numpy(),
        lambda image: {"image": image[:, :3]},
        lambda image: Image.fromarray((255 * image[:, :3]).round().byte().permute(1, 2, 0).numpy()),
    ],
)
def test_images_of_another_size_and_type_are_read_alike(made: Any) -> None:
    found = views.Transform(made)(X, torch.Generator(), 1)
    torch.testing.assert_close(found[:, 0], X[:, :, :3] / 255, atol=1 / 255, rtol=0)


@pytest.mark.parametrize(
    ("made", "form", "message"),
    [
        (lambda image: image[:1], "tensor", r"give an image \(3, H, W\), .* got \(1, 6, 4\) of torch.float32"),
        (lambda image: image.permute(1, 2, 0), "tensor", r"got \(6, 4, 3\)"),
        (lambda image: image[None], "tensor", r"got \(1, 3, 6, 4\)"),
        (lambda image: image.long(), "tensor", "of torch.int64"),
        (lambda image: [image, image], "tensor", "give an image .* got list"),
        (lambda image: None, "tensor", "got NoneType"),
        (lambda image: {"mask": image}, "array", "got NoneType"),
        (lambda image: image.convert("L"), "pil", r"got \(1, 6, 4\) of torch.uint8"),
        (lambda image: image[:, : 1 + int(5 * torch.rand(()))], "tensor", r"give images of one size, got \(3, "),
        (lambda images: images[1:], "batch", r"give images \(10, 3, H, W\) of so many, got \(9, 3, 6, 4\)"),
        (lambda images: [images], "batch", "got list"),
    ],
)
def test_what_is_no_image_of_the_right_shape_is_refused(made: Any, form: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^transform must .*{message}"):
        views.Transform(made, form)(X, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("x", "form", "message"),
    [
        (X[0], "tensor", r"x must be \(B, C, H, W\), got shape \(3, 6, 4\)"),
        (X[:0], "tensor", r"x must be images \(B, C, H, W\)"),
        (X[:, :2], "pil", "of 1 or 3 channels in bytes"),
        (X.float(), "array", r"x must be in \[0, 1\], got values in \[0, 255\]"),
        (X.long(), "tensor", "x must be floating point, got torch.int64"),
    ],
)
def test_what_are_no_images_is_refused(x: Tensor, form: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        views.Transform(NOTHING[form], form)(x, torch.Generator())
