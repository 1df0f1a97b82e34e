import math

import numpy as np
import pytest
import torch

from cl_explore.evaluate import ridge_regression

DRAWN = np.random.default_rng(0)
TRAIN, TEST, W = DRAWN.normal(size=(60, 5)), DRAWN.normal(size=(40, 5)), DRAWN.normal(size=5)
Y, T = TRAIN @ W + DRAWN.normal(size=60), TEST @ W + DRAWN.normal(size=40)


def test_it_is_the_closed_form_of_ridge_with_a_free_offset():
    mean, deviation = TRAIN.mean(0), TRAIN.std(0)
    x, x_test = (TRAIN - mean) / deviation, (TEST - mean) / deviation
    w = np.linalg.solve(x.T @ x + 7 * np.eye(5), x.T @ (Y - Y.mean()))
    error = x_test @ w + Y.mean() - T
    found = ridge_regression(TRAIN, Y, TEST, T, alpha=7)
    assert found.mae == pytest.approx(np.abs(error).mean())
    assert found.r2 == pytest.approx(1 - (error**2).sum() / ((T - T.mean()) ** 2).sum())
    ranks = [np.argsort(np.argsort(values)) for values in (x_test @ w, T)]
    assert found.spearman == pytest.approx(np.corrcoef(*ranks)[0, 1])


def test_what_is_there_is_read_and_what_is_not_is_not():
    assert ridge_regression(TRAIN, TRAIN @ W, TEST, TEST @ W, alpha=1e-9) == pytest.approx((0, 1, 1), abs=1e-8)
    unrelated = ridge_regression(TRAIN, Y, TEST, DRAWN.permutation(T))
    assert unrelated.r2 < 0.2
    assert abs(unrelated.spearman) < 0.4


def test_scale_and_offset_of_features_do_not_matter_and_those_of_targets_are_units():
    found = ridge_regression(TRAIN, Y, TEST, T)
    scale = 10.0 ** np.arange(-2, 3)
    assert ridge_regression(scale * TRAIN + 7, Y, scale * TEST + 7, T) == pytest.approx(found)
    assert ridge_regression(TRAIN, 9 * Y - 4, TEST, 9 * T - 4) == pytest.approx(
        (9 * found.mae, found.r2, found.spearman)
    )


def test_a_collapsed_representation_predicts_the_mean():
    found = ridge_regression(torch.ones(4, 3), [0, 1, 2, 3], torch.ones(2, 3), [1, 2])
    assert found == pytest.approx((0.5, 0, 0))


def test_errors_name_what_is_wrong():
    with pytest.raises(ValueError, match=r"train_y must be \(60,\), one per row of train_h, got shape \(40,\)"):
        ridge_regression(TRAIN, T, TEST, T)
    with pytest.raises(ValueError, match="test_y must be finite, got 40 of 40 rows"):
        ridge_regression(TRAIN, Y, TEST, T * np.nan)
    with pytest.raises(ValueError, match="train_y must hold two different numbers, got only 0"):
        ridge_regression(TRAIN, np.zeros(60), TEST, T)
    with pytest.raises(ValueError, match="test_h must have 5 features like train_h, got 2"):
        ridge_regression(TRAIN, Y, TEST[:, :2], T)
    with pytest.raises(ValueError, match=f"alpha must be positive and finite, got {math.nan}"):
        ridge_regression(TRAIN, Y, TEST, T, alpha=math.nan)
