"""The exercises of the course check themselves: each says what is wrong with an answer.

Those of a lesson stand in `notebooks/exercises/SLUG.py`, an assignment each: `penalty = Exercise(...)`.
"""

import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor

from cl_explore.app import layout
from cl_explore.names import unknown

T = TypeVar("T")

SIMILARITIES = torch.tensor([0.9, 0.7, 0.4, 0.1, -0.3, -0.5])  # of an anchor with six others, to try answers on
LABELS = torch.tensor([0, 0, 1, 1, 1, 2, 2])


@dataclass(frozen=True)
class Exercise:
    """A right answer and the wrong ones people give.

    truth: a function of each of the `trials`, or of nothing when the answer is a number.
    trials: makes the argument tuples on which an answer is tried.
    mistakes: from what to say to a wrong function people write.
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


def lesson(slug: str) -> dict[str, Exercise]:
    """The exercises of a lesson by name, in order; ValueError naming the nearest for a lesson that has none."""
    return defined(slug, Exercise)


def defined(slug: str, kind: type[T]) -> dict[str, T]:
    """What of a kind the file of a lesson's exercises defines, by name; raises as `lesson`."""
    files = {path.stem: path for path in sorted((layout.NOTEBOOKS / "exercises").glob("*.py"))}
    if slug not in files:
        raise unknown("lesson", slug, files)
    found = runpy.run_path(str(files[slug]))
    return {name: value for name, value in found.items() if isinstance(value, kind)}


def checker(slug: str) -> Callable[[str, Any], None]:
    """The function `check(name, answer)` of a lesson; ValueError for a lesson without exercises."""
    exercises = lesson(slug)

    def check(name: str, answer: Any) -> None:
        """Print whether `answer`, a function or a number, solves the exercise `name`, and if not, what is wrong.

        Raises `ValueError` with the nearest names if there is no such exercise; an error inside `answer` is reported,
        not raised.
        """
        if name not in exercises:
            raise unknown("exercise", name, exercises)
        try:
            wrong = exercises[name].grade(answer)
        except Exception as error:  # whatever a learner's code raises is an answer to be explained
            wrong = f"your code raised {type(error).__name__}: {error}"
        print(f"✗ {name}: {wrong}" if wrong else f"✓ {name}: right")

    return check


def points(samples: int = 6, views: int = 2, seed: int = 0) -> Tensor:
    """Random vectors (samples, views, 5) to try answers on, not normalised."""
    return torch.randn(samples, views, 5, generator=torch.Generator().manual_seed(seed))
