# %% [markdown]
# # What an agent needs
#
# **Does it hold what an agent needs?**
#
# An agent sees, acts, and sees what becomes of it. Its pictures are full of things: clouds that drift, a pattern on the
# floor, its own hand. It needs those that its actions move. A contrast of pictures keeps what makes them different, whatever
# that is. Nobody hands an agent its data: it sees only what it was curious enough to visit. And somebody must tell it what
# to do, in words.
#
# **You need** [Losses from scratch](slug:losses_from_scratch), [Lost or hidden](slug:lost_or_hidden),
# [A moment ago](slug:a_moment_ago) and [Two encoders](slug:two_encoders).

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
from cl_explore.papers.contrastive_ucb.method import Exploration, bonus, contrast, explore
from cl_explore.papers.contrastive_ucb.panel import ExplorePanel
from cl_explore.papers.contrastive_ucb.world import DECOY, LEVELS, combination_lock
from cl_explore.papers.hulc.method import contrast as ground
from cl_explore.papers.hulc.panel import GroundingPanel, learn
from cl_explore.papers.hulc.world import TASKS
from cl_explore.papers.taco import study as ring
from cl_explore.papers.taco.panel import ControlPanel
from cl_explore.papers.taco.world import parts, without_actions
from cl_explore.widgets import bet, tally

plots.use()
check = checker("what_an_agent_needs")
seeds = [seed] if preset == "smoke" else [seed, seed + 1]

# %% [markdown]
# ## 1 · "Two views of a moment are enough"
#
# A small world: a ring with $C = 4$ **positions**. An action shifts the agent by nought to three of them. What it sees are
# numbers, made by a random network from its position and from four **things** that no action moves, drawn anew each time.
# The things are strong: they change what is seen more than the position does.
#
# The encoder learns as in the first lessons: two views of the same observation, a little noise on each, are a pair. (For
# agents this is called **CURL**.) Then a linear probe of $z$ must tell the position.

# %%
worlds = {s: parts(s) for s in seeds}
train, test = worlds[seed]
print({name: tuple(part.shape) for name, part in train.x.items()}, "from", len(train), "transitions to train on")
print(f"chance to tell the position: {1 / ring.POSITIONS:.0%}")

# %%
views = bet(
    "Trained on two views of each observation: how well does z tell the position, beside the raw numbers?",
    ["better, by more than 5 points", "about as well (within 5 points)", "worse, by more than 5 points"],
)
views

# %% jupyter={"source_hidden": true}
EPOCHS = 10
COLUMNS = {ring.POSITION: "position told", ring.LOSS: "loss, unseen"}


def trained(s: int, plan: dict[str, bench.Entry]) -> list[dict]:
    """The rows of a plan on the world of a seed."""
    return [{"seed": s, **row} for row in bench.compare(plan, *worlds[s], (ring.probed, ring.lost), seed=s).rows]


def table(rows: pd.DataFrame, columns: dict[str, str] = COLUMNS) -> pd.DataFrame:
    """The columns of all seeds side by side."""
    names = [name for name in columns if name in rows]
    shown = rows.pivot(index="method", columns="seed", values=names).loc[rows["method"].unique()]
    shown.columns = [f"{columns[column]}, seed {s}" for column, s in shown.columns]
    shown.index.name = None
    return shown


# %%
rows = [{"seed": s, **ring.raw(*worlds[s])} for s in seeds]
for s in seeds:
    rows += trained(s, {"untrained": ring.entry(None), "two views": ring.entry(EPOCHS, terms=("curl",))})
rows = pd.DataFrame(rows)
table(rows, {ring.POSITION: "position told"}).style.format("{:.0%}")

# %% tags=["claim"]
told = rows.pivot(index="seed", columns="method", values=ring.POSITION)
ahead = told["two views"] - told["raw input"]
views.settle(views.options[0 if ahead.min() > 0.05 else 2 if ahead.max() < -0.05 else 1])
assert ahead.max() < -0.05

# %% [markdown]
# The raw numbers held the position, and a part of it is lost. To find the other view of the same observation it suffices to
# know the four things; they tell observations apart better than the position, which a quarter of them share. It is the
# shortcut of [Lost or hidden](slug:lost_or_hidden). Which pair would make the encoder look at the position?
#
# ## 2 · "Then ask for the next moment"
#
# In [A moment ago](slug:a_moment_ago) the later clip was the positive. Here the things are drawn anew, so that only the
# position links a moment to the next. That should do it. Or is something missing? The agent acted in between.
#
# **TACO** puts the action in: the state $z$ and a code of the action go through a small network, which gives $q_i$, what
# is foretold of transition $i$. It must find the state that followed, among those that followed elsewhere in the batch of
# $B$. $W$ is learned, and nothing divides the products:
#
# $$\ell_i = -\log \frac{e^{q_i^\top W z_i}}{\sum_j e^{q_i^\top W z_j}}$$


