# %% [markdown]
# # Embeddings that draw
#
# **Must an embedding be able to draw?**
#
# Whatever two views do not share, a contrast may forget. That was the strength of it, and the danger. Here is the opposite
# wish: a code from which the sample can be *drawn* again. Such a code has forgotten little. Then everything must be in it,
# and a contrast is no longer needed. Or is it?
#
# **You need** [Alignment and uniformity](slug:alignment_and_uniformity), [Negatives](slug:negatives) and
# [Lost or hidden](slug:lost_or_hidden).

# %% tags=["parameters"]
preset: str = "laptop"  # "smoke": one seed; "laptop": two
seed: int = 0

# %%
import math

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore import losses, plots
from cl_explore.app.exercises import checker
from cl_explore.claims import bench
from cl_explore.papers.cmim import study as drawing
from cl_explore.papers.cmim.method import log_belongs
from cl_explore.papers.cmim.panel import CodesPanel
from cl_explore.papers.vtp import panel as tokenizer
from cl_explore.papers.vtp import study as captions
from cl_explore.papers.vtp.panel import TokenizerPanel
from cl_explore.widgets import bet, tally

plots.use()
check = checker("embeddings_that_draw")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "What can be drawn has been understood"
#
# An **auto-encoder** squeezes a sample into a code, and a **decoder** draws the sample from it. The better the drawing, the
# more the code holds. Begin with pictures of six shapes before patterns, and codes of $4 \times 4$ places with eight numbers
# each. A linear classifier gets the mean of the places and must tell the shapes.

# %%
pictures = tokenizer.world()[1].x["image"]
untouched = tokenizer.learn(0.0, tokenizer.READ[0], "off")
drawn = torch.from_numpy(untouched.pixels[1]).permute(0, 3, 1, 2) / 255
plots.show(
    plots.pictures(torch.stack([pictures[: len(drawn)], drawn]), rows=["given", "drawn again"]),
    alt="Two rows of small pictures of shapes before patterns: as given, and drawn again from their codes, blurred.",
)
print(f"error of the drawings: {untouched.psnr:.1f} dB (more is better); chance to guess a shape: {1 / 6:.0%}")

# %%
understood = bet(
    "How well does the linear classifier tell the shapes from these codes?",
    ["less than 30 %", "30 to 60 %", "more than 60 %"],
)
understood

# %% tags=["claim"]
print(f"shapes told from the codes: {untouched.probe:.0%}")
understood.settle(understood.options[0 if untouched.probe < 0.3 else 1 if untouched.probe < 0.6 else 2])
assert untouched.probe < 0.4

# %% [markdown]
# Drawn well, and hardly understood. Nearly all pixels belong to the pattern behind the shape, so that is where the numbers
# go. A code that holds everything holds it in the order of *pixels*. It is not said that you can read it.
#
# ## 2 · "Then a code needs views, like every embedding"
#
# **cMIM** adds a contrast to an auto-encoder and makes no views. The positive of a code is the code itself. So nothing is
# pulled together. With cosines $s_{ij}$ of the codes in a batch of $B$, code $i$ is charged
#
# $$\ell_i = \log\Big(1 + \frac{1}{B-1}\sum_{j \ne i} e^{(s_{ij} - 1)/\tau}\Big).$$
#
# It is the *mean* over the other codes, where InfoNCE has the sum.


# %%
def told_apart(z: Tensor, temperature: float) -> Tensor:
    """z: (B, D), codes."""
    cosines = F.normalize(z, dim=1) @ F.normalize(z, dim=1).T
    charge = ((cosines - 1) / temperature).exp()
    return torch.log1p((charge.sum(1) - charge.diagonal()) / (len(z) - 1))


