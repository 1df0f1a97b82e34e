"""The linear probe: are the classes linearly separable in the frozen representation?"""

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
    # imported here because it takes a second, which embedding and training should not
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train_h, train_labels, test_h, test_labels = checked(train_h, train_labels, test_h, test_labels)
    if (train_labels == train_labels[0]).all():
        raise ValueError(f"train_labels must hold at least 2 classes, got only class {int(train_labels[0])}")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    probe.fit(train_h.cpu().numpy(), train_labels.cpu().numpy())
    return float(probe.score(test_h.cpu().numpy(), test_labels.cpu().numpy()))
