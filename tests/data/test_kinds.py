"""Every kind of samples: its default network and views work on it, and it can be trained, embedded and seen."""

import pytest
import torch
from torch import Tensor

from cl_explore import nn, train
from cl_explore.data import KINDS, Dataset
from cl_explore.data.kinds import LARGE
from cl_explore.evaluate import embed
from cl_explore.methods import JointEmbedding
from cl_explore.views import HardViews, ImageViews, VectorViews


def uniform(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


SAMPLES = {
    "vector": uniform(24, 6),
    "image": (255 * uniform(24, 1, 8, 8)).to(torch.uint8),
    "series": uniform(24, 2, 40),
    "waveform": (20_000 * uniform(24, 1, 300)).to(torch.int16),
    "tokens": (50 * uniform(24, 12)).long().masked_fill(torch.arange(12) > 8, 0),
    "points": uniform(24, 30, 3),
    "video": (255 * uniform(24, 4, 3, 8, 8)).to(torch.uint8),
    "volume": uniform(24, 2, 4, 8, 8),
}


def dataset(kind: str) -> Dataset:
    return Dataset(kind, SAMPLES[kind], torch.arange(24) % 2, torch.arange(24), ("even", "odd"), kind=kind)


@pytest.mark.parametrize("kind", KINDS)
def test_defaults_train_and_embed(kind: str) -> None:
    samples = dataset(kind)
    for views in (samples.modality.weak(samples.x), samples.modality.hard(samples.x)):
        torch.manual_seed(0)
        encoder = samples.modality.encoder(samples.x)
        head = nn.projection_head(encoder.out_features, 16, 8)
        method = JointEmbedding(encoder, head, "nt_xent", views)
        run = train.fit(
            method, samples, epochs=2, batch_size=12, store=False, progress=False, snapshots=0, device="cpu"
        )
        assert run.history["loss"].notna().all()
        assert embed(method, samples).h.shape == (24, encoder.out_features)


@pytest.mark.parametrize("kind", KINDS)
def test_hard_views_change_more_than_weak_ones(kind: str) -> None:
    samples = dataset(kind)
    x = samples.batch(torch.arange(24)).x
    weak, hard = (
        (views(x, torch.Generator().manual_seed(0), 8) - x[:, None]).float().square().mean()
        for views in (samples.modality.weak(samples.x), samples.modality.hard(samples.x))
    )
    assert 0 < weak < hard


@pytest.mark.parametrize("kind", KINDS)
def test_thumbnails_are_small_pictures_or_none(kind: str) -> None:
    seen = dataset(kind).thumbnails(torch.tensor([3, 0]))
    assert (seen is None) == (kind in ("vector", "tokens"))
    if seen is not None:
        assert seen.ndim == 4
        assert len(seen) == 2
        assert seen.shape[1] in (1, 3)
        assert max(seen.shape[2:]) <= 32
        assert seen.dtype == torch.uint8 or (seen.min() >= 0 and seen.max() <= 1)
        assert len(seen.unique()) > 1


def test_a_rising_series_is_drawn_as_a_rising_line() -> None:
    x = torch.linspace(-3, 5, 100).expand(1, 1, 100)
    picture = KINDS["series"].thumbnails(x)[0, 0]
    assert picture.argmin(dim=0).diff().max() <= 0, "dark pixels rise, row 0 is at the top"
    assert picture[-1, 0] < 0.1
    assert picture[0, -1] < 0.1
    assert (KINDS["series"].thumbnails(torch.ones(1, 1, 9)) < 1).any()


def test_a_louder_middle_is_drawn_wider() -> None:
    x = torch.tensor([0.01, 1.0, 0.01]).repeat_interleave(320)[None, None]
    dark = (KINDS["waveform"].thumbnails(x)[0, 0] == 0).sum(0)
    assert dark[16] == 32
    assert dark[0] <= 2


def test_points_are_drawn_where_they_lie() -> None:
    x = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [0.0, 1.0]]])
    picture = KINDS["points"].thumbnails(x)[0, 0]
    assert sorted(map(tuple, (picture == 0).nonzero().tolist())) == [(0, 0), (0, 31), (31, 0)]


def test_videos_and_volumes_show_their_middle_and_a_first_channel() -> None:
    video, volume = SAMPLES["video"], SAMPLES["volume"]
    assert torch.equal(KINDS["video"].thumbnails(video), video[:, 2])
    assert torch.equal(KINDS["volume"].thumbnails(volume), volume[:, :1, 2])


def test_image_defaults_follow_the_size() -> None:
    small, large = torch.zeros(1, 3, LARGE - 1, LARGE - 1), torch.zeros(1, 3, LARGE, LARGE)
    image = KINDS["image"]
    assert isinstance(image.encoder(small), nn.MLP)
    assert isinstance(image.encoder(large), nn.ResNet)
    assert image.weak(small) == ImageViews.weak()
    assert image.hard(small) == HardViews()
    assert image.weak(large) == image.hard(large) == ImageViews.simclr()
    assert KINDS["vector"].weak(torch.zeros(1, 4)) == VectorViews(noise=0.15, dropout=0.0)


def test_the_first_part_that_can_be_seen_is_shown() -> None:
    x = {"words": SAMPLES["tokens"], "image": SAMPLES["image"]}
    both = Dataset("both", x, torch.arange(24) % 2, torch.arange(24), ("a", "b"), kind={"words": "tokens"})
    assert torch.equal(both.thumbnails(torch.tensor([5])), SAMPLES["image"][5:6])
