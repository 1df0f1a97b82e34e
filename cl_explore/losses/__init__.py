"""Every contrastive loss as a pure function in one notation, and the catalogue they are entered in."""

from cl_explore.losses.assignment import SwAV, sinkhorn, swav
from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.catalogue import Choice, Knob, Loss, catalogue, get, loss, means
from cl_explore.losses.continual import multimodal_supcon, nspt, ntpt
from cl_explore.losses.decoupled import dcl, dclw, dhel
from cl_explore.losses.hypersphere import align_uniform, alignment, koleo, uniformity
from cl_explore.losses.infonce import cpc, info_nce, nt_xent
from cl_explore.losses.listwise import listwise_kl, listwise_wasserstein
from cl_explore.losses.longtail import PaCo, bcl, logit_adjusted, paco
from cl_explore.losses.margin import contrastive_margin, triplet
from cl_explore.losses.mixing import HardPairs, beta, hard_pairs, hardest_pairs, mix
from cl_explore.losses.mochi import Mixes, draw_mixes, mix_hard_negatives, mochi
from cl_explore.losses.modalities import CLIP, clip, mil_nce
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard
from cl_explore.losses.pairs import circle, lifted, multi_similarity, n_pair
from cl_explore.losses.predictive import byol, simsiam
from cl_explore.losses.prototypes import (
    arcface,
    cluster_concentration,
    cosface,
    normalized_softmax,
    proto_nce,
    proxy_nca,
)
from cl_explore.losses.queued import NNCLR, MoCo, Queue, moco, nnclr
from cl_explore.losses.redundancy import barlow_twins, vicreg
from cl_explore.losses.regression import rnc, supremix
from cl_explore.losses.sigmoid import SigLIP, siglip
from cl_explore.losses.similarity import row_lse
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.spectral import spectral
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.supervised import focal_supcon, soft_nn, supcon, supcon_in
from cl_explore.losses.temperature import ISogCLR, SogCLR, isogclr, sogclr
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple
from cl_explore.losses.variational import varcon

__all__ = [
    "CLIP",
    "NNCLR",
    "Choice",
    "HardPairs",
    "ISogCLR",
    "Knob",
    "Loss",
    "Mixes",
    "MoCo",
    "PaCo",
    "Queue",
    "SigLIP",
    "SogCLR",
    "SwAV",
    "align_uniform",
    "alignment",
    "arcface",
    "attribute_alignment",
    "barlow_twins",
    "bcl",
    "beta",
    "byol",
    "cacr",
    "cacr_momentum",
    "catalogue",
    "circle",
    "clip",
    "cluster_concentration",
    "contrastive_margin",
    "cosface",
    "cpc",
    "dcl",
    "dclw",
    "debiased",
    "dhel",
    "draw_mixes",
    "focal_supcon",
    "g_simclr",
    "get",
    "groco",
    "hard",
    "hard_pairs",
    "hard_simple",
    "hard_truncated",
    "hardest_pairs",
    "info_nce",
    "isogclr",
    "koleo",
    "lifted",
    "listwise_kl",
    "listwise_wasserstein",
    "logit_adjusted",
    "loss",
    "means",
    "mil_nce",
    "mix",
    "mix_hard_negatives",
    "mochi",
    "moco",
    "multi_similarity",
    "multimodal_supcon",
    "mv_dhel",
    "mv_infonce",
    "n_pair",
    "nnclr",
    "normalized_softmax",
    "nspt",
    "nt_xent",
    "ntpt",
    "paco",
    "proto_nce",
    "proxy_nca",
    "rnc",
    "row_lse",
    "sepclr",
    "siglip",
    "simple",
    "simsiam",
    "sinkhorn",
    "soft_nn",
    "soft_sort",
    "sogclr",
    "spectral",
    "supcon",
    "supcon_in",
    "supremix",
    "swav",
    "triplet",
    "uniformity",
    "varcon",
    "vicreg",
]