# %%
def foretell(q: Tensor, z: Tensor, W: Tensor) -> Tensor:
    """q, z (B, D): row i of z followed what q_i foretells."""
    return -(q @ W @ z.T).log_softmax(1).diagonal().mean()


generator = torch.Generator().manual_seed(seed)
q, z, W = (torch.randn(size, generator=generator, dtype=torch.float64) for size in ((8, 4), (8, 4), (4, 4)))
torch.testing.assert_close(foretell(q, z, W), losses.cpc(q, z, W))

# what an encoder could reach that knows nothing but the position, and an action that tells the next one
B, C = ring.BATCH, ring.POSITIONS
place = F.one_hot(torch.arange(B) % C).double()
nothing = torch.ones(B, C).double()
print(f"all foretold: {foretell(100 * place, place, torch.eye(C).double()):.3f}, log(B/C) = {math.log(B / C):.3f}")
print(f"nothing foretold: {foretell(nothing, place, torch.eye(C).double()):.3f}, log B = {math.log(B):.3f}")
torch.testing.assert_close(foretell(100 * place, place, torch.eye(C).double()).item(), math.log(B / C))

# %% [markdown]
# The loss has two floors that we know beforehand. Who knows nothing of what follows pays $\log B$. Who knows the next
# position pays $\log(B/C)$: one in $C$ of the candidates stands there, and nothing tells which of them is the right one.
#
# Two trainings, on the same transitions. In one the actions are replaced by zeros.

# %%
action = bet(
    "Without the actions: how well is the position told, beside the training that has them?",
    ["as well (within 5 points)", "worse, by 5 to 15 points", "worse, by more than 15 points"],
)
action

# %%
cost = bet(
    "And the loss of unseen transitions without actions: near which floor?",
    ["near log B", "about half way", "near log(B/C)"],
)
cost

# %%
new = []
for s in seeds:
    plan = {
        "next, no action": ring.entry(EPOCHS, data=without_actions(worlds[s][0])),
        "next, with action": ring.entry(EPOCHS),
    }
    new += trained(s, plan)
rows = pd.concat([rows, pd.DataFrame(new)])
table(rows).style.format(lambda x: f"{x:.0%}" if x < 1.01 else f"{x:.2f}", na_rep="")  # shares, and losses in nats

# %% tags=["claim"]
told, loss = (rows.pivot(index="seed", columns="method", values=name) for name in (ring.POSITION, ring.LOSS))
behind = told["next, with action"] - told["next, no action"]
action.settle(action.options[2 if behind.min() > 0.15 else 0 if behind.max() < 0.05 else 1])
paid = (loss["next, no action"] - math.log(B / C)) / math.log(C)
cost.settle(cost.options[0 if paid.min() > 0.75 else 2 if paid.max() < 0.25 else 1])
assert (behind > 0.1).all()
assert (told["next, with action"] > told["two views"] + 0.05).all()
assert (loss["next, no action"] > math.log(B) - 0.05).all()
assert (loss["next, with action"] < math.log(B) - 0.3).all()
assert (loss["next, with action"] > math.log(B / C) - 0.05).all()

# %% [markdown]
# Actions are drawn evenly, so without them every position is equally likely to follow, and the state says nothing about it.
# The loss cannot fall, and nothing is learned. With the action the same pairs become predictable, and what makes
# them so is what the agent controls.
#
# But see what is not there: no gain over the raw numbers, from which a linear probe tells the position as well. What was
# gained is only that $z$ has half as many numbers and kept it. No agent was trained here, either; that it then earns more
# is what the authors report. [The scorecard](../docs/scorecard/taco.md) has twenty seeds, and actions that were shuffled.
#
# On a live page:
#
# - Give the encoder the actions of others (shuffled). Which floor does the loss keep to? (`M` there is our $C$.)
# - Set the strength of the things to 0. Do the positions come apart without actions, and why?

# %%
ControlPanel()

# %% [markdown]
# ## 3 · "With actions it will learn what actions move"
#
# One change: the things stay the same from one moment to the next, as a background does. The agent still acts, and its
# action still tells the next position.

# %%
stay = bet(
    "Things that stay, actions given: how well does z tell the position, beside the untrained encoder?",
    ["better, by more than 5 points", "about as well (within 5 points)", "worse, by more than 5 points"],
)
stay

