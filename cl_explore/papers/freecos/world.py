"""What FreeCOS learns from: vessels drawn by an L-system, images with other vessels, and how one becomes the other."""

import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Generator, Tensor

from cl_explore.data import Dataset, Published
from cl_explore.data.pixels import opened, pixels
from cl_explore.data.published import Layout
from cl_explore.names import unknown
from cl_explore.takes import Count, Share, takes

Parts = tuple[Dataset, Dataset]
WAYS = ((1, 0), (-1, 0), (0, 1), (0, -1))
"""Steps along rows and columns to the neighbours of the four channels: down, up, right, left."""
AXIOMS = ("F", "[+F-F][-F]")
RULES = {"F[+F]F": 0.6, "F[-F]F": 0.0, "F[+F][-F]F": 0.4}
"""What becomes of a stroke, and how often. As the authors' code draws, the middle one never comes. The strings
themselves are a reconstruction."""


@takes
def liot(image: Tensor, reach: Count = 8) -> Tensor:
    """In each of four directions, which neighbours a pixel is brighter than, as a number (..., 4, H, W) in [0, 255].

    image: (..., H, W); only the order of its values matters. The authors cut floats to whole numbers: here they count
    reach: neighbours a direction, up to 8
    Source: the authors' `trans_liot`: beyond the border is 0, the nearest neighbour is bit 0 down and right, bit 7 up
        and left; flat regions give 0
    Raises: ValueError for a reach above 8 or fewer than two axes

    >>> liot(torch.tensor([[3, 1, 2]]), 2)[:, 0]  # two neighbours down, up, right, left
    tensor([[  3,   3,   3],
            [192, 192, 192],
            [  3,   2,   3],
            [192,  64, 128]], dtype=torch.uint8)
    """
    if image.ndim < 2 or reach > 8:
        raise ValueError(f"image must have two axes and reach be up to 8, got shape {tuple(image.shape)} and {reach}")
    height, width = image.shape[-2:]
    padded = image.new_zeros(*image.shape[:-2], height + 2 * reach, width + 2 * reach)
    padded[..., reach : reach + height, reach : reach + width] = image
    channels = []
    for down, right in WAYS:
        forward = (down or right) > 0
        code = torch.zeros(image.shape, dtype=torch.uint8, device=image.device)
        for step in range(1, reach + 1):
            top, left = reach + step * down, reach + step * right
            brighter = image > padded[..., top : top + height, left : left + width]
            code |= brighter.to(torch.uint8) << (step - 1 if forward else 8 - step)
        channels.append(code)
    return torch.stack(channels, -3)


def unlocal(image: Tensor) -> Tensor:
    """LIOT as the network sees it: pictures (N, 1, H, W) to (N, 4, H, W), each picture of mean 0 and deviation 1."""
    return standardised(liot(image[:, 0]).float() / 255)


def standardised(x: Tensor) -> Tensor:
    """Pictures (N, C, H, W) less the mean of each, over its deviation."""
    spread, mean = torch.std_mean(x, (1, 2, 3), keepdim=True, correction=0)
    return (x - mean) / spread.clamp(min=1e-6)


