"""The exercises of the course check themselves here: each says what is wrong with an answer."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import geometry, losses


@dataclass(frozen=True)
class Exercise:
    """A right answer and the wrong ones people give.

    `truth` is a function of each of the `trials` (argument tuples), or of nothing when the answer is a number.
    `mistakes` maps what to say to a wrong function people write.
    """

    truth: Callable[..., Any]
    trials: Callable[[], list[tuple[Any, ...]]] = field(default=lambda: [()])
    mistakes: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def grade(self, answer: Any) -> str | None:
        """What is wrong with `answer`, or None if nothing is."""
        for trial in self.trials():
            given = answer(*trial) if callable(answer) else answer
            if given is None or given is ...:
                return "not answered yet: replace the dots"
            got, right = torch.as_tensor(given).double(), torch.as_tensor(self.truth(*trial)).double()
            if got.shape != right.shape:
                return f"the answer should have shape {tuple(right.shape)}, yours has {tuple(got.shape)}"
            if torch.allclose(got, right, rtol=1e-4, atol=1e-6):
                continue
            for remark, wrong in self.mistakes.items():
                slip = torch.as_tensor(wrong(*trial)).double()
                if slip.shape == got.shape and torch.allclose(got, slip, rtol=1e-4, atol=1e-6):
                    return remark
            worst = (got - right).abs().argmax()
            return f"you have {got.flatten()[worst]:.4g} where {right.flatten()[worst]:.4g} is right"
        return None


def check(name: str, answer: Any) -> None:
    """Print whether `answer`, a function or a number, solves the exercise `name`, and if not, what is wrong.

    Raises `ValueError` with the nearest names if there is no such exercise; an error inside `answer` is reported, not
    raised.
    """
    if name not in EXERCISES:
        near = difflib.get_close_matches(name, EXERCISES, n=3) or list(EXERCISES)
        raise ValueError(f"name must be that of an exercise such as {', '.join(near)}, got {name!r}")
    try:
        wrong = EXERCISES[name].grade(answer)
    except Exception as error:  # whatever a learner's code raises is an answer to be explained
        wrong = f"your code raised {type(error).__name__}: {error}"
    print(f"✗ {name}: {wrong}" if wrong else f"✓ {name}: right")


def _points(samples: int = 6, views: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(samples, views, 5, generator=torch.Generator().manual_seed(seed))


def _log_softmax_of_positives(similarity: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    itself = torch.eye(len(labels), dtype=torch.bool)
    logits = (similarity / temperature).masked_fill(itself, -torch.inf)
    return logits.log_softmax(1), (labels[:, None] == labels) & ~itself


def _supcon_inside(x: Tensor, labels: Tensor, temperature: float) -> Tensor:
    return losses.supcon_in(x, labels, temperature=temperature)


def _supcon_summed(x: Tensor, labels: Tensor, temperature: float) -> Tensor:
    x = F.normalize(x, dim=1)
    log_p, positive = _log_softmax_of_positives(x @ x.T, labels, temperature)
    return -log_p.masked_fill(~positive, 0).sum(1).mean()


def _entropy(weights: Tensor) -> Tensor:
    return -(weights * weights.log()).sum()


def _shares(values: Tensor) -> Tensor:
    return values / values.sum()


def _comparator(a: Tensor, b: Tensor, steepness: float) -> Tensor:
    stay = torch.atan(steepness * (b - a)) / math.pi + 0.5
    return torch.stack([stay * a + (1 - stay) * b, (1 - stay) * a + stay * b])


def _target(tau2: Tensor, classes: int) -> Tensor:
    return 1 / (1 + (classes - 1) * (-1 / tau2).exp())


def _carried(weights: Tensor) -> Tensor:
    return math.log(len(weights)) - _entropy(weights)


_SIMILARITIES = torch.tensor([0.9, 0.7, 0.4, 0.1, -0.3, -0.5])
_LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2])

EXERCISES: dict[str, Exercise] = {
    # 00_start_here
    "negatives": Exercise(
        lambda: 254,
        mistakes={
            "the other 127 samples are there twice: each has two views": lambda: 127,
            "its own second view is the positive, not a negative": lambda: 255,
            "neither the anchor itself nor its own second view is a negative": lambda: 256,
        },
    ),
    "collapsed": Exercise(
        lambda samples: math.log(2 * samples - 1),
        lambda: [(64,), (500,)],
        {
            "an anchor is never compared with itself: count the others": lambda samples: math.log(2 * samples),
            "each sample is there twice: count points, not samples": lambda samples: math.log(samples),
            "the positive is in the denominator too": lambda samples: math.log(2 * samples - 2),
        },
    ),
    "cosine": Exercise(
        lambda x, y: F.normalize(x, dim=1) @ F.normalize(y, dim=1).T,
        lambda: [(_points()[:, 0], _points(4)[:, 1] * 3)],
        {
            "these are inner products: divide by the lengths of the vectors": lambda x, y: x @ y.T,
            "only x is of unit length": lambda x, y: F.normalize(x, dim=1) @ y.T,
        },
    ),
    # 01_losses_from_scratch
    "hinge": Exercise(
        lambda near, far, margin: (near - far + margin).clamp(min=0),
        lambda: [(torch.tensor([0.1, 0.9, 0.5]), torch.tensor([0.8, 0.4, 0.6]), 0.2)],
        {
            "a triplet that is already in order must cost nothing: cut at zero": lambda near, far, margin: (
                near - far + margin
            ),
            "the margin asks for more: add it to the violation": lambda near, far, margin: (near - far - margin).clamp(
                min=0
            ),
            "near and far have changed places": lambda near, far, margin: (far - near + margin).clamp(min=0),
        },
    ),
    "two_ways": Exercise(
        lambda query, key, temperature: (
            (
                losses.info_nce(query, key, temperature=temperature)
                + losses.info_nce(key, query, temperature=temperature)
            )
            / 2
        ),
        lambda: [(_points()[:, 0], _points()[:, 1], 0.2)],
        {
            "that is one direction: keys must find their queries too": lambda query, key, temperature: losses.info_nce(
                query, key, temperature=temperature
            ),
            "take the mean of the two directions, not the sum": lambda query, key, temperature: (
                losses.info_nce(query, key, temperature=temperature)
                + losses.info_nce(key, query, temperature=temperature)
            ),
        },
    ),
    "decoupled": Exercise(
        lambda z, temperature: losses.dcl(z, temperature=temperature),
        lambda: [(_points(), 0.5), (_points(3, seed=1), 0.1)],
        {
            "the positive is still in the denominator: that is NT-Xent": lambda z, temperature: losses.nt_xent(
                z, temperature=temperature
            ),
        },
    ),
    "supcon": Exercise(
        lambda x, labels, temperature: losses.supcon(x, labels, temperature=temperature),
        lambda: [(_points(7)[:, 0], torch.tensor([0, 0, 1, 1, 1, 2, 2]), 0.3)],
        {
            "the mean stands inside the logarithm (that is L_in): average log-probabilities": _supcon_inside,
            "divide by the number of positives of each anchor": _supcon_summed,
        },
    ),
    # 02_temperature
    "penalty": Exercise(
        lambda similarities, temperature: (similarities / temperature).softmax(0),
        lambda: [(_SIMILARITIES, 0.1), (_SIMILARITIES, 1.0)],
        {
            "similarities are divided by the temperature, not multiplied": lambda similarities, temperature: (
                similarities * temperature
            ).softmax(0),
            "the weights must sum to one": lambda similarities, temperature: (similarities / temperature).exp(),
        },
    ),
    "effective": Exercise(
        lambda weights: _entropy(weights).exp(),
        lambda: [(torch.full((8,), 1 / 8),), ((_SIMILARITIES / 0.2).softmax(0),)],
        {
            "that is the entropy: its exponential counts": lambda weights: _entropy(weights),
            "the entropy has a minus sign: -sum w log w": lambda weights: (-_entropy(weights)).exp(),
        },
    ),
    "nine_to_one": Exercise(
        lambda nearest, second: (nearest - second) / math.log(9),
        lambda: [(0.9, 0.6), (0.5, -0.5)],
        {
            "of two weights that sum to one, 0.9 against 0.1 is a ratio of nine": lambda nearest, second: (
                (nearest - second) / math.log(10)
            ),
            "colder is more extreme: the temperature grows with the gap": lambda nearest, second: (
                math.log(9) / (nearest - second)
            ),
        },
    ),
    "tolerance": Exercise(
        lambda z, labels: geometry.tolerance(z, labels),
        lambda: [(F.normalize(_points(7)[:, 0], dim=1), _LABELS)],
        {
            "the mean runs over pairs of one class only, not over all pairs": lambda z, labels: geometry.tolerance(
                z, labels, reading="literal"
            ),
            "leave out the pair of a point with itself": lambda z, labels: (z @ z.T)[labels[:, None] == labels].mean(),
        },
    ),
    # 03_alignment_and_uniformity
    "alignment": Exercise(
        lambda z: losses.alignment(z, normalize=False),
        lambda: [(F.normalize(_points(), dim=-1),)],
        {
            "square the distance": lambda z: losses.alignment(z, alpha=1.0, normalize=False),
            "average over samples, not over coordinates": lambda z: (z[:, 0] - z[:, 1]).square().mean(),
        },
    ),
    "uniformity": Exercise(
        lambda x: losses.uniformity(x, normalize=False),
        lambda: [(F.normalize(_points(7)[:, 0], dim=1),)],
        {
            "leave out the pair of a point with itself": lambda x: (-2 * torch.cdist(x, x).square()).exp().mean().log(),
            "the distance is squared": lambda x: (
                ((-2 * torch.cdist(x, x)).exp().sum() - len(x)) / (len(x) * (len(x) - 1))
            ).log(),
            "the logarithm comes last, after the mean": lambda x: (
                -2 * torch.cdist(x, x).square().sum() / (len(x) * (len(x) - 1))
            ),
        },
    ),
    "orthonormal": Exercise(
        lambda t: -2 * t,
        lambda: [(1.0,), (2.0,), (5.0,)],
        {
            "the squared distance of two orthogonal unit vectors is 2": lambda t: -t,
            "the distance is squared: (sqrt 2)^2 = 2": lambda t: -t * math.sqrt(2),
            "the logarithm undoes the exponential: the sign stays": lambda t: 2 * t,
        },
    ),
    "dispersion": Exercise(
        lambda x, labels: geometry.dispersion(x, labels, normalize=False).ratio,
        lambda: [(F.normalize(_points(7)[:, 0], dim=1), _LABELS)],
    ),
    # 04_negatives
    "coupling": Exercise(
        lambda positive, negatives, temperature: (
            1 - torch.cat([positive[None], negatives]).div(temperature).softmax(0)[0]
        ),
        lambda: [(torch.tensor(0.8), _SIMILARITIES, 0.1), (torch.tensor(0.2), _SIMILARITIES, 0.5)],
        {
            "that is the probability of the positive: q is what is left": lambda positive, negatives, temperature: (
                torch.cat([positive[None], negatives]).div(temperature).softmax(0)[0]
            ),
        },
    ),
    "false_share": Exercise(
        lambda classes: 1 / classes,
        lambda: [(10,), (100,)],
        {"those are the true negatives": lambda classes: 1 - 1 / classes},
    ),
    "mix": Exercise(
        lambda query, negative, share: F.normalize(share * query + (1 - share) * negative, dim=-1),
        lambda: [(F.normalize(_points()[0, 0], dim=0), F.normalize(_points()[1, 0], dim=0), 0.3)],
        {
            "the mixture lies inside the sphere: give it unit length": lambda query, negative, share: (
                share * query + (1 - share) * negative
            ),
            "the share is that of the query": lambda query, negative, share: F.normalize(
                (1 - share) * query + share * negative, dim=-1
            ),
        },
    ),
    # 05_a_temperature_for_everyone
    "carried": Exercise(
        lambda similarities, temperature: _carried((similarities / temperature).softmax(0)),
        lambda: [(_SIMILARITIES, 0.1), (_SIMILARITIES, 1.0)],
        {
            "that is the entropy: the divergence from uniform is log K minus it": lambda similarities, temperature: (
                _entropy((similarities / temperature).softmax(0))
            ),
            "uniform weights are 1/K: compare p with that inside the logarithm": lambda similarities, temperature: (
                -_entropy((similarities / temperature).softmax(0))
            ),
        },
    ),
    "remembered": Exercise(
        lambda before, now, gamma: (1 - gamma) * before + gamma * now,
        lambda: [(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 1.0]), 0.9)],
        {
            "gamma is the weight of the batch, not of the memory": lambda before, now, gamma: (
                gamma * before + (1 - gamma) * now
            ),
        },
    ),
    "most_nats": Exercise(
        lambda negatives: math.log(negatives),
        lambda: [(8,), (254,)],
        {
            "nats, not bits: take the natural logarithm": lambda negatives: math.log2(negatives),
        },
    ),
    # 06_attraction_and_repulsion
    "attraction": Exercise(
        lambda costs, tau: (tau * costs).softmax(0),
        lambda: [(torch.tensor([0.1, 0.5, 1.2]), 1.0), (torch.tensor([0.1, 0.5, 1.2]), 3.0)],
        {
            "that is repulsion: a far positive shall weigh more, not less": lambda costs, tau: (-tau * costs).softmax(
                0
            ),
            "the temperature multiplies the distance here": lambda costs, tau: (costs / tau).softmax(0),
        },
    ),
    "comparator": Exercise(
        lambda a, b, steepness: _comparator(a, b, steepness),
        lambda: [(torch.tensor(0.6), torch.tensor(0.2), 10.0), (torch.tensor(0.1), torch.tensor(0.3), 2.0)],
        {
            "the smaller number shall come first": lambda a, b, steepness: _comparator(b, a, -steepness),
            "the two must still have the same sum: mix both with the same share": lambda a, b, steepness: torch.stack(
                [torch.minimum(a, b), _comparator(a, b, steepness)[1]]
            ),
        },
    ),
    "above": Exercise(
        lambda positive, negatives: (negatives > positive).sum(),
        lambda: [(torch.tensor(0.45), _SIMILARITIES), (torch.tensor(0.95), _SIMILARITIES)],
        {
            "those are below: an inversion is a negative that is nearer": lambda positive, negatives: (
                negatives < positive
            ).sum(),
            "count them: the share depends on how many there are": lambda positive, negatives: (
                (negatives > positive).double().mean()
            ),
        },
    ),
    # 07_many_views
    "pairs": Exercise(
        lambda views: views * (views - 1) // 2,
        lambda: [(2,), (8,)],
        {"each pair is counted twice, once from each side": lambda views: views * (views - 1)},
    ),
    "effective_rank": Exercise(
        lambda x: geometry.effective_rank(x),
        lambda: [(_points(20, 1)[:, 0],)],
        {
            "singular values, not their squares": lambda x: _entropy(_shares(torch.linalg.svdvals(x).square())).exp(),
            "that is the entropy: its exponential counts": lambda x: _entropy(_shares(torch.linalg.svdvals(x))),
        },
    ),
    "all_equal": Exercise(
        lambda samples, views, temperature: losses.mv_dhel(torch.ones(samples, views, 3), temperature=temperature),
        lambda: [(8, 2, 0.5), (16, 4, 0.5)],
        {
            "each view has an energy of its own": lambda samples, views, temperature: (
                math.log(samples - 1) - math.log(views * (views - 1) / 2)
            ),
            "a point is not its own negative: B - 1, not B": lambda samples, views, temperature: (
                views * math.log(samples) + (views - 1) / temperature - math.log(views * (views - 1) / 2)
            ),
        },
    ),
    # 08_labels_and_class_dispersion
    "inside": Exercise(
        lambda x, labels, temperature: losses.supcon_in(x, labels, temperature=temperature),
        lambda: [(_points(7)[:, 0], _LABELS, 0.3)],
        {
            "the mean stands outside the logarithm (that is L_out): average probabilities": (
                lambda x, labels, temperature: losses.supcon(x, labels, temperature=temperature)
            ),
            "the mean probability of the positives, not their sum": lambda x, labels, temperature: (
                losses.supcon_in(x, labels, temperature=temperature)
                - ((labels[:, None] == labels).sum(1) - 1).log().mean()
            ),
        },
    ),
    "simplex_cosine": Exercise(
        lambda classes: -1 / (classes - 1),
        lambda: [(2,), (10,)],
        {
            "orthogonal classes can still move apart": lambda classes: 0.0,
            "two classes lie opposite each other: cosine -1": lambda classes: -1 / classes,
        },
    ),
    "true_positives": Exercise(
        lambda share, classes: (1 - share) ** 2 + share**2 / (classes - 1),
        lambda: [(0.4, 10), (0.2, 3)],
        {
            "both samples may be mislabelled": lambda share, classes: 1 - share,
            "two samples of one class may carry the same wrong label": lambda share, classes: (1 - share) ** 2,
            "two wrong labels seldom come from the same class": lambda share, classes: (1 - share) ** 2 + share**2,
        },
    ),
    # 09_varcon
    "posterior": Exercise(
        lambda x, means, temperature: (x @ F.normalize(means, dim=1).T / temperature).softmax(1),
        lambda: [(F.normalize(_points(7)[:, 0], dim=1), _points(3)[:, 1] * 0.3, 0.5)],
        {
            "a class is a direction: give its mean unit length": lambda x, means, temperature: (
                x @ means.T / temperature
            ).softmax(1),
            "the classes of a point sum to one, not the points of a class": lambda x, means, temperature: (
                x @ F.normalize(means, dim=1).T / temperature
            ).softmax(0),
        },
    ),
    "target": Exercise(
        lambda confidence, classes, temperature, epsilon: _target(
            temperature - epsilon + 2 * epsilon * confidence, classes
        ),
        lambda: [(torch.tensor([0.1, 0.5, 0.9]), 100, 0.3, 0.1)],
        {
            "at a confidence of one half, tau2 is tau1": lambda confidence, classes, temperature, epsilon: _target(
                temperature + 2 * epsilon * confidence, classes
            ),
            "the surer, the softer: tau2 grows with confidence": lambda confidence, classes, temperature, epsilon: (
                _target(temperature + epsilon - 2 * epsilon * confidence, classes)
            ),
            "the own class is not among the others: C - 1": lambda confidence, classes, temperature, epsilon: _target(
                temperature - epsilon + 2 * epsilon * confidence, classes + 1
            ),
        },
    ),
    "at_rest": Exercise(
        lambda classes, temperature: (1 + _target(torch.tensor(temperature), classes)) / 2,
        lambda: [(100, 0.3), (1000, 0.1)],
        {
            "that is the target; the label pulls as well": lambda classes, temperature: _target(
                torch.tensor(temperature), classes
            ),
        },
    ),
}
