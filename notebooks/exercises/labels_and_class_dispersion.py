"""Exercises of the lesson labels_and_class_dispersion."""

from cl_explore import losses
from cl_explore.app.exercises import LABELS, Exercise, points

inside = Exercise(
    lambda x, labels, temperature: losses.supcon_in(x, labels, temperature=temperature),
    lambda: [(points(7)[:, 0], LABELS, 0.3)],
    {
        "that is L_out: take the mean of the probabilities, then the logarithm": (
            lambda x, labels, temperature: losses.supcon(x, labels, temperature=temperature)
        ),
        "take the mean of the probabilities, not their sum": lambda x, labels, temperature: (
            losses.supcon_in(x, labels, temperature=temperature) - ((labels[:, None] == labels).sum(1) - 1).log().mean()
        ),
    },
)

simplex_cosine = Exercise(
    lambda classes: -1 / (classes - 1),
    lambda: [(2,), (10,)],
    {
        "orthogonal classes can still move apart": lambda classes: 0.0,
        "two classes lie opposite each other: cosine -1": lambda classes: -1 / classes,
    },
)

true_positives = Exercise(
    lambda share, classes: (1 - share) ** 2 + share**2 / (classes - 1),
    lambda: [(0.4, 10), (0.2, 3)],
    {
        "either of the two labels may be wrong": lambda share, classes: 1 - share,
        "two samples of one class may carry the same wrong label": lambda share, classes: (1 - share) ** 2,
        "two wrong labels seldom come from the same class": lambda share, classes: (1 - share) ** 2 + share**2,
    },
)
