"""GOPro: prompts made of the picture itself for a frozen image-text model, and held still over views of it.

Source: the authors' code (`trainers/gopro.py`), which differs from their figure in two switches, `project_for_ce` of
`GOPro` and `augmix` of `world.PromptViews`.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.methods import Augment, JointEmbedding, Step, gather
from cl_explore.methods.method import Embedded
from cl_explore.names import unknown

EPSILON = 2.3e-8
CONDITIONING = ("none", "style", "content", "both")
Conditioning = Literal["none", "style", "content", "both"]


def statistics(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and spread, each (N, C), over the tokens (N, L, C) of a layer.

    The spread is the root of (the sum of squared deviations + 2.3e-8) / L: not torch.std, which divides by L - 1.
    """
    mean = tokens.mean(1)
    squares = (tokens - mean[:, None]).square().sum(1)
    return mean, ((squares + EPSILON) / tokens.shape[1]).sqrt()


def drift(text: Tensor) -> Tensor:
    """L_sem: the mean squared difference of the entries of prompts between the first view and each other, added up.

    text: (B, V, K, D), unit vectors of K classes for each view; V >= 2. A term is at most 4 / D.
    """
    return (text[:, :1] - text[:, 1:]).square().mean((0, 2, 3)).sum()


class FrozenCLIP(nn.Module):
    """A trained image-text model that stays as it is, and tells of a picture more than its embedding.

    stages: modules, one after the other, from a picture to maps (N, C, H, W); what a layer gives is read as H W tokens.
    head: the mean (N, C) of the last tokens -> the embedding (N, D).
    text: `vectors(tokens (N, L)) -> (N, L, W)` and `read((N, L, W)) -> (N, D)`, a text's tokens to its embedding.
    scale: the number that multiplies cosines, exp(logit_scale).
    """

    def __init__(self, stages: nn.Sequential, head: nn.Module, text: Any, scale: float) -> None:
        super().__init__()
        self.stages, self.head, self.text, self.scale = stages, head, text, scale
        self.requires_grad_(False)
        self.train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) -> (N, D + 2 sum of C): unit embedding, then mean and spread of each layer's tokens."""
        said: list[Tensor] = []
        for stage in self.stages:
            x = stage(x)
            said += statistics(x.flatten(2).transpose(1, 2))
        return torch.cat([F.normalize(self.head(said[-2]), dim=1), *said], dim=1)

    def train(self, mode: bool = True) -> "FrozenCLIP":
        """Whatever is asked for, the model stays in evaluation mode."""
        return super().train(False)


class Prompts(nn.Module):
    """Context tokens that go before a class's name, shifted by what the layers say of the picture.

    The shift v(x) is the same for every token: of each layer a linear map of its style, half of mean and spread, and
    another of its content, the mean, are averaged, and one more linear map mixes the layers.
    """

    def __init__(self, context: Tensor, channels: list[int], conditioning: Conditioning = "both") -> None:
        """What prompts start from.

        context: (M, W), such as the vectors of "a photo of a". channels: C of each layer.
        conditioning: what of the picture is heard; "none" are the fixed contexts of CoOp.
        """
        if conditioning not in CONDITIONING:
            raise unknown("conditioning", conditioning, CONDITIONING)
        super().__init__()
        self.context = nn.Parameter(context.clone())
        self.channels, self.conditioning = channels, conditioning
        width = context.shape[1]
        self.style, self.content = (nn.ModuleList(nn.Linear(size, width) for size in channels) for _ in "ab")
        self.mix = nn.Linear(len(channels), 1)

    def forward(self, said: Tensor) -> Tensor:
        """What layers say, (N, 2 sum of C) as `FrozenCLIP` gives it -> contexts (N, M, W)."""
        if self.conditioning == "none":
            return self.context.expand(len(said), -1, -1)
        parts = said.split([size for size in self.channels for _ in "ab"], dim=1)
        layers = []
        for mean, spread, style, content in zip(parts[::2], parts[1::2], self.style, self.content, strict=True):
            heard = {"style": style((mean + spread) / 2), "content": content(mean)}
            both = (heard["style"] + heard["content"]) / 2
            layers.append({**heard, "both": both}[self.conditioning])
        return self.context + self.mix(torch.stack(layers, 2)).transpose(1, 2)


