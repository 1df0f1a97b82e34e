"""Views: batched random augmentations that run on the data's device, seeded by a generator."""

from cl_explore.views.base import Views
from cl_explore.views.images import Colour, ImageParameters, ImageViews
from cl_explore.views.points import PointParameters, PointViews
from cl_explore.views.series import SeriesParameters, SeriesViews
from cl_explore.views.small_images import HardParameters, HardViews
from cl_explore.views.tokens import MASK, PADDING, TokenParameters, TokenViews
from cl_explore.views.transform import Transform
from cl_explore.views.vectors import VectorParameters, VectorViews
from cl_explore.views.videos import VideoViews, VolumeViews

__all__ = [
    "MASK",
    "PADDING",
    "Colour",
    "HardParameters",
    "HardViews",
    "ImageParameters",
    "ImageViews",
    "PointParameters",
    "PointViews",
    "SeriesParameters",
    "SeriesViews",
    "TokenParameters",
    "TokenViews",
    "Transform",
    "VectorParameters",
    "VectorViews",
    "VideoViews",
    "Views",
    "VolumeViews",
]
