"""Views: batched random augmentations that run on the data's device, seeded by a generator."""

from cl_explore.views.base import Views
from cl_explore.views.images import Colour, ImageParameters, ImageViews
from cl_explore.views.vectors import VectorParameters, VectorViews

__all__ = ["Colour", "ImageParameters", "ImageViews", "VectorParameters", "VectorViews", "Views"]