codes = torch.randn(20, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
torch.testing.assert_close(told_apart(codes, 0.5), -log_belongs(codes, 0.5))

# %% [markdown]
# Now all codes of a batch are the same, the worst that can be. InfoNCE charges more, the larger the batch.

# %%
batch = bet(
    "All codes the same, batches of 4, 64 and 1,024: what does the contrast of cMIM charge?",
    ["more with every batch, as InfoNCE does", "the same for all batches", "less with every batch"],
)
batch

# %% tags=["claim"]
charges = pd.DataFrame(
    {
        size: {
            "cMIM": told_apart(torch.ones(size, 3).double(), 0.5).mean().item(),
            "InfoNCE": losses.clip(*[torch.ones(size, 3).double()] * 2, temperature=0.5).item(),
        }
        for size in (4, 64, 1024)
    }
)
same = charges.loc["cMIM"].max() - charges.loc["cMIM"].min() < 1e-9
batch.settle(batch.options[1 if same else 0])
assert same
assert math.isclose(charges.loc["cMIM", 4], math.log(2))
charges.style.format("{:.3f}")

# %% [markdown]
# On a live page:
#
# - Move the batch size. Which of the two curves stays?
# - Set $\tau$ to 0.1 and look at a cosine of $0.25$: what is charged there, and what would a gradient do?
# - Below are digits in codes of two numbers. Which objective uses all directions?

# %%
CodesPanel()

# %% [markdown]
# ## 3 · "The code is the embedding"
#
# To draw a digit, the decoder turns a code into pixels, through two wide layers. Its last hidden layer is one step
# before the pixels. It comes for nothing: no further training. The authors call it an **informative embedding**.
#
# Four objectives, all with the same networks and steps. **AE** only draws. **VAE** also wants codes to look like draws from
# a Gaussian. **MIM** does too, and at the same time rewards codes that are sharp. **cMIM** is MIM with the contrast. Then
# a logistic regression gets ten labels of each digit.

# %%
hidden = bet(
    "Which is told better with ten labels each: the code, or the decoder's last layer?",
    ["the decoder's last layer, with all four", "the code, with all four", "it depends on the objective or the seed"],
)
hidden

# %%
angles = bet(
    "cMIM beside MIM: which of these becomes clearly better by the contrast?",
    ["digits are told better", "drawings have less error", "only the angles between codes change"],
)
angles

# %%
SETTINGS = drawing.STUDY.settings()
sizes = SETTINGS.get("samples", 1200), SETTINGS.get("epochs", 31)
parts = bench.splits("digits", sizes[0])
NAMES = ("raw input", "untrained encoder", "AE", "VAE", "MIM", "cMIM")
plan = drawing.plan(64, {"epochs": sizes[1], "batch_size": 64, "lr": 1e-3})
plan = {name: plan[name] for name in NAMES}
rows = bench.table({s: bench.compare(plan, *parts, [drawing.probe], seed=s) for s in seeds})
COLUMNS = [drawing.CODE, drawing.HIDDEN, drawing.COSINE, drawing.ERROR]
shown = rows.set_index(["seed", "method"])[COLUMNS]
shown.style.format("{:.3f}", na_rep="")

# %% tags=["claim"]
gains = shown[drawing.HIDDEN].unstack()[list(NAMES[2:])] - shown[drawing.CODE].unstack()[list(NAMES[2:])]
hidden.settle(hidden.options[0 if gains.min(axis=None) > 0 else 1 if gains.max(axis=None) < 0 else 2])
change = {name: shown[name].unstack()["cMIM"] - shown[name].unstack()["MIM"] for name in COLUMNS}
better = change[drawing.CODE].min() > 0.02
angles.settle(angles.options[0 if better else 1 if change[drawing.ERROR].max() < -0.002 else 2])
print("decoder's last layer minus code:")
print(gains.round(3).to_string())
print("cMIM minus MIM:")
print(pd.DataFrame(change).round(3).to_string())
raw = shown[drawing.CODE].unstack()
print("raw pixels minus the best code:", *(raw["raw input"] - raw[list(NAMES[1:])].max(axis=1)).round(3))
assert change[drawing.COSINE].max() < 0, "codes are further apart"
assert change[drawing.ERROR].abs().max() < 0.004, "and draw as well"

# %% [markdown]
# The contrast does what its formula says, and no more: codes turn away from each other, and draw as well as before. It knows
# nothing of classes, as it has no views that would say what is the same. So do not expect it to tell digits better by itself.
#
# Look at the first row of the table, too, and at the line before this text: digits this small are told well by their pixels.
# The authors find that the decoder's last layer is the better embedding. Whether that is so here, your bet has just told.
# [The scorecard](../docs/scorecard/cmim.md) has all seeds, InfoNCE with views beside it, and what failed.
#
# ## 4 · "Meaning must be paid for with sharpness"
#
# Back to the shapes, where drawing alone understood little. **VTP** asks the same codes to find their captions, by the loss
# of CLIP, and weighs it against drawing. Something must give way, for there are only so many numbers. How much? The
# error of drawings is given in **decibels**: ten times the decimal logarithm of one over the squared error. A smaller
# error by a fifth is one decibel.

# %%
price = bet(
    "Captions with a small weight, 0.05: what happens to the drawings and to the shapes?",
    ["less than a decibel is lost, and shapes are told better by 15 points or more",
     "a decibel or more is lost, and shapes are told better by 15 points or more",
     "shapes are not told better by 15 points"],
)  # fmt: skip
price

# %%
arms = (captions.ALONE, captions.SMALL)
tokens = pd.DataFrame(
    [{"seed": s, **row} for s in seeds for row in captions.run(s, arms=arms, samples=800, unseen=300, epochs=20)]
)
bought = tokens.set_index(["seed", "method"])[[captions.PROBE, captions.PSNR]]
bought.style.format("{:.2f}", na_rep="")

# %% tags=["claim"]
meaning, sharp = (bought[name].unstack() for name in (captions.PROBE, captions.PSNR))
gain, lost = (meaning[captions.SMALL] - meaning[captions.ALONE]), (sharp[captions.ALONE] - sharp[captions.SMALL])
price.settle(price.options[2 if gain.min() < 0.15 else 0 if lost.max() < 1 else 1])
print(pd.DataFrame({"points gained": 100 * gain, "decibels lost": lost}).round(2).to_string())
assert gain.min() > 0.05
assert lost.max() < 1.5

# %% [markdown]
# A little contrast is cheap, and what it buys depends on what it compares. Captions name the shapes; a code with itself
# names nothing. The raw input of the table is the mean colour of sixteen squares, three numbers each, where the code's
# mean has eight. [The scorecard](../docs/scorecard/vtp.md) says what larger weights cost, and what became of real
# signs.
#
# On a live page:
#
# - Raise the weight of captions. When do the drawings suffer visibly?
# - Let the contrast read what comes before the code. Do codes still get its meaning?

# %%
TokenizerPanel()

# %% [markdown]
# ## 5 · "So an embedding must draw, or must not"
#
# | what is asked of the code | what it gets |
# |---|---|
# | to draw | what most pixels need |
# | to differ from all others | angles |
# | to find its caption | what captions name |
# | to draw and to find its caption | both, for a price |
#
# Drawing forbids to forget. Contrast says what should be easy to read. Neither does the other's work.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** The contrast of cMIM, as one number: the mean of $\ell_i$ over codes `z` of shape `(B, D)`.


# %%
def contrast(z: Tensor, temperature: float) -> Tensor: ...


check("contrast", contrast)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def contrast(z, temperature):
#     x = F.normalize(z, dim=1)
#     charge = ((x @ x.T - 1) / temperature).exp()
#     return torch.log1p((charge.sum(1) - charge.diagonal()) / (len(z) - 1)).mean()
#
# check("contrast", contrast)
# ```
# </details>

# %% [markdown]
# **2.** Decibels of the drawings `made` of pictures `x`, both between 0 and 1: ten times the logarithm to base 10 of one over
# the mean squared error.


# %%
def decibels(x: Tensor, made: Tensor) -> Tensor: ...


check("decibels", decibels)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def decibels(x, made):
#     return -10 * (made - x).square().mean().log10()
#
# check("decibels", decibels)
# ```
# </details>

# %% [markdown]
# **3.** The mean cosine between different codes `z`.


# %%
def apart(z: Tensor) -> Tensor: ...


check("apart", apart)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def apart(z):
#     x = F.normalize(z, dim=1)
#     return ((x @ x.T).sum() - len(x)) / (len(x) * (len(x) - 1))
#
# check("apart", apart)
# ```
# </details>

# %% [markdown]
# **4.** (An experiment.) `drawing.plan` also has `"cMIM, τ = 0.1"`. Train it beside MIM and cMIM, and explain what you see
# by the panel's curve.
#
# **5.** (To think about.) You keep X-ray pictures as codes, for two purposes: to send them, and to find similar cases. What
# must never be lost, and which pairs would you contrast?
#
# ## References
#
# - Livne, *cMIM: a contrastive mutual information framework for unified generative and discriminative representation
#   learning*, 2025, [2502.19642](https://arxiv.org/abs/2502.19642). The loss follows the author's later code.
# - *Towards scalable pre-training of visual tokenizers for generation*, 2025,
#   [2512.13687](https://arxiv.org/abs/2512.13687), for VTP.
# - Kingma & Welling, *Auto-encoding variational Bayes*, ICLR 2014, [1312.6114](https://arxiv.org/abs/1312.6114), for the VAE.
