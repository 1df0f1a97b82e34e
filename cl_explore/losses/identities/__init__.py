"""The web of identities: which loss equals which other one, and when. The tests prove each, the docs list them all."""

from cl_explore.losses.identities import of_labels, of_negatives, of_sides, of_structure, of_targets, of_views
from cl_explore.losses.identities.web import IDENTITIES, Identity, identity, sentence

__all__ = [
    "IDENTITIES",
    "Identity",
    "identity",
    "of_labels",
    "of_negatives",
    "of_sides",
    "of_structure",
    "of_targets",
    "of_views",
    "sentence",
]
