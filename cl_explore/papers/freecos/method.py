"""FreeCOS: a segmenter learns from drawn vessels, and pixels of drawn and real vessels are contrasted.

Source: Shi et al. 2023 and the authors' code. The contrast stands here and not in the catalogue because it is between
four sets of pixels of two domains, which are found by what the segmenter is sure of.
"""

from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from cl_explore.data import Batch
from cl_explore.losses.arguments import require
from cl_explore.losses.cross_entropy import cross_entropy
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.unit import unit
from cl_explore.methods import Method, Step
from cl_explore.papers.freecos.world import blurred, eight_bits, standardised, style_swap, unlocal
from cl_explore.takes import Amount, Count, Positive, Share, takes
from cl_explore.views.base import uniform

Negatives = Literal["detached", "live"]
Pairing = Literal["order", "random"]
Input = Literal["liot", "standardised", "raw"]
EPSILON = 1e-5


class Pixels(NamedTuple):
    """Features (n, D) of sure foreground and sure background pixels of one domain."""

    positive: Tensor
    negative: Tensor


def cmcl(
    synthetic: Pixels, real: Pixels, temperature: float = 0.1, queue: int = 500, negatives: Negatives = "detached"
) -> Tensor:
    """Drawn foreground pixels find real ones among background pixels of both domains; a scalar.

    synthetic: pixels by the generator's masks; foreground pixels are the queries
    real: pixels by confident predictions; foreground pixels are the positives, paired by order, the longer list cut
    queue: the negatives are the first half as many of the real and of the drawn background pixels
    negatives: "detached" as in the authors' code: they carry no gradient; "live": they do
    Source: `ContrastRegionloss_quaryrepeatNCE` of the authors' code; InfoNCE with a set of negatives
    Collapsed: log(1 + M) with M negatives
    Raises: ValueError for shapes that do not fit, or where there is no pair
    Note: 0 without negatives
    """
    require(**{"synthetic.positive": (synthetic.positive, "N D"), "real.positive": (real.positive, "P D")})
    for name, rows in {"synthetic.negative": synthetic.negative, "real.negative": real.negative}.items():
        if rows.ndim != 2 or rows.shape[1] != synthetic.positive.shape[1]:
            need = f"(n, {synthetic.positive.shape[1]}) as synthetic.positive has features"
            raise ValueError(f"{name} must have shape {need}, got {tuple(rows.shape)}")
    count = min(len(synthetic.positive), len(real.positive))
    query, key = unit(synthetic.positive[:count]), unit(real.positive[:count])
    others = torch.cat([real.negative[: queue // 2], synthetic.negative[: queue // 2]])
    if negatives == "detached":
        others = others.detach()
    if not len(others):
        return 0 * (query * key).sum()
    scale = 1 / temperature
    return cross_entropy(scale * (query * key).sum(1), row_lse(query, unit(others), scale)).mean()


def dice(probability: Tensor, mask: Tensor) -> Tensor:
    """1 - 2 (Σpy + ε) / (Σp + Σy + ε) with ε = 1e-5, summed over all pixels of the batch; a scalar.

    probability: any shape, in [0, 1]
    mask: the same shape, 0 or 1
    Source: `DiceLoss` of the authors' code, which doubles ε above: of two empty masks the loss is -1
    Perfect: about 0
    Raises: ValueError for shapes that differ
    """
    if probability.shape != mask.shape:
        raise ValueError(
            f"mask must have the shape of probability, {tuple(probability.shape)}, got {tuple(mask.shape)}"
        )
    both = (probability * mask).sum() + EPSILON
    return 1 - 2 * both / (probability.sum() + mask.sum() + EPSILON)


def sure_pixels(
    features: Tensor,
    foreground: Tensor,
    generator: torch.Generator,
    confidence: float = 0.1,
    share: float = 0.3,
    least: int = 5,
) -> Pixels:
    """A sample of the pixels that are surely foreground, and of those that surely are not, image after image.

    features: (N, D, H, W)
    foreground: (N, 1, H, W), the mask of a drawing or the predicted probability
    confidence: above 1 - confidence a pixel is foreground, below confidence background
    share: of each set, how much is drawn; at least one pixel
    least: an image without so many pixels of both kinds is left out
    """
    columns, found = features.flatten(2).mT, foreground.flatten(1)
    chosen: tuple[list[Tensor], list[Tensor]] = ([], [])
    for rows, value in zip(columns, found, strict=True):
        sets = [side.nonzero()[:, 0] for side in (value > 1 - confidence, value < confidence)]
        if min(map(len, sets)) >= least:
            for kept, places in zip(chosen, sets, strict=True):
                order = uniform(generator, features, len(places)).argsort()[: max(1, int(share * len(places)))]
                kept.append(rows[places[order.sort().values]])
    empty = features.new_zeros(0, features.shape[1])
    return Pixels(*(torch.cat([empty, *kept]) for kept in chosen))


class Block(nn.Module):
    """A convolution of 3 by 3, batch norm and ReLU; `domains` 2: real images have statistics of their own."""

    def __init__(self, before: int, after: int, domains: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(domains))

    def forward(self, x: Tensor, real: bool) -> Tensor:
        return F.relu(self.norms[int(real) % len(self.norms)](self.convolution(x)))


class UNet(nn.Module):
    """A U-Net with two poolings: pictures (N, C, H, W), sides divisible by 4, to features (N, width, H, W)."""

    @takes
    def __init__(self, in_channels: Count, width: Count = 6, domains: Count = 1) -> None:
        super().__init__()
        sizes = ((in_channels, width), (width, 2 * width), (2 * width, 4 * width), (6 * width, 2 * width),
                 (3 * width, width))  # fmt: skip
        self.blocks = nn.ModuleList(Block(*size, domains) for size in sizes)
        self.out_features = width

    def forward(self, x: Tensor, real: bool = False) -> Tensor:
        if x.ndim != 4 or x.shape[2] % 4 or x.shape[3] % 4:
            raise ValueError(f"x must be (N, C, H, W) with sides divisible by 4, got shape {tuple(x.shape)}")
        fine, middle, coarse, up, last = self.blocks
        high = fine(x, real)
        half = middle(F.max_pool2d(high, 2), real)
        deep = coarse(F.max_pool2d(half, 2), real)
        half = up(torch.cat([F.interpolate(deep, scale_factor=2.0), half], 1), real)
        return last(torch.cat([F.interpolate(half, scale_factor=2.0), high], 1), real)


class Projector(nn.Module):
    """Two blocks and a linear map, pixel by pixel: features (N, width, H, W) to what is contrasted (N, D, H, W)."""

    def __init__(self, width: int, features: int = 16, domains: int = 1) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, width, domains) for _ in "12")
        self.linear = nn.Conv2d(width, features, 1)

    def forward(self, x: Tensor, real: bool = False) -> Tensor:
        for block in self.blocks:
            x = block(x, real)
        return self.linear(x)


def discriminator(width: int = 8) -> nn.Sequential:
    """Five convolutions that tell whether a predicted mask (N, 1, H, W) is of a drawing (0) or a real image (1)."""
    sizes = (1, width, 2 * width, 4 * width, 4 * width)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 3, padding=1))