# %%
still = {s: parts(s, persistent=True) for s in seeds}
kept = []
for s in seeds:
    plan = {"untrained": ring.entry(None), "things stay, with action": ring.entry(EPOCHS)}
    found = bench.compare(plan, *still[s], (ring.probed, ring.lost), seed=s).rows
    kept += [{"seed": s, **row} for row in [ring.raw(*still[s]), *found]]
kept = pd.DataFrame(kept)
shares = [f"position told, seed {s}" for s in seeds]
table(kept).style.format("{:.2f}", na_rep="").format("{:.0%}", subset=shares)

# %% tags=["claim"]
told, loss = (kept.pivot(index="seed", columns="method", values=name) for name in (ring.POSITION, ring.LOSS))
gain = told["things stay, with action"] - told["untrained"]
stay.settle(stay.options[0 if gain.min() > 0.05 else 2 if gain.max() < -0.05 else 1])
assert gain.max() < -0.05
assert (loss["things stay, with action"] < math.log(B / C) - 1).all(), "far below what positions can give"

# %% [markdown]
# The loss falls far below $\log(B/C)$, the best that positions alone can do. That is no success but an alarm: something else
# gives the answer away. Things that stay tell *which* transition this is, and an action is not needed for that. Knowing the
# floor beforehand is what makes it visible: a loss can be too good.
#
# ## 4 · "First a good representation, then a good agent"
#
# So far somebody handed us transitions. Now the agent must fetch them. A **combination lock** has five levels. At each, one
# of four actions leads on, another to a dead end, for good. The reward of 1 waits at the end; a **decoy** pays a tenth
# of it at once to who gives up. The agent plays rounds of five episodes, learns from all that it saw, and plans anew.
#
# It learns by contrast: was this next state observed, or drawn by chance? The ratio of the two is a product of two
# learned vectors, and becomes a model of the world, with which the agent plans.

# %%
ratio = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
torch.testing.assert_close(contrast(ratio, torch.ones(3)), (1 + 1 / ratio).log())  # observed
torch.testing.assert_close(contrast(ratio, torch.zeros(3)), (1 + ratio).log())  # drawn

# %% [markdown]
# An agent that always takes what looks best finds the decoy and stays. To go on it needs a reason: a **bonus** for what it
# has seldom seen. If each state and action is a feature of its own, the bonus is a size, `gamma`, over the root of the visits.
# In learned features it is the same for *directions*: states that look alike share their visits.

# %%
visits = torch.tensor([[0.0, 1.0], [4.0, 100.0]], dtype=torch.float64)  # two states, two actions
one_hot = torch.eye(4, dtype=torch.float64).view(2, 2, 4)
alike = torch.ones(2, 2, 1, dtype=torch.float64)  # one feature for all
by_count = bonus(one_hot, visits, gamma=1.0, ridge=0.3, cap=LEVELS)
torch.testing.assert_close(by_count, 1 / (0.3 + visits).sqrt())
print("each its own:", by_count.flatten().tolist())
print("all alike:   ", bonus(alike, visits, gamma=1.0, ridge=0.3, cap=LEVELS).flatten().tolist())

# %%
random = bet(
    "An agent without bonus that plays one action in five at random: how much of the best reward do its plans earn at last?",
    ["less than a fifth", "a fifth to a half", "more than half"],
)
random

# %%
counting = bet(
    "Each hidden state shows itself in 16 ways. A bonus by counts of what was seen: does it open the lock?",
    ["yes, it earns more than half", "partly, a fifth to a half", "no, less than a fifth"],
)
counting

# %%
AGENTS = {
    "no bonus, 1 in 5 at random": {"gamma": 0.0, "greed": 0.8},
    "bonus, untrained features": {"steps": 0},
    "bonus, counts": {"gamma": 0.3, "rank": None},
    "bonus, learned features": {},
}
played: dict[tuple[str, int, int], Exploration] = {
    (name, n, s): explore(combination_lock(n, s), s, rounds=40, **options)
    for name, options in AGENTS.items()
    for n in ((4, 16) if options.get("gamma") else (16,) if not options else (4,))
    for s in seeds
}
last = pd.Series({key: run.values[-5:].mean().item() for key, run in played.items()}).unstack()
last.index.names, last.columns = ["agent", "ways to show itself"], [f"seed {s}" for s in seeds]
print(f"share of the best reward that the last five plans earn; the decoy alone: {DECOY:.0%}")
last.style.format("{:.0%}")

