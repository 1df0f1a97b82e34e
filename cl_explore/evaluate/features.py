"""The checks that every probe makes of the frozen features and labels it is given."""

from torch import Tensor

from cl_explore.geometry.inputs import points
from cl_explore.given import Array, classes


def checked(
    train_h: Array, train_labels: Array, test_h: Array, test_labels: Array
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four as tensors on the device of train_h: features in float32 or better, labels as int64.

    train_h, train_labels: (N, H) and (N,)
    test_h, test_labels: (M, H) and (M,)
    Raises: ValueError or TypeError naming what is unfit
    """
    train, test = features(train_h, test_h)
    given = {"train_labels": train_labels, "test_labels": test_labels}
    (y_train, y_test), _ = classes(given, {"train_h": len(train), "test_h": len(test)})
    return train, y_train.to(train.device), test, y_test.to(train.device)


def features(train_h: Array, test_h: Array) -> tuple[Tensor, Tensor]:
    """Both as tensors of equal dtype, float32 or better, on the device of train_h.

    train_h, test_h: (N, H) and (M, H)
    Raises: ValueError or TypeError naming what is unfit
    """
    train, test = points(train_h, "train_h", least=1).detach(), points(test_h, "test_h", least=1).detach()
    if test.shape[1] != train.shape[1]:
        raise ValueError(f"test_h must have {train.shape[1]} features like train_h, got {test.shape[1]}")
    return train, test.to(train)
