# %% [markdown]
# # The panels
#
# One example of each; `docs/panels.py` appends those of the papers. The browser tests work them, the benchmark times
# them, the README shows their pictures.

# %%
import torch

from cl_explore import data, methods, nn, train, views, widgets

digits = data.load("digits")
torch.manual_seed(0)
method = methods.JointEmbedding(
    nn.MLP([64, 128, 64]), nn.projection_head(64, 64, 32), "nt_xent", views.ImageViews.weak(), temperature=0.5
)
run = train.fit(method, digits, epochs=25, batch_size=128)

# %% [markdown]
# ## TemperaturePanel
#
# Drag the temperature and see which negatives still push.

# %%
similarities = torch.randn(64, generator=torch.Generator().manual_seed(0)).mul(0.25)
widgets.TemperaturePanel(similarities, positive=0.8, temperature=0.15)

# %% [markdown]
# ## RedrawPanel
#
# Tick what the two views of a picture vary, and see what a network trained on them can tell.

# %%
widgets.RedrawPanel()

# %% [markdown]
# ## SpherePanel
#
# Let any loss move points on the circle or the sphere, and turn its knobs while they move.

# %%
sphere = widgets.SpherePanel("nt_xent", dim=3)
for _ in range(25):
    sphere.step()
sphere

# %% [markdown]
# ## EmbeddingPanel
#
# Scrub through the training of a run, colour its embeddings by class or any number, point at a dot to see the image.

# %%
widgets.EmbeddingPanel(run, digits)

# %% [markdown]
# ## LossComparePanel
#
# Put losses side by side on the same points: the law of their forces, and what each does to one anchor.

# %%
widgets.LossComparePanel(("nt_xent", "dcl"))

# %% [markdown]
# ## TrainingPanel
#
# Train, pause, and turn the temperature while it trains.

# %%
widgets.TrainingPanel("digits", "nt_xent")

# %% [markdown]
# ## SweepPanel
#
# Train over a grid of temperatures in the background and move between the runs at once.


# %%
def trained(temperature: float) -> train.Run:
    torch.manual_seed(0)
    encoder, head = nn.MLP([64, 128, 64]), nn.projection_head(64, 64, 32)
    method = methods.JointEmbedding(encoder, head, "nt_xent", views.ImageViews.weak(), temperature=temperature)
    return train.fit(method, digits, epochs=8, batch_size=128, progress=False)


widgets.SweepPanel(trained, {"temperature": [0.07, 0.2, 0.5, 1.0]}, digits)
