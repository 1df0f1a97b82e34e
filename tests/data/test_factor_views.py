"""Views that vary some factors of a picture and share the others."""

from dataclasses import replace

import pytest
import torch

from cl_explore import data, evaluate, methods, nn, train
from cl_explore.data import FactorViews, factor_rows, factor_world


def test_the_first_view_is_the_picture_itself() -> None:
    pictures = data.load("factor_world", n=20, noise=0.0)
    views = FactorViews(("hue",), noise=0.0)(factor_rows(pictures).x, torch.Generator().manual_seed(0), 3)
    assert views.shape == (20, 3, 3, 16, 16)
    torch.testing.assert_close(views[:, 0], pictures.x / 255, rtol=0, atol=0.51 / 255)
    assert not torch.equal(views[:, 1], views[:, 2])


def test_views_differ_where_they_vary_only() -> None:
    """With the background's factors varied, the pixels that the object covers wholly stay as they are."""
    f = factor_world.sample(50, torch.Generator().manual_seed(0))
    x = torch.stack([f[name].float() for name in factor_world.RANGES], 1)
    background = FactorViews(("style", "bhue", "freq", "phase", "bang"), noise=0.0)
    views = background(x, torch.Generator().manual_seed(1))
    change = (views[:, 0] - views[:, 1]).abs().amax(1)
    covered = factor_world.alpha(f, 16)
    assert (change[covered > 0.999] < 1e-3).all()
    assert (change[covered < 0.001] > 1e-3).float().mean() > 0.9
    torch.testing.assert_close(*FactorViews((), noise=0.0)(x, torch.Generator()).unbind(1))


def test_equal_generators_give_equal_views() -> None:
    x = factor_rows(data.load("factor_world", n=5)).x
    first, second = (FactorViews(("x",))(x, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, second)


def test_what_is_trained_on_drawn_pictures_is_looked_at_through_pictures() -> None:
    rows = factor_rows(pictures := data.load("factor_world", n=20))
    views = FactorViews(("hue",))
    method = methods.JointEmbedding(nn.ConvNet(3, 4, 2), nn.projection_head(8, 8, 4), "nt_xent", views)
    run = train.fit(method, rows, epochs=1, batch_size=10, snapshots=2, store=False, progress=False)
    assert torch.equal(run.snapshots.h[-1], evaluate.embed(method, rows).h)
    drawn = replace(pictures, x=views.plain(rows.x))
    assert torch.equal(run.snapshots.h[-1], evaluate.embed(method, drawn).h)


def test_samples_that_the_encoder_cannot_read_are_named() -> None:
    rows = factor_rows(data.load("factor_world", n=20))
    encoder = nn.ConvNet(3, 4, 2)
    method = methods.JointEmbedding(
        encoder, nn.projection_head(8, 8, 4), "nt_xent", lambda x, g, n: FactorViews(())(x, g, n)
    )
    with pytest.raises(ValueError, match=r"dataset must hold samples that the method can read, got \(10, 13\)"):
        train.fit(method, rows, epochs=1, batch_size=10, snapshots=2, store=False, progress=False)


def test_wrong_names_and_other_data_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown factor 'shapes'; did you mean 'shape'"):
        FactorViews(("shapes",))
    with pytest.raises(ValueError, match="dataset must be of the factor world, got digits without bang, bgscale"):
        factor_rows(data.load("digits"))
