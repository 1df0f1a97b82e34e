"""N-pair, lifted structure, multi-similarity and circle against other codes' numbers, loops and closed forms."""

import math

from loops import Inputs, log_sum, unit
from proofs import Case, Golden, Reference, golden, labels_of, loops
from torch import Tensor

from cl_explore.losses import circle, lifted, multi_similarity, n_pair


def n_pair_call(x: Inputs, case: Case) -> Tensor:
    """The file's z holds the two points of each class in turn; its penalty has a factor of 1/4."""
    p = case["params"]
    query, key = (x["anchor"], x["positive"]) if "anchor" in x else (x["z"][::2], x["z"][1::2])
    return n_pair(query, key, l2=p.get("l2", 0) / 4, normalize=p["normalize"])


def lifted_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    form = p.get("variant", "lifted")
    return lifted(x["z"], labels_of(case), margin=p["neg_margin"], form=form, normalize=p["normalize"])


def multi_similarity_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    knobs = {name: p[name] for name in ("alpha", "beta", "base")}
    mining = "all" if p["mining"] == "none" else "hard"
    return multi_similarity(x["z"], labels_of(case), margin=0.1, mining=mining, **knobs)


def circle_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    scope = "batch" if p["scope"].startswith("batch") else "anchor"
    return circle(x["z"], labels_of(case), margin=p["m"], gamma=p["gamma"], scope=scope)


GOLDEN = [
    Golden("n-pair", n_pair_call),
    Golden("lifted", lifted_call),
    Golden("multi-similarity", multi_similarity_call),
    Golden("circle", circle_call),
]
test_golden = golden(GOLDEN)


def pairs(x: Inputs) -> list[tuple[list[float], list[float], list[int], list[int]]]:
    """For each point its cosines and distances to all, and who are its positives and its negatives."""
    points = unit(x["z"]).flatten(0, 1)
    label = [int(y) for y in x["labels"] for _ in range(2)]
    n = range(len(points))
    return [
        (
            [float(points[i] @ points[j]) for j in n],
            [float((points[i] - points[j]).norm()) for j in n],
            [j for j in n if label[j] == label[i] and j != i],
            [j for j in n if label[j] != label[i]],
        )
        for i in n
    ]


def loop_n_pair(x: Inputs) -> list[float]:
    q, k = x["query"], x["key"]
    return [
        log_sum([float(q[i] @ k[j]) for j in range(6)]) - float(q[i] @ k[i]) + 0.05 * float(q[i] @ q[i] + k[i] @ k[i])
        for i in range(6)
    ]


def loop_lifted(x: Inputs) -> list[float]:
    far = [sum(math.exp(0.3 - d[n]) for n in negatives) for _, d, _, negatives in pairs(x)]
    return [
        sum(max(math.log(far[i] + far[p]) + d[p], 0) ** 2 for p in positives) / (2 * len(positives))
        for i, (_, d, positives, _) in enumerate(pairs(x))
    ]


def loop_lifted_generalized(x: Inputs) -> list[float]:
    return [
        max(log_sum([d[p] for p in positives]) + log_sum([0.3 - d[n] for n in negatives]), 0)
        for _, d, positives, negatives in pairs(x)
    ]


def loop_multi_similarity(x: Inputs, mined: bool) -> list[float]:
    out = []
    for s, _, positives, negatives in pairs(x):
        near, far = [s[p] for p in positives], [s[n] for n in negatives]
        if mined:
            near, far = [v for v in near if v - 0.2 < max(far)], [v for v in far if v + 0.2 > min(near)]
        pull = math.log(1 + sum(math.exp(-3 * (v - 0.4)) for v in near)) / 3
        out.append(pull + math.log(1 + sum(math.exp(20 * (v - 0.4)) for v in far)) / 20)
    return out


def circle_sums(x: Inputs) -> list[tuple[float, float]]:
    m, gamma = 0.25, 10
    return [
        (
            sum(math.exp(-gamma * max(1 + m - s[p], 0) * (s[p] - 1 + m)) for p in positives),
            sum(math.exp(gamma * max(s[n] + m, 0) * (s[n] - m)) for n in negatives),
        )
        for s, _, positives, negatives in pairs(x)
    ]


def loop_circle_of_the_batch(x: Inputs) -> list[float]:
    near, far = (sum(side) / 2 for side in zip(*circle_sums(x), strict=True))
    return [math.log(1 + near * far)] * 12


MULTI = {"alpha": 3.0, "beta": 20.0, "base": 0.4}
CIRCLE = {"margin": 0.25, "gamma": 10.0}
REFERENCES = [
    Reference(n_pair, {"l2": 0.05}, loop_n_pair),
    Reference(lifted, {"margin": 0.3}, loop_lifted),
    Reference(lifted, {"margin": 0.3, "form": "generalized"}, loop_lifted_generalized),
    Reference(multi_similarity, MULTI, lambda x: loop_multi_similarity(x, mined=False)),
    Reference(
        multi_similarity, MULTI | {"margin": 0.2, "mining": "hard"}, lambda x: loop_multi_similarity(x, mined=True)
    ),
    Reference(circle, CIRCLE, lambda x: [math.log(1 + near * far) for near, far in circle_sums(x)]),
    Reference(circle, CIRCLE | {"scope": "batch"}, loop_circle_of_the_batch),
]
test_loop = loops(REFERENCES)
