"""The ridge probe: can a number be read linearly from the frozen representation?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cl_explore.evaluate.features import features
from cl_explore.given import Array, numbers, require_finite
from cl_explore.takes import Positive, takes


class Regression(NamedTuple):
    """How well the targets of the test samples are predicted.

    mae: mean absolute error, in the unit of the targets
    r2: share of the variance of the test targets that is explained; 0 for their mean, negative for worse
    spearman: rank correlation of predictions and targets; 0 if all predictions are equal
    """

    mae: float
    r2: float
    spearman: float


@takes
def ridge_regression(train_h: Array, train_y: Array, test_h: Array, test_y: Array, alpha: Positive = 1.0) -> Regression:
    """What a ridge regression fitted to the training samples predicts of the test samples.

    train_h, train_y: (N, H) floating point and (N,) numbers, tensors or arrays
    test_h, test_y: (M, H) and (M,), likewise
    alpha: least squares plus alpha |w|^2; fixed beforehand, never chosen on the test part
    Raises: ValueError for shapes that do not fit, numbers that are not finite, targets that are all equal, alpha <= 0;
        TypeError for dtypes
    Note: features are standardised by the mean and deviation of the training part, the offset is not penalised.

    >>> import torch
    >>> x = torch.arange(8.0)[:, None]
    >>> ridge_regression(x, 3 * x[:, 0] + 1, x, 3 * x[:, 0] + 1, alpha=1e-9).spearman
    1.0
    """
    # imported here because it takes a second, which embedding and training should not
    from scipy.stats import spearmanr
    from sklearn.linear_model import Ridge
    from sklearn.metrics import mean_absolute_error, r2_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, test = (part.double().cpu().numpy() for part in features(train_h, test_h))
    y, wanted = _targets(train_y, "train_y", "train_h", len(train)), _targets(test_y, "test_y", "test_h", len(test))
    found = make_pipeline(StandardScaler(), Ridge(alpha)).fit(train, y).predict(test)
    rank = 0.0 if np.ptp(found) == 0 else float(spearmanr(found, wanted).statistic)
    return Regression(float(mean_absolute_error(wanted, found)), float(r2_score(wanted, found)), rank)


def _targets(y: Array, name: str, owner: str, count: int) -> NDArray[np.float64]:
    targets = numbers(y, name).detach().double()
    if targets.shape != (count,):
        raise ValueError(f"{name} must be ({count},), one per row of {owner}, got shape {tuple(targets.shape)}")
    require_finite(name, targets)
    if (targets == targets[0]).all():
        raise ValueError(f"{name} must hold two different numbers, got only {targets[0]:g}")
    return targets.cpu().numpy()
