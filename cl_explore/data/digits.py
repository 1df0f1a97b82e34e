"""Handwritten digits that come with scikit-learn: real, small and always there."""

import numpy as np
import torch

from cl_explore.data.dataset import Dataset
from cl_explore.data.registry import dataset


@dataset
def digits(split: str) -> Dataset:
    """1,797 images (1, 8, 8) of ten digits in a fixed stratified split, 80 % train and 20 % test.

    Source: UCI Optical Recognition of Handwritten Digits, test part, as in `sklearn.datasets.load_digits`.
    """
    # imported here because it takes a second, which `import cl_explore.data` should not
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    source = load_digits()
    train, test = train_test_split(np.arange(len(source.target)), test_size=0.2, stratify=source.target, random_state=0)
    index = torch.from_numpy(np.sort(train if split == "train" else test))
    images = torch.from_numpy(source.images).to(torch.float32)[index, None] / 16  # the source counts to 16
    labels = torch.from_numpy(source.target).to(torch.int64)[index]
    return Dataset("digits", images, labels, index, tuple("0123456789"))
