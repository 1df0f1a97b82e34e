"""The linear probe: are the classes linearly separable in the frozen representation?"""

import numpy as np
from numpy.typing import NDArray

from cl_explore.evaluate.features import checked
from cl_explore.given import Array
from cl_explore.takes import Positive, takes


@takes
def linear_accuracy(train_h: Array, train_labels: Array, test_h: Array, test_labels: Array, C: Positive = 1.0) -> float:
    """Accuracy on the test samples of a multinomial logistic regression fitted to the training samples.

    train_h, train_labels: (N, H) floating point and (N,) integers from 0 on, tensors or arrays
    test_h, test_labels: (M, H) and (M,), likewise
    C: L-BFGS minimises the summed cross-entropy plus |w|^2 / (2 C); fixed beforehand, never chosen on the test part
    Raises: ValueError for shapes or labels that do not fit, numbers that are not finite, fewer than two classes, C <=
        0; TypeError for dtypes
    Note: features are standardised by the mean and deviation of the training part.
    """
    predicted, found = _predicted(train_h, train_labels, test_h, test_labels, C)
    return float((predicted == found).mean())


@takes
def linear_f1(train_h: Array, train_labels: Array, test_h: Array, test_labels: Array, C: Positive = 1.0) -> float:
    """Macro-F1 of the same probe: the mean over classes of F1, so that rare classes count as much as frequent ones.

    train_h, train_labels, test_h, test_labels, C: as of `linear_accuracy`
    Raises: as `linear_accuracy`
    """
    from sklearn.metrics import f1_score

    predicted, found = _predicted(train_h, train_labels, test_h, test_labels, C)
    return float(f1_score(found, predicted, average="macro"))


@takes
def linear_iou(
    train_h: Array, train_labels: Array, test_h: Array, test_labels: Array, C: Positive = 1.0
) -> NDArray[np.float64]:
    """The intersection over union of each class, by the same probe: what it names and is that class, of either.

    train_h, train_labels, test_h, test_labels, C: as of `linear_accuracy`; returns a number for each class from 0 to
        the highest label, 0 for one that nobody has or names
    Raises: as `linear_accuracy`
    """
    predicted, found = _predicted(train_h, train_labels, test_h, test_labels, C)
    kinds = np.arange(1 + max(predicted.max(), found.max()))[:, None]
    both, either = ((predicted == kinds) & (found == kinds)).sum(1), ((predicted == kinds) | (found == kinds)).sum(1)
    return both / np.maximum(either, 1)


def _predicted(
    train_h: Array, train_labels: Array, test_h: Array, test_labels: Array, C: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The classes that the probe names, and the true ones, both (M,)."""
    # imported here because it takes a second, which embedding and training should not
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_h, train_labels, test_h, test_labels = checked(train_h, train_labels, test_h, test_labels)
    if (train_labels == train_labels[0]).all():
        raise ValueError(f"train_labels must hold at least 2 classes, got only class {int(train_labels[0])}")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    probe.fit(train_h.cpu().numpy(), train_labels.cpu().numpy())
    return probe.predict(test_h.cpu().numpy()), test_labels.cpu().numpy()
