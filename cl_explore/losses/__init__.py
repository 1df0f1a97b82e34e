"""Every contrastive loss as a pure function in one notation, and the catalogue they are entered in."""

from cl_explore.losses.catalogue import Choice, Knob, Loss, catalogue, get, loss, means
from cl_explore.losses.decoupled import dcl, dclw
from cl_explore.losses.hypersphere import align_uniform, alignment, uniformity
from cl_explore.losses.infonce import info_nce, nt_xent
from cl_explore.losses.margin import contrastive_margin, triplet
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.supervised import supcon, supcon_in
from cl_explore.losses.variational import varcon

__all__ = [
    "Choice",
    "Knob",
    "Loss",
    "align_uniform",
    "alignment",
    "catalogue",
    "contrastive_margin",
    "dcl",
    "dclw",
    "get",
    "info_nce",
    "loss",
    "means",
    "nt_xent",
    "row_lse",
    "supcon",
    "supcon_in",
    "triplet",
    "uniformity",
    "varcon",
]
