"""Every contrastive loss as a pure function in one notation, and the catalogue they are entered in.

A name imported as itself is exported. The order of the modules is that of the catalogue.
"""

# ruff: noqa: I001

from cl_explore.losses.knob import Choice as Choice, Knob as Knob
from cl_explore.losses.catalogue import Loss as Loss, catalogue as catalogue, get as get, loss as loss, means as means
from cl_explore.losses.infonce import cpc as cpc, info_nce as info_nce, nt_xent as nt_xent
from cl_explore.losses.assignment import SwAV as SwAV, sinkhorn as sinkhorn, swav as swav
from cl_explore.losses.attraction import cacr as cacr, cacr_momentum as cacr_momentum
from cl_explore.losses.continual import multimodal_supcon as multimodal_supcon, nspt as nspt, ntpt as ntpt
from cl_explore.losses.deviation import deviation as deviation
from cl_explore.losses.decoupled import dcl as dcl, dclw as dclw, dhel as dhel
from cl_explore.losses.devices import collossl as collossl
from cl_explore.losses.graph import scgc as scgc
from cl_explore.losses.hypersphere import (
    align_uniform as align_uniform,
    alignment as alignment,
    koleo as koleo,
    uniformity as uniformity,
)
from cl_explore.losses.listwise import listwise_kl as listwise_kl, listwise_wasserstein as listwise_wasserstein
from cl_explore.losses.longtail import PaCo as PaCo, bcl as bcl, logit_adjusted as logit_adjusted, paco as paco
from cl_explore.losses.margin import contrastive_margin as contrastive_margin, triplet as triplet
from cl_explore.losses.mixing import (
    HardPairs as HardPairs,
    beta as beta,
    hard_pairs as hard_pairs,
    hardest_pairs as hardest_pairs,
    mix as mix,
)
from cl_explore.losses.mochi import (
    Mixes as Mixes,
    draw_mixes as draw_mixes,
    mix_hard_negatives as mix_hard_negatives,
    mochi as mochi,
)
from cl_explore.losses.modalities import CLIP as CLIP, clip as clip, mil_nce as mil_nce
from cl_explore.losses.multiview import mv_dhel as mv_dhel, mv_infonce as mv_infonce
from cl_explore.losses.negatives import (
    debiased as debiased,
    g_simclr as g_simclr,
    hard as hard,
    mcl as mcl,
    selfie as selfie,
)
from cl_explore.losses.pairs import (
    circle as circle,
    lifted as lifted,
    multi_similarity as multi_similarity,
    n_pair as n_pair,
)
from cl_explore.losses.predictive import byol as byol, simsiam as simsiam
from cl_explore.losses.prototypes import (
    arcface as arcface,
    cluster_concentration as cluster_concentration,
    cosface as cosface,
    normalized_softmax as normalized_softmax,
    proto_nce as proto_nce,
    proxy_nca as proxy_nca,
)
from cl_explore.losses.queued import MoCo as MoCo, NNCLR as NNCLR, Queue as Queue, moco as moco, nnclr as nnclr
from cl_explore.losses.redundancy import barlow_twins as barlow_twins, shamisa as shamisa, vicreg as vicreg
from cl_explore.losses.regression import rnc as rnc, supremix as supremix
from cl_explore.losses.sigmoid import SigLIP as SigLIP, siglip as siglip
from cl_explore.losses.similarity import row_lse as row_lse
from cl_explore.losses.sorting import groco as groco, soft_sort as soft_sort
from cl_explore.losses.spectral import spectral as spectral
from cl_explore.losses.structure import attribute_alignment as attribute_alignment, sepclr as sepclr
from cl_explore.losses.supervised import (
    focal_supcon as focal_supcon,
    soft_nn as soft_nn,
    soft_supcon as soft_supcon,
    supcon as supcon,
    supcon_in as supcon_in,
)
from cl_explore.losses.temperature import ISogCLR as ISogCLR, SogCLR as SogCLR, isogclr as isogclr, sogclr as sogclr
from cl_explore.losses.text_label import label_nce as label_nce
from cl_explore.losses.truncation import hard_simple as hard_simple, hard_truncated as hard_truncated, simple as simple
from cl_explore.losses.variational import varcon as varcon
