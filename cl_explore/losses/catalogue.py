"""How a loss is declared, and the catalogue of all declared losses from which tables, sliders and tests are made."""

import functools
import inspect
import math
import re
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from cl_explore.losses.arguments import Limits, misuse, prepare, without_autocast
from cl_explore.losses.knob import READERS, SIDES, Choice, Knob
from cl_explore.names import unknown
from cl_explore.takes import Count, takes

Parts = dict[str, Tensor]

TEMPERATURE = Knob(
    "temperature",
    0.02,
    2.0,
    log=True,
    help="divides similarities: small = only the hardest negatives count",
    per_anchor=True,
)


def means(parts: Parts) -> Parts:
    """Each part of a loss averaged to a scalar: those of shape (N,) over the anchors that count, others over all."""
    if not isinstance(parts, dict) or not all(isinstance(part, Tensor) for part in parts.values()):
        raise TypeError(f"parts must be tensors by name, got {parts!r:.60}")
    weight = parts.get("anchor_weight")
    return {name: _mean(part, weight) for name, part in parts.items() if name != "anchor_weight"}


def _mean(part: Tensor, weight: Tensor | None) -> Tensor:
    if weight is None or part.shape != weight.shape:
        return part.mean(dtype=torch.promote_types(part.dtype, torch.float32))
    return part.dot(weight / weight.sum().clamp(min=1))