class GOPro(JointEmbedding):
    """Prompts learned on a few labelled pictures, with two terms that ask for the same over three views of each.

    L = L_ce + w_sem L_sem + w_con L_con. Only contexts, the linear maps of `Prompts` and the projector learn; in the
    authors' code, which is the default here, L_con reaches the projector alone, so that it can change no prediction.
    The loss that is given is L_con, of the first two views; views are the picture and two augmentations of it, as
    `world.PromptViews` makes them. Metrics: `classes`, `drift`, `contrast`, the terms without their weights, unless
    these are 0.
    """

    encoder: FrozenCLIP
    names: Tensor

    def __init__(
        self,
        encoder: FrozenCLIP,
        head: nn.Module,
        loss: str | losses.Loss | nn.Module,
        augment: Augment,
        *,
        prompts: Prompts,
        names: Tensor,
        known: int,
        drift_weight: float = 1.0,
        contrast_weight: float = 0.1,
        project_for_ce: bool = False,
        **options: Any,
    ) -> None:
        """What `JointEmbedding` does not take already.

        head: the projector P_v, (N, D) -> (N, D).
        names: (C,) int64, the token that names each class, in the order of the labels.
        known: how many classes, the first, are trained; the others are new.
        drift_weight, contrast_weight: w_sem and w_con.
        project_for_ce: compare prompts with P_v of the picture's embedding, as the paper's figure has it.
        """
        for name, weight in {"drift_weight": drift_weight, "contrast_weight": contrast_weight}.items():
            if not weight >= 0:
                raise ValueError(f"{name} must be at least 0, got {weight}")
        if not 2 <= known <= len(names):
            raise ValueError(f"known must be 2 to all {len(names)} classes, got {known}")
        super().__init__(encoder, head, loss, augment, 3, **options)
        self.prompts, self.known, self.project_for_ce = prompts, known, project_for_ce
        self.drift_weight, self.contrast_weight = drift_weight, contrast_weight
        self.register_buffer("names", names)

    def project(self, h: Tensor) -> Tensor:
        """P_v of the embedding that h (N, H) begins with."""
        return self.head(self.parts(h)[0])

    def parts(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding (N, D) in h (N, H), and what layers say."""
        says = 2 * sum(self.prompts.channels)
        return h[:, :-says], h[:, -says:]

    def texts(self, h: Tensor, classes: Tensor) -> Tensor:
        """t(x), (N, K, D): unit embeddings of the prompts of K classes, labels (K,), for pictures h (N, H)."""
        contexts = self.prompts(self.parts(h)[1])
        named = self.encoder.text.vectors(self.names[classes])
        shape = len(h), len(classes), -1, -1
        prompt = torch.cat([contexts[:, None].expand(shape), named[None, :, None].expand(shape)], dim=2)
        return F.normalize(self.encoder.text.read(prompt.flatten(0, 1)), dim=1).unflatten(0, shape[:2])

    def logits(self, h: Tensor, texts: Tensor) -> Tensor:
        """(N, K): scaled cosines of pictures h (N, H) with their own prompts (N, K, D)."""
        image = F.normalize(self.project(h), dim=1) if self.project_for_ce else self.parts(h)[0]
        return self.encoder.scale * (texts @ image[:, :, None])[..., 0]

    def predict(self, x: Tensor, classes: Tensor) -> Tensor:
        """Labels (N,) of pictures (N, 3, H, W), out of classes (K,)."""
        with torch.no_grad():
            h = self(x)
            return classes[self.logits(h, self.texts(h, classes)).argmax(1)]

    def compare(self, embedded: Embedded) -> Step:
        """The weighted sum of the terms, among the known classes."""
        (h,) = gather(embedded.h)
        known = torch.arange(self.known, device=h.device)
        views = h if self.drift_weight else h[:, :1]
        texts = self.texts(views.flatten(0, 1), known).unflatten(0, views.shape[:2])
        terms = {"classes": (1.0, F.cross_entropy(self.logits(h[:, 0], texts[:, 0]), embedded.labels))}
        if self.drift_weight:
            terms["drift"] = self.drift_weight, drift(texts)
        if self.contrast_weight:
            terms["contrast"] = self.contrast_weight, super().compare(embedded._replace(z=embedded.z[:, :2])).loss
        loss = torch.stack([weight * term for weight, term in terms.values()]).sum()
        return Step(loss, {name: term.detach() for name, (_, term) in terms.items()})
