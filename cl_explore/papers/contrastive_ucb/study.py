"""Contrastive UCB on a combination lock: with the bonus of learned features the agent leaves the decoy."""

import time
from collections.abc import Sequence
from typing import Any

from cl_explore.claims.figures import dots
from cl_explore.claims.study import Row, Study
from cl_explore.claims.verdict import Claim
from cl_explore.papers.contrastive_ucb import PAPER
from cl_explore.papers.contrastive_ucb.method import explore
from cl_explore.papers.contrastive_ucb.world import combination_lock, plan, value

AGENTS: dict[str, dict[str, Any]] = {
    "Contrastive-UCB": {},
    "no bonus": {"gamma": 0.0},
    "no bonus, ε=.2": {"gamma": 0.0, "greed": 0.8},
    "untrained features": {"steps": 0},
}
UCBVI: dict[str, dict[str, Any]] = {f"UCBVI γ={gamma:g}": {"gamma": gamma, "rank": None} for gamma in (0.1, 0.3, 1.0)}
REGRET, RATIO, GROWTH, ERROR = "regret", "regret over that without bonus", "growth of regret from n=4", "model error"


def run(seed: int, *, observations: Sequence[int] = (4, 16), rounds: int = 80) -> list[Row]:
    """Regret of agents on a lock drawn anew for each seed, whose states show themselves in n ways.

    UCBVI counts raw states and plans anew after every episode, the others after every round of five; of its three
    bonuses the best at each n stands for it. The model error is the total variation of P̂, weighted by visits.
    """
    rows: list[Row] = []
    for n in observations:
        lock = combination_lock(n, seed)
        best = value(lock, plan(lock.transition, lock.reward).argmax(-1))
        for name, settings in (AGENTS | UCBVI).items():
            pace = {"rounds": 5 * rounds, "episodes": 1} if name in UCBVI else {"rounds": rounds}
            start = time.perf_counter()
            done = explore(lock, seed, **pace, **settings)
            row: Row = {"method": f"{name}, n={n}", REGRET: done.regret(best), "n": n}
            row["last value"] = done.values[-len(done.values) // 8 :].mean().item()
            if name == "Contrastive-UCB":
                variation = (done.ratio - done.truth).abs().sum(-1) / (2 * len(lock.start))
                row[ERROR] = (variation * done.tried / done.tried.sum()).sum().item()
            rows.append({**row, "seconds": time.perf_counter() - start})
    regret = {row["method"]: row[REGRET] for row in rows}
    for n in observations:
        rows.append({"method": f"UCBVI, n={n}", REGRET: min(regret[f"{name}, n={n}"] for name in UCBVI), "n": n})
        ratio = regret[f"Contrastive-UCB, n={n}"] / regret[f"no bonus, n={n}"]
        rows.append({"method": f"with bonus over without, n={n}", RATIO: ratio})
    regret |= {row["method"]: row[REGRET] for row in rows if REGRET in row}
    first, last = observations[0], observations[-1]
    for name in ("Contrastive-UCB", "UCBVI"):
        growth = regret[f"{name}, n={last}"] / regret[f"{name}, n={first}"]
        rows.append({"method": f"{name}, from n={first} to n={last}", GROWTH: growth})
    return rows


STUDY = Study(
    paper=PAPER,
    about="Features of transitions learned by telling observed from random next states carry a bonus for directions "
    "seldom seen, which drives exploration where counts of raw states would not generalise. (The authors' published "
    "code holds another agent; this is their algorithm in tabular form, a reconstruction.)",
    claims=(
        Claim("With the bonus, regret is below .6 of that without.", RATIO, "with bonus over without, n=4", "lower",
              0.6),
        Claim("Playing at random one time in five does not help an agent without bonus.", REGRET,
              "no bonus, ε=.2, n=4", "equal", "no bonus, n=4", margin=5.0),
        Claim("Without learning the features, the same bonus leaves more regret.", REGRET, "untrained features, n=4",
              "higher", "Contrastive-UCB, n=4", margin=5.0),
        Claim("The learned model's total variation is below .25 where the agent has been.", ERROR,
              "Contrastive-UCB, n=4", "lower", 0.25),
        Claim("From 4 to 16 observations a state, regret grows by a smaller factor than UCBVI's.", GROWTH,
              "Contrastive-UCB, from n=4 to n=16", "lower", "UCBVI, from n=4 to n=16"),
        Claim("With few observations a state it does not beat UCBVI, which counts them.", REGRET,
              "Contrastive-UCB, n=4", "higher", "UCBVI, n=4", negative=True),
    ),
    run=run,
    draw=lambda rows: dots(rows[rows["n"].notna()], [REGRET, "last value"]),
    presets={"smoke": {"rounds": 8}},
)  # fmt: skip