class Loss:
    """A declared loss: call it for the reduced value, call `.parts` for its anatomy.

    `needs` names the tensors it cannot do without (`z`, `labels`, `query`, `key`, ... of the notation of the house),
    `knobs` what can be turned, `defaults` where each knob stands. Every call takes two more arguments: `normalize`,
    unit length along the last axis (the default, except for a loss declared `raw`), and `reduction`, "mean" over
    anchors or "none" for one number per anchor, sample-major (anchor b * V + v). Values are computed in float32 or
    better, whatever comes in and also under autocast.
    """

    @takes
    def __init__(
        self,
        function: Callable[..., Tensor | Parts],
        *,
        title: str,
        paper: str,
        family: str,
        formula: str,
        knobs: tuple[Knob | Choice, ...],
        min_samples: Count,
        min_views: Count,
        max_views: Count | None,
        raw: bool,
    ) -> None:
        functools.update_wrapper(self, function)
        self.name = function.__name__
        self.title, self.paper, self.family, self.formula, self.knobs = title, paper, family, formula, knobs
        self.min_samples, self.min_views, self.max_views, self.raw = min_samples, min_views, max_views, raw
        self._limits = Limits(min_samples, min_views, max_views)
        self._function, self._signature = function, inspect.signature(function, eval_str=True)
        p = self._signature.parameters
        parameters = [each for each in p.values() if each.name != "normalize"]
        tensors = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        self.arguments: tuple[str, ...] = tuple(p.name for p in tensors)
        self.needs: tuple[str, ...] = tuple(p.name for p in tensors if p.default is p.empty)
        self.defaults: dict[str, Any] = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        if {knob.name for knob in knobs} != self.defaults.keys():
            raise TypeError(f"{self.name}: declared knobs and keyword-only parameters differ")
        shared = (
            inspect.Parameter("reduction", inspect.Parameter.KEYWORD_ONLY, default="mean", annotation=str),
            inspect.Parameter("normalize", inspect.Parameter.KEYWORD_ONLY, default=not raw, annotation=bool),
        )
        self.__signature__ = inspect.Signature([*parameters, *shared], return_annotation=Tensor)
        self._names, self._normalizes = {each.name for each in parameters}, "normalize" in p
        self._defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        if strange := [
            each.name for each in knobs if isinstance(each, Knob) and p[each.name].annotation not in READERS
        ]:
            raise TypeError(f"{self.name}: knob {strange[0]} must be annotated as a Scalar, float or int")
        self._readers = [(knob, READERS[p[knob.name].annotation] if isinstance(knob, Knob) else None) for knob in knobs]

    @property
    def summary(self) -> str:
        """The first sentence of the docstring: what the loss does."""
        return " ".join((inspect.getdoc(self) or "").partition("\n\n")[0].split())

    @property
    def fields(self) -> dict[str, str]:
        """What the docstring says of each argument, then under Parts, Source, Collapsed, Perfect, Raises and Note.

        >>> from cl_explore.losses import nt_xent
        >>> nt_xent.fields["Collapsed"]
        'log(N - 1)'
        """
        paragraphs = (inspect.getdoc(self) or "").split("\n\n")
        fields: dict[str, str] = {}
        for line in re.sub(r"\n\s+", " ", paragraphs[1]).splitlines():
            name, _, text = line.partition(": ")
            fields[name] = text
        return fields

    @takes
    def bounds(self, samples: Count = 64, views: Count = 2, classes: Count = 8, **kwargs: Any) -> tuple[float, float]:
        """The value when all points coincide and the value when all is as the loss would have it.

        Computed by calling the loss on the two batches: all points equal; then views equal and samples (for a loss of
        labels: classes) on a regular simplex, every two of them as far apart as can be, or, for a loss of raw
        embeddings, white (mean 0, covariance the identity). Plots draw both as grey lines. Raises `ValueError` if views
        and labels are not all the loss needs.

        >>> from cl_explore.losses import nt_xent
        >>> collapsed, perfect = nt_xent.bounds(samples=8, temperature=0.1)
        >>> round(math.exp(collapsed)), perfect < 1e-3
        (15, True)
        """
        labels = torch.arange(samples) % classes
        if self.raw:
            phase = torch.arange(samples, dtype=torch.float64)[:, None] + 0.5
            points = math.sqrt(2) * torch.cos(math.pi / samples * phase * torch.arange(1, min(samples, 9)))
        else:
            corners = classes if "labels" in self.needs else samples
            simplex = torch.eye(corners, dtype=torch.float64) - 1 / corners
            points = simplex[labels] if "labels" in self.needs else simplex
        apart = points[:, None].expand(-1, views, -1)
        collapsed, perfect = (float(self.on_views(z, labels, **kwargs)) for z in (torch.ones_like(apart), apart))
        return collapsed, perfect

    def __reduce__(self) -> tuple[Any, ...]:
        """By name, or by value for a reader's own: another process has not declared it."""
        if self.__module__.startswith("cl_explore."):
            return get, (self.name,)
        names = ("title", "paper", "family", "formula", "knobs", "min_samples", "min_views", "max_views", "raw")
        return _restored, (self._function, {name: getattr(self, name) for name in names})

    def __repr__(self) -> str:
        return f"<Loss {self.name}{self._signature}>"

    def __call__(
        self, *args: Any, reduction: Literal["mean", "none"] = "mean", normalize: bool | None = None, **kwargs: Any
    ) -> Tensor:
        """The loss: a scalar, or (N,) with `reduction="none"` where anchors that do not count hold 0.

        Raises `TypeError` or `ValueError` naming the argument, what came and what is needed.
        """
        if not isinstance(reduction, str) or reduction not in ("mean", "none"):
            raise ValueError(f"reduction must be 'mean' or 'none', got {reduction!r}")
        parts = self.parts(*args, normalize=normalize, **kwargs)
        return parts["loss"] if reduction == "none" else _mean(parts["loss"], parts.get("anchor_weight"))

    def parts(self, *args: Any, normalize: bool | None = None, **kwargs: Any) -> Parts:
        """The anatomy of the loss: `"loss"` (N,) per anchor, and whatever else its formula is made of.

        `"anchor_weight"` (N,), where present, says how much each anchor counts in the mean: 0 for one without a
        positive. Raises as `__call__` does.
        """
        if not (normalize is None or isinstance(normalize, bool)):
            raise TypeError(f"normalize must be True or False, got {type(normalize).__name__}")
        named = dict(zip(self.arguments, args, strict=False)) | kwargs if args else kwargs
        given = self._defaults | named  # as inspect would bind them, in a tenth of the time
        if len(named) < len(args) + len(kwargs) or given.keys() != self._names:
            raise misuse(self.name, self._signature, self.arguments, args, kwargs)
        normalize = not self.raw if normalize is None else normalize
        if self._normalizes:
            given["normalize"], normalize = normalize, False
        tensors = prepare(
            {name: given[name] for name in self.arguments if name in self.needs or given[name] is not None},
            normalize=normalize,
            limits=self._limits,
        )
        embeddings = tensors[self.arguments[0]]
        anchors = embeddings.shape[:-1].numel()
        for knob, read in self._readers:
            knob.check(given[knob.name], anchors)
            if read is not None:
                given[knob.name] = read(knob.name, given[knob.name], embeddings)
        result = without_autocast(embeddings.device.type, self._function, **given | tensors)
        return result if isinstance(result, dict) else {"loss": result}

    @takes
    def fits(self, views: Count) -> bool:
        """Whether `views` views of each sample and its label are all this loss needs."""
        given = SIDES if views > 1 and "z" not in self.needs else {"z", "index"}
        return set(self.needs) <= given | {"labels"} and self.min_views <= views <= (self.max_views or views)

    def from_views(self, z: Tensor, labels: Tensor | None = None, index: Tensor | None = None) -> dict[str, Any]:
        """The arguments this loss needs, taken from z (B, V, D), labels (B,) and index (B,).

        A loss of two sides gets the first view as query (or context) and the second as key; one of many candidates, all
        others. Raises `ValueError` naming what is missing.
        """
        have = {"z": z, "labels": labels, "index": index}
        if "z" not in self.needs:
            if z.ndim != 3 or z.shape[1] < 2:
                raise ValueError(f"{self.name} takes its two sides from two views, got z of shape {tuple(z.shape)}")
            first, second, *_ = z.unbind(1)
            have |= {"query": first, "context": first, "key": second, "candidates": z[:, 1:]}
        if missing := [name for name in self.needs if have.get(name) is None]:
            raise ValueError(f"{self.name} needs {' and '.join(missing)}, which were not given")
        return {name: have[name] for name in self.needs}

    def on_views(self, z: Tensor, labels: Tensor | None = None, index: Tensor | None = None, **kwargs: Any) -> Tensor:
        """The loss called with what it needs of z (B, V, D), labels (B,) and index (B,): see `from_views`."""
        return self(**self.from_views(z, labels, index), **kwargs)

    def parts_on_views(
        self, z: Tensor, labels: Tensor | None = None, index: Tensor | None = None, **kwargs: Any
    ) -> Parts:
        """The anatomy of the loss on what it needs of z (B, V, D), labels (B,) and index (B,): see `from_views`."""
        return self.parts(**self.from_views(z, labels, index), **kwargs)