# %% jupyter={"source_hidden": true}
figure = plots.figure("full", height=2.8)
ax = figure.axes[0]
for name, n in last.index:
    ax.plot(played[name, n, seed].values.numpy(), label=f"{name}, n = {n}", linewidth=1.2)
ax.set(xlabel="rounds of five episodes", ylabel="reward of the plan", ylim=(-0.05, 1.05))
ax.legend(fontsize=7)
plots.show(
    figure,
    alt="Reward of five agents by round: some stay at the decoy, counts open the lock with 4 ways, learned features with 16.",
)

# %% tags=["claim"]
earned = last.loc["no bonus, 1 in 5 at random"].to_numpy()
random.settle(random.options[0 if earned.max() < 0.2 else 2 if earned.min() > 0.5 else 1])
earned = last.loc["bonus, counts", 16].to_numpy()
counting.settle(counting.options[0 if earned.min() > 0.5 else 2 if earned.max() < 0.2 else 1])
assert (last.loc["bonus, counts", 4] > 0.5).all()
assert (last.loc["bonus, counts", 16] < 0.2).all()
assert (last.loc["bonus, untrained features"] < 0.2).all(axis=None)
assert (last.loc["bonus, learned features", 16] > 0.4).all()

# %% [markdown]
# With four ways to show itself a hidden state can be counted, and counts do well: on
# [the scorecard](../docs/scorecard/contrastive-ucb.md) the learned features are no better there. With sixteen, nearly every
# state and action is new, so all of them promise the same, and counting leads nowhere. Learned features know that sixteen
# pictures are one situation, and the visits add up. Untrained features do not, though their bonus is the same.
#
# Chance alone does not help: a lock of five levels wants five right actions in a row. And the features are learned
# *from what the bonus brought in*. Representation and agent come together or not at all. (The authors' published code
# holds another agent; this one was rebuilt from the paper in tables.)
#
# On a live page:
#
# - Set the bonus to 0 and move through the rounds. At which level does the agent get stuck?
# - Give it far too much bonus. What does it do with a lock that it can already open?
# - There are three hidden states. What becomes of it with one dimension?

# %%
ExplorePanel()

# %% [markdown]
# ## 5 · "A film and a sentence match, or they don't"
#
# At last the agent must be told what to do. A **film** of a tabletop shows one of four objects that drifts one of four ways,
# as numbers: 16 **tasks**. An **instruction** has a word for the object, one for the way (two synonyms of each), and a word
# that says nothing. An encoder for films and one for instructions must meet.
#
# There are at least two ways to teach it. **Match** (called MIA): show a film with its own instruction or with that of
# another, and ask whether they belong together. **Contrast** (as **HULC** does): each film must find its instruction among
# those of the batch, and each instruction its film. We know that loss from [Two encoders](slug:two_encoders).