def style_square(height: int, width: int, window: float) -> Tensor:
    """Which frequencies (H, W), the mean in the middle, are swapped: a square of half side window * min(H, W)."""
    half = math.floor(window * min(height, width))
    down, right = ((torch.arange(size) - size // 2).abs() <= half for size in (height, width))
    return down[:, None] & right


@takes
def style_swap(source: Tensor, target: Tensor, window: Share) -> Tensor:
    """The phase of the source with the amplitude of the target in the middle of the spectrum (..., H, W); not clipped.

    source, target: (..., H, W)
    window: L, see `style_square`; at 0 the mean alone is swapped, from 0.5 on all of the amplitude
    Source: Fourier domain adaptation, `FDA_source_to_target_np` of the authors' code
    Raises: ValueError for shapes that differ, or a window outside [0, 1]
    """
    if source.shape != target.shape:
        raise ValueError(f"target must have the shape of source, {tuple(source.shape)}, got {tuple(target.shape)}")
    ours, theirs = (torch.fft.fft2(each) for each in (source, target))
    swapped = torch.fft.ifftshift(style_square(source.shape[-2], source.shape[-1], window)).to(source.device)
    amplitude = torch.where(swapped, theirs.abs(), ours.abs())
    return torch.fft.ifft2(torch.polar(amplitude, ours.angle())).real


def blurred(x: Tensor, deviation: float) -> Tensor:
    """Pictures (..., H, W) blurred by a Gaussian of so many pixels; borders see themselves alone."""
    for _ in "12":
        place = torch.arange(x.shape[-1], device=x.device, dtype=x.dtype)
        x = (x @ (-((place[:, None] - place) ** 2) / (2 * deviation**2)).softmax(0)).mT
    return x


def eight_bits(x: Tensor) -> Tensor:
    """Pictures in [0, 1] as a file of 8 bits keeps them, still in [0, 1]."""
    return (255 * x.clamp(0, 1)).round() / 255


def gamma(x: Tensor, power: float) -> Tensor:
    """Pictures in [0, 1], darker by a power above 1, as a file of 8 bits keeps them."""
    return eight_bits(x**power)


def grown(iterations: int, generator: Generator) -> str:
    """A word of the L-system: an axiom whose strokes F are each rewritten by a rule drawn for it, so many times."""
    word = AXIOMS[int(torch.randint(len(AXIOMS), (), generator=generator))]
    chances = torch.tensor([*RULES.values()])
    for _ in range(iterations):
        drawn = torch.multinomial(chances, max(1, word.count("F")), replacement=True, generator=generator).tolist()
        word = "".join([*RULES][drawn.pop()] if letter == "F" else letter for letter in word)
    return word


def strokes(word: str, side: int, generator: Generator) -> Tensor:
    """What a turtle draws of a word: (n, 5), from and to as rows and columns, and the width.

    A turn is by 20 to 120 degrees and thins the pen to 70 to 100 %; strokes are 0.22 to 0.37 of the side long and at
    first 1.5 to 3 pixels wide. (The authors' are 90 to 150 and 2 to 12 of 800 pixels, of which crops of 256 are seen.)
    """

    def drawn(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    length, width = side * drawn(0.22, 0.37), drawn(1.5, 3.0)
    state = (drawn(0.1, 0.9) * side, drawn(0.1, 0.9) * side, drawn(0, 2 * math.pi), width)
    kept, found = [], []
    for letter in word:
        row, column, way, width = state
        if letter == "F":
            state = (row + length * math.sin(way), column + length * math.cos(way), way, width)
            found.append([row, column, *state[:2], width])
        elif letter in "+-":
            turn = math.radians(drawn(20, 120)) * (1 if letter == "+" else -1)
            state = (row, column, way + turn, width * drawn(0.7, 1.0))
        elif letter == "[":
            kept.append(state)
        else:
            state = kept.pop()
    return torch.tensor(found)


def painted(lines: Tensor, side: int) -> Tensor:
    """The mask (S, S), 0 or 1, of strokes (n, 5): pixels whose middle is at most half a width from one."""
    places = torch.arange(side) + 0.5
    point = torch.stack(torch.meshgrid(places, places, indexing="ij"), -1)[..., None, :]  # (S, S, 1, 2)
    start, along, width = lines[:, :2], lines[:, 2:4] - lines[:, :2], lines[:, 4]
    share = ((point - start) * along).sum(-1) / along.square().sum(-1).clamp(min=1e-9)
    away = (point - start - share.clamp(0, 1)[..., None] * along).norm(dim=-1)
    return (away <= width / 2).any(-1).float()


def drawings(number: int, side: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Flat drawings of fractal vessels (N, 1, S, S), dark on light, and their masks; 3 to 25 % of pixels are vessel."""
    masks: list[Tensor] = []
    while len(masks) < number:
        word = grown(1 + int(torch.randint(2, (), generator=generator)), generator)
        mask = painted(strokes(word, side, generator), side)
        if 0.03 <= mask.mean() <= 0.25:
            masks.append(mask)
    mask = torch.stack(masks)[:, None]
    light, depth = torch.rand(2, number, 1, 1, 1, generator=generator)
    return eight_bits(0.5 + 0.4 * light - (0.15 + 0.3 * depth) * mask), mask


def walks(number: int, side: int, generator: Generator) -> tuple[Tensor, Tensor]:
    """Images (N, 1, S, S) of dark winding vessels over a texture that drifts in brightness, with noise; their masks.

    A vessel is a walk that turns a little at each of its steps of 1.5 pixels; there are two in each image.
    """
    steps = side
    turns = 0.16 * torch.randn(number, 2, steps, generator=generator)
    bend = torch.linspace(-0.02, 0.02, number)[torch.randperm(number, generator=generator), None, None]
    way = 2 * math.pi * torch.rand(number, 2, 1, generator=generator) + (turns + bend).cumsum(-1)
    start = side * (0.2 + 0.6 * torch.rand(number, 2, 1, 2, generator=generator))
    path = start + 1.5 * torch.stack([way.sin(), way.cos()], -1).cumsum(2)
    width = 1.4 + 1.4 * torch.rand(number, 2, 1, 1, generator=generator)
    lines = torch.cat([path[:, :, :-1], path[:, :, 1:], width.expand(-1, -1, steps - 1, -1)], -1).flatten(1, 2)
    mask = torch.stack([painted(each, side) for each in lines])[:, None]
    grain = torch.randn(number, 1, side, side, generator=generator)
    texture = blurred(grain, 1.5)
    across = torch.linspace(-1, 1, side)
    slopes = 0.12 * torch.randn(2, number, 1, 1, 1, generator=generator)
    light = 0.6 + slopes[0] * across + slopes[1] * across[:, None]
    depth = 0.2 + 0.15 * torch.rand(number, 1, 1, 1, generator=generator)
    noise = 0.02 * torch.randn(number, 1, side, side, generator=generator)
    return eight_bits(light + 0.3 * texture - depth * blurred(mask, 0.7) + noise), mask


def _halves(folder: Path, split: str, *, number: int, side: int, generator: Generator) -> Dataset:
    """Crops of the green channel of the left or the right half of the retina, a quarter of its size, in the disc."""
    image = opened(folder / "retina.jpg")
    colour = pixels(image.resize((image.width // 4, image.height // 4)), 3, None)
    green = torch.tensor(colour[1], dtype=torch.float32) / 255
    half = green.shape[1] // 2
    green = green[:, :half] if split == "train" else green[:, half:]
    crops: list[Tensor] = []
    while len(crops) < number:
        top, left = (int(torch.randint(size - side + 1, (), generator=generator)) for size in green.shape)
        crop = green[top : top + side, left : left + side]
        if crop.min() > 0.08:  # beyond the disc it is black
            crops.append(crop)
    x = torch.stack(crops)[:, None]
    return Dataset("retina", x, torch.zeros(number, dtype=torch.int64), torch.arange(number), ("",))


_PACKAGE = find_spec("skimage")
RETINA = Published(
    name="retina",
    layouts=(Layout(_halves, {"train": ("retina.jpg",), "test": ("retina.jpg",)}),),
    folders=("skimage/data", "skimage"),
    elsewhere=tuple(Path(place) / "data" for place in (_PACKAGE and _PACKAGE.submodule_search_locations) or ()),
    advice="pip install scikit-image, whose wheel has retina.jpg in skimage/data",
    licence="CC0 1.0 (Mikael Häggström, Wikimedia Commons), by the docstring of skimage.data.retina",
)
"""The fundus photograph that scikit-image ships: read as a file, the package is not imported. No mask is known."""


def world(name: str, seed: int, number: int = 96, unseen: int = 40, side: int = 32) -> Parts:
    """Images to learn from, each beside a drawing, and others: "walks" with masks, "retina" without.

    The first part's x has `drawing`, `mask` (of the drawing) and `real`; the second's `real` and `mask`, each
    (N, 1, S, S). Of the retina the left half is for training, the right one for testing, and `mask` is 0.
    Raises: ValueError for another name; FileNotFoundError saying how to get the photograph
    """
    generator = Generator().manual_seed(seed)
    if name == "walks":
        images, masks = walks(number + unseen, side, generator)
        seen, new, truth = images[:number], images[number:], masks[number:]
    elif name == "retina":
        seen, new = (
            RETINA.load(split, number=count, side=side, generator=generator).x
            for split, count in (("train", number), ("test", unseen))
        )
        truth = torch.zeros_like(new)
    else:
        raise unknown("world", name, ("walks", "retina"))
    drawing, mask = drawings(number, side, generator)
    parts = ({"real": seen, "drawing": drawing, "mask": mask}, {"real": new, "mask": truth})
    train, test = (
        Dataset(name, x, torch.zeros(len(x["real"]), dtype=torch.int64), torch.arange(len(x["real"])), ("",))
        for x in parts
    )
    return train, test