catalogue: dict[str, Loss] = {}
"""Every declared loss by name, in order of declaration."""


@takes
def loss(
    *,
    title: str,
    paper: str,
    family: str,
    formula: str,
    knobs: list[Knob | Choice],
    min_samples: Count = 2,
    min_views: Count = 1,
    max_views: Count | None = None,
    raw: bool = False,
) -> Callable[[Callable[..., Tensor | Parts]], Loss]:
    """Declare the decorated function as a loss and enter it in the catalogue.

    The function computes one number per anchor from unit vectors: it returns them, or a dict whose `"loss"` entry
    they are (see `Loss.parts`). Its positional parameters are tensors of the notation of the house, its keyword-only
    ones are knobs. What the signature calls a knob is what the function gets:

    - `Scalar`, or nothing: a tensor of the dtype and device of the first argument, (N,) if the knob is `per_anchor`
      and given so, else of no dimension. A tensor of the caller's keeps its gradient.
    - `float` or `int` (rounded): a Python number. A tensor is refused.
    - `str`: an option of a `Choice`.

    A parameter `normalize: bool = True` is no knob: the function gets embeddings as they come and normalizes them.

    The docstring is one sentence, then one field a line (`Loss.fields`), then an example.

    paper: an arXiv number or a citation
    formula: LaTeX in the notation of the house
    min_samples, min_views, max_views: bounds of the B and V of `z` (B, V, D)
    raw: whether it reads embeddings as they come, of any length
    """

    def declare(function: Callable[..., Tensor | Parts]) -> Loss:
        declared = Loss(
            function,
            title=title,
            paper=paper,
            family=family,
            formula=formula,
            knobs=tuple(knobs),
            min_samples=min_samples,
            min_views=min_views,
            max_views=max_views,
            raw=raw,
        )
        function.__qualname__ += "._function"  # where pickle finds it, as its name holds the declaration
        catalogue[declared.name] = declared
        return declared

    return declare


def _restored(function: Callable[..., Tensor | Parts], declaration: dict[str, Any]) -> Loss:
    """A pickled loss of a reader's own; the catalogue stays as it is."""
    known = catalogue.get(function.__name__)
    return known if known is not None and known._function is function else Loss(function, **declaration)


@takes
def get(name: str | Loss) -> Loss:
    """The loss called `name`, or `name` itself if it is a loss; `ValueError` with the nearest names otherwise."""
    if isinstance(name, Loss):
        return name
    if name not in catalogue:
        raise unknown("loss", name, catalogue)
    return catalogue[name]