# %%
film, said = (torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
torch.testing.assert_close(ground(film, said, torch.tensor(5.0).log()), losses.clip(film, said, temperature=1 / 5))

# %% [markdown]
# Equal encoders, equal batches, equally many steps. Then each new film chooses among 16 instructions, one of each task.

# %%
match = bet(
    "Taught by matches: how often is the right instruction chosen, beside the training by contrast?",
    ["about as often (within 10 points)", "less often, but more than half as often", "less than half as often"],
)
match

# %%
eight = bet(
    "And by contrast in batches of 8 in place of 32, with as many steps?",
    ["about as often (within 10 points)", "less often, but more than half as often", "less than half as often"],
)
eight

# %%
courses = {
    "match, 32": learn(32, "mia"),
    "contrast, 32": learn(32, "clip"),
    "contrast, 8": learn(8, "clip"),
}
chosen = pd.DataFrame({name: run.right()[[0, -1]] for name, run in courses.items()}, index=["untrained", "trained"]).T
print(f"right instruction among {len(TASKS)}; by chance {1 / len(TASKS):.0%}")
chosen.style.format("{:.0%}")


# %% tags=["claim"]
def compared(other: float, best: float) -> int:
    """Which of the three options."""
    return 0 if other > best - 0.1 else 1 if other > best / 2 else 2


best = chosen.loc["contrast, 32", "trained"]
match.settle(match.options[compared(chosen.loc["match, 32", "trained"], best)])
eight.settle(eight.options[compared(chosen.loc["contrast, 8", "trained"], best)])
assert chosen.loc["match, 32", "trained"] < best - 0.3
assert chosen.loc["contrast, 8", "trained"] < best - 0.3

# %% [markdown]
# All untrained encoders choose about as by chance. There is no column for raw input: numbers of a film and of a
# sentence cannot be compared before something is learned. A match says one bit of one wrong sentence. A contrast ranks
# all others of its batch, many of which differ from the right one by a single word, and takes the most from the
# nearest. In small batches that is soon over. A third way, to guess the numbers of the whole sentence (BC-Z), stands in the panel
# below.
#
# This is one seed; [the scorecard](../docs/scorecard/hulc.md) has at least five of each, and three times the steps, which do
# not close the distance. It has a policy, too, which learns from play and is told little of it: with the contrast at the
# paper's weight of 3 it does what it is told far less often than without. To act on words and to tell them apart are two things.
#
# On a live page:
#
# - Step through the training. What is learned first, the way or the object?
# - With batches of 4, what is left of the blocks?

# %%
GroundingPanel()

# %% [markdown]
# ## 6 · "Predictable is good"
#
# It was the same question each time: what suffices to tell the right answer from the others?
#
# | who asks | what suffices | what is learned |
# |---|---|---|
# | one view, for the other | whatever differs between moments | the things |
# | a moment, for the next, things anew | nothing | nothing |
# | a moment and its action, things anew | what the action moves | the position |
# | a moment and its action, things that stay | the things | the things |
# | a state and action, for what was observed | where actions lead | states that are alike |
# | a film, for its sentence among many | the words that tell sentences apart | what moves, and where |
#
# And an agent has one advantage over a data set: what it will see next depends on what it does.
#
# Your bets on this page:

# %%
tally()

# %% [markdown]
# ## Exercises
#
# Replace the dots, run the cell, read the verdict. Each solution unfolds below its cell.
#
# **1.** In a batch of `B` transitions the next positions are `positions`, `(B,)`, and they need not be equally frequent.
# Someone foretells each next position surely, and nothing else. What is the mean loss?


# %%
def floor(positions: Tensor) -> Tensor: ...


check("floor", floor)

# %% [markdown]
# <details><summary>Solution</summary>
#
# Each candidate at the right position gets the same share.
#
# ```python
# def floor(positions):
#     alike = (positions[:, None] == positions).sum(1)
#     return alike.double().log().mean()
#
# check("floor", floor)
# ```
# </details>

# %% [markdown]
# **2.** Write the bonus by counts: `visits` of any shape, its size `gamma`, and a small number `ridge` that keeps it finite.


# %%
def counted(visits: Tensor, gamma: float, ridge: float) -> Tensor: ...


check("counted", counted)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def counted(visits, gamma, ridge):
#     return gamma / (ridge + visits).sqrt()
#
# check("counted", counted)
# ```
# </details>

# %% [markdown]
# **3.** A next state is either observed or drawn by chance, equally often. `f` says how many times likelier it is to be
# observed than drawn. What is the chance that it was observed?


# %%
def observed(f: Tensor) -> Tensor: ...


check("observed", observed)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def observed(f):
#     return f / (1 + f)
#
# check("observed", observed)
# ```
#
# The loss of section 4 is the negative logarithm of this chance, or of the rest.
# </details>

# %% [markdown]
# **4.** (An experiment.) `parts(s, scale=1.0)` makes the things faint. Put it in place of `parts(s)` in section 1, and run
# sections 1 and 2 again. Whose loss moves, and which floor does it come near? What does the position say then about the
# encoder that saw no actions, and why is that no proof that actions are not needed?
#
# **5.** (To think about.) A camera on a car, and the steering wheel as the action. What on the road is moved by no action and
# still tells the next picture? What would you do so that the encoder does not live on it?
#
# ## References
#
# - Zheng et al., *TACO: temporal latent action-driven contrastive loss for visual reinforcement learning*, NeurIPS 2023,
#   [2306.13229](https://arxiv.org/abs/2306.13229). The world here is generated, and no agent is trained.
# - Qiu et al., *Contrastive UCB: provably efficient contrastive self-supervised learning in online reinforcement learning*,
#   ICML 2022, [2207.14800](https://arxiv.org/abs/2207.14800).
# - Mees, Hermann & Burgard, *What matters in language conditioned robotic imitation learning over unstructured data*, 2022,
#   [2204.06252](https://arxiv.org/abs/2204.06252), for HULC. The tabletop here is made of numbers.
# - Laskin, Srinivas & Abbeel, *CURL: contrastive unsupervised representations for reinforcement learning*, ICML 2020,
#   [2004.04136](https://arxiv.org/abs/2004.04136), for two views of a moment.
# - Azar, Osband & Munos, *Minimax regret bounds for reinforcement learning*, ICML 2017,
#   [1703.05449](https://arxiv.org/abs/1703.05449), for the bonus by counts.
