"""Views of videos and volumes: one draw for all frames and slices."""

import re

import pytest
import torch

from cl_explore.views import ImageViews, VideoViews, VolumeViews

SETTINGS = {**vars(ImageViews.simclr()), "noise": 0.1}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_frame_is_changed_as_a_picture_would_be() -> None:
    x = torch.rand(4, 5, 3, 8, 8, generator=seeded(1))
    views = VideoViews(**SETTINGS)(x, seeded(), 1)[:, 0]
    augment = ImageViews(**SETTINGS)
    drawn = augment.parameters(x[:, 0], seeded())
    for frame in range(5):
        torch.testing.assert_close(views[:, frame], augment.apply(x[:, frame], drawn))


def test_every_slice_of_a_volume_is_cropped_and_flipped_alike() -> None:
    x = torch.rand(4, 2, 5, 8, 8, generator=seeded(1))
    settings = {"crop_area": 0.4, "flip": 0.5, "brightness": 0.3}
    views = VolumeViews(**settings)(x, seeded(), 1)[:, 0]
    augment = ImageViews(**settings)
    drawn = augment.parameters(x[:, 0, :1], seeded())
    for channel in range(2):
        for depth in range(5):
            expected = augment.apply(x[:, channel, depth, None], drawn)[:, 0]
            torch.testing.assert_close(views[:, channel, depth], expected)


def test_input_out_of_range_is_refused() -> None:
    for augment, shape in ((VideoViews(), "(B, T, C, H, W)"), (VolumeViews(), "(B, C, D, H, W)")):
        with pytest.raises(ValueError, match=r"x must be in \[0, 1\], got values in \[2, 2\]"):
            augment(torch.full((2, 3, 1, 4, 4), 2.0), seeded())
        with pytest.raises(ValueError, match=re.escape(f"x must have shape {shape}, got (2, 1, 4, 4)")):
            augment(torch.zeros(2, 1, 4, 4), seeded())
