"""Auto-encoders: the clean samples are the target, noise is drawn in training alone, and the head takes no part."""

import pytest
import torch
from torch import nn

from cl_explore import evaluate
from cl_explore.data import load
from cl_explore.methods.autoencoder import AutoEncoder
from cl_explore.nn import MLP
from cl_explore.train import fit
from cl_explore.views.noisy import Noisy


def built(noise: float = 0.0) -> AutoEncoder:
    torch.manual_seed(0)
    head = nn.Linear(16, 4)
    return AutoEncoder(MLP([64, 64, 16]), head, nn.Sequential(MLP([16, 64]), nn.Unflatten(1, (1, 8, 8))), noise)


def test_the_loss_is_the_error_against_the_clean_samples_and_the_head_is_left_alone() -> None:
    digits = load("digits", "train")
    batch = digits.batch(torch.arange(32))
    for noise in (0.0, 0.3):
        autoencoder = built(noise)
        loss = autoencoder.step(batch, torch.Generator().manual_seed(1)).loss
        seen = Noisy(noise)(batch.x, torch.Generator().manual_seed(1), 1)[:, 0]
        autoencoder = built(noise)
        torch.testing.assert_close(
            loss, nn.functional.mse_loss(autoencoder.decoder(autoencoder.encoder(seen)), batch.x)
        )
        loss.backward()
        assert all(parameter.grad is None for parameter in autoencoder.head.parameters())
    with pytest.raises(ValueError, match="noise must be at least 0, got -1"):
        built(-1)


def test_training_restores_samples() -> None:
    digits = load("digits", "train")
    run = fit(built(0.2), digits, epochs=4, batch_size=64, lr=2e-3, snapshots=0, store=False, progress=False)
    assert run.history["loss"].iloc[-1] < 0.5 * run.history["loss"].iloc[0]
    assert evaluate.embed(run.method, digits).z.shape == (len(digits), 4)