def as_they_are(x: Any, generator: torch.Generator, n_views: int) -> Any:
    """No views: the step changes drawings itself."""
    return x


class FreeCOS(Method):
    """A segmenter taught by drawings in the style of real images; real images come in by contrast and an adversary.

    Batches hold `drawing`, `mask` and `real`, each (N, 1, H, W) in [0, 1]. Encoder and head take `real=True` for real
    images. The discriminator is trained by the same optimiser, by its own loss alone; the authors have two optimisers.
    """

    passed: Tensor

    @takes
    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        *,
        input: Input = "liot",
        window: Share | None = 0.1,
        passes_real: bool = True,
        contrast: Amount = 0.04,
        adversary: Amount = 0.25,
        steps: Count = 96,
        temperature: Positive = 0.1,
        confidence: Share = 0.1,
        negatives: Negatives = "detached",
        pairing: Pairing = "order",
        background: Amount = 0.1,
    ) -> None:
        """What is taught.

        encoder: see `UNet`. head: see `Projector`.
        input: the order of intensities; intensities of mean 0 and deviation 1 in each image; or as they are.
        window: the half side of the swapped square of the spectrum, see `world.style_swap`; None for drawings as drawn.
        passes_real: whether real images go through the network in training, also if both weights are 0.
        contrast, adversary: weights of CMCL and of the adversary, which falls to 0 over `steps`.
        temperature, confidence, negatives: see `cmcl` and `sure_pixels`.
        pairing: "order" as in the authors' code, or "random" pairs of foreground pixels.
        background: the weight of background pixels in the cross-entropy; the authors take 5 for retina and cracks.

        Raises ValueError for a weight above 0 without `passes_real`.
        """
        if not passes_real and (contrast or adversary):
            raise ValueError(f"contrast and adversary must be 0 if no real image passes, got {contrast}, {adversary}")
        super().__init__(encoder, head, as_they_are)
        self.classifier = nn.Conv2d(encoder.out_features, 1, 1)  # type: ignore[arg-type]
        self.discriminator = discriminator() if adversary else None
        self.input, self.window, self.passes_real = input, window, passes_real
        self.contrast, self.adversary, self.steps = contrast, adversary, steps
        self.temperature, self.confidence = temperature, confidence
        self.negatives, self.pairing, self.background = negatives, pairing, background
        self.register_buffer("passed", torch.zeros(()))

    def forward(self, x: Any) -> Tensor:
        """h (N, width) of real images (N, 1, H, W), or of those of a batch: the mean of their pixel features."""
        return self.features(x["real"] if isinstance(x, dict) else x).mean((2, 3))

    def project(self, h: Tensor) -> Tensor:
        """z (N, D) of h (N, width), as if of images of one pixel."""
        return self.head(h[:, :, None, None], real=True)[:, :, 0, 0]

    def features(self, x: Tensor, real: bool = True) -> Tensor:
        """Pixel features (N, width, H, W) of pictures (N, 1, H, W)."""
        return self.encoder({"liot": unlocal, "standardised": standardised, "raw": torch.clone}[self.input](x), real)

    def predict(self, x: Tensor) -> Tensor:
        """The probability (N, 1, H, W) that each pixel of real images (N, 1, H, W) is foreground."""
        return torch.sigmoid(self.classifier(self.features(x)))

    def dressed(self, drawing: Tensor, real: Tensor, generator: torch.Generator) -> Tensor:
        """Drawings in the style of images drawn anew from the batch, clipped, blurred, with noise of 5 in 255."""
        if self.window is not None:
            drawing = style_swap(drawing, real[uniform(generator, real, len(real)).argsort()], self.window)
        noise = (10 * uniform(generator, drawing, *drawing.shape) - 5) / 255
        return eight_bits(blurred(drawing.clamp(0, 1), 0.5) + noise)

    def step(self, batch: Batch, generator: torch.Generator) -> Step:
        """Dice and 0.1 of cross-entropy on drawings, contrast and adversary.

        Each term is a metric, and how many pixels are contrasted: without a sure pair the contrast is left out.
        """
        x = batch.x
        assert isinstance(x, dict)
        drawn = self.features(self.dressed(x["drawing"], x["real"], generator), real=False)
        logit = self.classifier(drawn)
        probability, mask = torch.sigmoid(logit), x["mask"]
        weight = self.background + (1 - self.background) * mask
        terms = {"dice": dice(probability, mask), "bce": 0.1 * F.binary_cross_entropy_with_logits(logit, mask, weight)}
        pairs = mask.new_zeros(())
        if self.passes_real:
            features = self.features(x["real"])
            predicted = torch.sigmoid(self.classifier(features))
            if self.contrast:
                synthetic = sure_pixels(self.head(drawn), mask, generator, self.confidence)
                real = sure_pixels(self.head(features, real=True), predicted.detach(), generator, self.confidence)
                if self.pairing == "random":
                    order = uniform(generator, mask, len(real.positive)).argsort()
                    real = real._replace(positive=real.positive[order])
                count = min(map(len, (*synthetic, *real)))
                pairs += min(len(synthetic.positive), len(real.positive)) * (count > 0)
                if count:
                    found = cmcl(synthetic, real, self.temperature, negatives=self.negatives)
                    terms["contrast"] = self.contrast * found
            if self.discriminator is not None:
                terms |= self._against(self.discriminator, probability, predicted)
        metrics = {name: term.detach() for name, term in terms.items()} | {"pairs": pairs}
        return Step(torch.stack([*terms.values()]).sum(), metrics)

    def _against(self, judge: nn.Module, drawn: Tensor, real: Tensor) -> dict[str, Tensor]:
        """What the segmenter gets for real masks that look drawn, and what its judge learns from both."""
        frozen = {name: value.detach() for name, value in judge.named_parameters()}
        fooled, *told = functional_call(judge, frozen, (real,)), judge(drawn.detach()), judge(real.detach())
        losses = [
            F.binary_cross_entropy_with_logits(given, torch.full_like(given, label))
            for given, label in zip((fooled, *told), (0.0, 0.0, 1.0), strict=True)
        ]
        left = self.adversary * (1 - self.passed / self.steps).clamp(min=0)
        return {"adversary": left * losses[0], "discriminator": (losses[1] + losses[2]) / 8}

    @torch.no_grad()
    def after_step(self) -> None:
        """Count the step, by which the adversary fades."""
        self.passed += 1
