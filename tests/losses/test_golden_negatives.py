"""Negatives, views, individual temperatures, sorting and structure against numbers from the authors' code."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.decoupled import dhel
from cl_explore.losses.infonce import info_nce, nt_xent
from cl_explore.losses.mochi import Mixes, mix_hard_negatives, mochi
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.temperature import ISogCLR, SogCLR, isogclr, sogclr
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple

GOLDEN = Path(__file__).parents[1] / "golden"
Case = dict[str, Any]
Leaves = dict[str, Tensor]
Call = Callable[[Leaves, Case], Tensor]


def cases(file: str, wanted: Callable[[str], bool] = lambda name: True) -> list[Case]:
    return [case for case in json.loads((GOLDEN / f"{file}.json").read_text())["cases"] if wanted(case["name"])]


def tensor(numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def leaves(case: Case) -> Leaves:
    """The inputs as leaves; a stack (V, B, D) whose gradients are listed view by view becomes one leaf a view."""
    found: Leaves = {}
    for name, numbers in case["inputs"].items():
        if f"{name}0" in case["grad"]:
            found |= {f"{name}{v}": tensor(view).requires_grad_() for v, view in enumerate(numbers)}
        else:
            found[name] = tensor(numbers).requires_grad_()
    return found


def views(x: Leaves, *names: str) -> Tensor:
    """The leaves of these names, or whose names begin so, as z (B, V, D)."""
    return torch.stack([leaf for name, leaf in x.items() if name.rstrip("0123456789") in names or name in names], dim=1)


def first_view(each: Tensor) -> Tensor:
    return each.view(-1, 2)[:, 0].mean()


def multi_view(x: Leaves, case: Case) -> Tensor:
    """Pairwise (PWE), averaged (AVG) and poly-view (PVC) contrast are compositions of NT-Xent and InfoNCE."""
    z, tau, name = views(x, "x"), case["params"]["tau"], case["name"]
    samples, count, _ = z.shape
    pairs = [(v, u) for v in range(count) for u in range(count) if v != u]
    if name.startswith("dhel_noaugs"):
        parts = dhel.parts(z, temperature=tau)
        return first_view(parts["energy"] - parts["alignment"])
    if name.startswith("dhel"):
        return dhel(z, temperature=tau)
    if name.startswith("mv_infonce"):
        return mv_infonce(z, temperature=tau)
    if name.startswith("mv_dhel"):
        return mv_dhel(z, temperature=tau)
    if name.startswith("ntxent_pwe"):
        return torch.stack([nt_xent(z[:, pair], temperature=tau) for pair in pairs]).mean()
    if name.startswith("ntxent_avg"):
        z = F.normalize(z, dim=-1)
        others = (z.sum(1, keepdim=True) - z) / (count - 1)
        each = [
            nt_xent(torch.stack([z[:, v], others[:, v]], 1), temperature=tau, normalize=False) for v in range(count)
        ]
        return torch.stack(each).mean()
    apart = [[j for j in range(samples) if j != i] for i in range(samples)]
    negatives = z[torch.tensor(apart)].flatten(1, 2)
    each = [info_nce(z[:, v], z[:, u], negatives, temperature=tau) for v, u in pairs]
    return torch.stack(each).mean()


def debias(x: Leaves, case: Case) -> Tensor:
    p = case["params"]
    z, tau = views(x, "z"), p["temperature"]
    if not p.get("debiased", True) or p.get("estimator") == "easy":
        return nt_xent(z, temperature=tau)
    if "beta" in p:
        return hard(z, temperature=tau, tau_plus=p["tau_plus"], beta=p["beta"])
    return debiased(z, temperature=tau, tau_plus=p["tau_plus"])


def behaviour(x: Leaves, case: Case) -> Tensor:
    """The file's repulsion weight is 1 over the number of negatives kept: the mean, weight 1."""
    p, kind = case["params"], case["name"].rsplit("_", 2)[0]
    z, memory = views(x, "x_anchor", "x_positive"), x["x_memory"]
    alpha = p["top_k"] / len(memory)
    if kind == "simple":
        return first_view(simple(z, memory, reduction="none"))
    if kind == "hard_simple":
        return first_view(hard_simple(z, memory, alpha=alpha, reduction="none"))
    return first_view(hard_truncated(z, memory, temperature=p["tau"], alpha=alpha, reduction="none"))


def mixes(case: Case) -> Mixes:
    x = case["inputs"]
    return Mixes(
        case["params"]["N_hard"],
        torch.tensor(x["pair_rank_idx"]),
        tensor(x["alpha"]),
        torch.tensor(x["query_rank_idx"]),
        tensor(x["beta"]),
    )


def mochi_call(x: Leaves, case: Case) -> Tensor:
    synthetic = mix_hard_negatives(x["x_q"], x["x_queue"], mixes(case))
    return mochi(x["x_q"], x["x_k"], x["x_queue"], synthetic, temperature=case["params"]["T"])


def pseudo_labels(x: Leaves, case: Case) -> Tensor:
    labels = case["inputs"].get("pseudo_labels", range(len(x["z1"])))
    return g_simclr(views(x, "z"), torch.tensor(list(labels)), temperature=case["params"]["temperature"])


def cacr_call(x: Leaves, case: Case) -> Tensor:
    p = case["params"]
    if "T" in p:
        return cacr_momentum(views(x, "x_q"), x["x_k"], temperature=p["T"])
    none = p.get("choice") == "none"
    return cacr(
        views(x, "x"),
        tau_pos=0.0 if none else p["tau_pos"],
        tau_neg=0.0 if none else p["tau_neg"],
        alpha=p["alpha"],
        beta=p["beta"],
        tau_plus=p.get("tau_plus", 0.0),
    )


def groco_call(x: Leaves, case: Case) -> Tensor:
    p = case["params"]
    if "n" in p:
        return (soft_sort(x["x"], p["steepness"])[1] * x["W"]).sum()
    z = views(x, "x")
    return groco(
        z,
        hardest=p["topk_neg"],
        steepness=p["steepness"],
        positives="all" if p["n_pos_augs"] == z.shape[1] else "first_two",
        key_grad="detach" if p["stop_grad"] else "live",
    )


def sepclr_call(x: Leaves, case: Case) -> Tensor:
    p, name = case["params"], case["name"]
    if name.startswith("sup_align"):
        return attribute_alignment(x["x"][:, None], x["y"], bandwidth=p["tau"])
    if name.startswith("joint"):
        z, salient = x["c"][:, None].expand(-1, 2, -1), x["s"][:, None].expand(-1, 2, -1)
        flags = torch.ones(len(z), dtype=torch.long)
        return sepclr.parts(z, salient, flags, temperature=p["tau"], normalize=False)["joint_entropy"].mean()
    if name.startswith("uniform"):
        z = x["x"][:, None].expand(-1, 2, -1)
        flags = torch.ones(len(z), dtype=torch.long)
        return sepclr.parts(z, z, flags, temperature=p["tau"], normalize=False)["common_uniformity"].mean()
    return sepclr(
        views(x, "c"),
        views(x, "s"),
        torch.tensor(case["inputs"]["is_target"]),
        temperature=p["tau"],
        salient_weight=p["salient_weight"],
        informationless_weight=p["informationless_weight"],
        joint_weight=p["jem_weight"],
    )


CALLS: dict[str, tuple[Call, Callable[[str], bool]]] = {
    # The kernel losses (KCL) of the first file are not in the catalogue.
    "mv-infonce-dhel": (multi_view, lambda name: "kcl" not in name),
    "debiased": (debias, lambda name: True),
    "hcl": (debias, lambda name: True),
    "behaviour-of-contrastive-loss": (behaviour, lambda name: name.startswith(("hard", "simple"))),
    "mochi": (mochi_call, lambda name: True),
    # The other case of the file is an order of batches, not a loss.
    "g-simclr": (pseudo_labels, lambda name: not name.startswith("rank")),
    "cacr": (cacr_call, lambda name: True),
    "groco": (groco_call, lambda name: True),
    "sepclr": (sepclr_call, lambda name: True),
}


ALL = [
    pytest.param(call, case, id=f"{file}: {case['name']}")
    for file, (call, wanted) in CALLS.items()
    for case in cases(file, wanted)
]


def close(value: Tensor, expected: Any) -> None:
    torch.testing.assert_close(value.detach(), tensor(expected), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize(("call", "case"), ALL)
def test_value_and_gradient(call: Call, case: Case) -> None:
    x = leaves(case)
    value = call(x, case)
    close(value, case["loss"])
    value.backward()
    for name, expected in case["grad"].items():
        close(x[name].grad, expected)


@pytest.mark.parametrize("case", cases("mochi"), ids=lambda case: case["name"])
def test_mochi_synthesis(case: Case) -> None:
    """The same logits as the re-implementation's, and nothing flows into the synthetic negatives."""
    x, tau = leaves(case), case["params"]["T"]
    synthetic = mix_hard_negatives(x["x_q"], x["x_queue"], mixes(case))
    assert not synthetic.requires_grad
    real = len(x["x_queue"]) + 1
    query = F.normalize(x["x_q"], dim=-1)
    logits = torch.einsum("nd,nsd->ns", query, synthetic) / tau
    close(logits, [row[real:] for row in case["extra"]["logits"]])
    parts = mochi.parts(x["x_q"], x["x_k"], x["x_queue"], synthetic, temperature=tau)
    close(parts["real"].mean(), case["extra"]["loss_without_synthetic"])
    nearest = (query @ F.normalize(x["x_queue"], dim=-1).T).topk(case["params"]["N_hard"]).indices
    assert nearest.tolist() == case["extra"]["hard_idx"]


@pytest.mark.parametrize("case", cases("cacr", lambda name: "small" in name), ids=lambda case: case["name"])
def test_cacr_anatomy(case: Case) -> None:
    """The file lists the weights of the last query view (positives) and of the last pair of views (negatives)."""
    x, p, extra = leaves(case), case["params"], case["extra"]
    z = views(x, "x")
    none = p.get("choice") == "none"
    knobs = {"alpha": p["alpha"], "beta": p["beta"], "tau_plus": p.get("tau_plus", 0.0)}
    parts = cacr.parts(z, tau_pos=0 if none else p["tau_pos"], tau_neg=0 if none else p["tau_neg"], **knobs)
    close(parts["attraction"].mean(), extra["loss_attraction"])
    close(parts["repulsion"].mean(), extra["loss_repulsion"])
    samples, count, _ = z.shape
    positive = parts["positive_weight"].view(samples, count, count)[:, -1, :-1]
    negative = parts["negative_weight"].view(samples, count, count, samples)[:, -2, -1]
    others = ~torch.eye(samples, dtype=torch.bool)
    if not none:
        close(positive, extra["last_pos_weights"])
        close(negative[others].view(samples, -1), extra["last_neg_weights"])
    close(positive.sum(1), [1.0] * samples)
    close(negative.sum(1), [1.0] * samples)


@pytest.mark.parametrize("case", cases("cacr", lambda name: "moco" in name), ids=lambda case: case["name"])
def test_cacr_momentum_with_euclidean_cost(case: Case) -> None:
    """The authors sum this form over the batch."""
    x = leaves(case)
    samples = len(x["x_k"])
    z = views(x, "x_q")
    value = samples * cacr_momentum(z, x["x_k"], temperature=case["params"]["T"], cost="euclidean")
    close(value, case["extra"]["loss_euclidean"])
    value.backward()
    for v, expected in enumerate(case["extra"]["grad_euclidean"]):
        close(x[f"x_q{v}"].grad, expected)


@pytest.mark.parametrize("case", cases("groco", lambda name: "sorter" in name), ids=lambda case: case["name"])
def test_soft_sort(case: Case) -> None:
    numbers, permutation = soft_sort(tensor(case["inputs"]["x"]), case["params"]["steepness"])
    close(numbers, case["extra"]["sorted"])
    close(permutation, case["extra"]["P"])


@pytest.mark.parametrize(
    "case", cases("sepclr", lambda name: name in ("mixed_batch", "no_jem")), ids=lambda c: c["name"]
)
def test_sepclr_terms(case: Case) -> None:
    x, found = leaves(case), case["components"]
    flags = torch.tensor(case["inputs"]["is_target"])
    parts = sepclr.parts(views(x, "c"), views(x, "s"), flags, temperature=case["params"]["tau"])
    names = {
        "common_align": "common_alignment",
        "common_uniform": "common_uniformity",
        "salient_align": "salient_alignment",
        "salient_uniform": "salient_uniformity",
        "informationless": "informationless",
        "jem": "joint_entropy",
    }
    assert found.keys() == names.keys()
    for theirs, ours in names.items():
        close(parts[ours].mean(), found[theirs])


def step(case: Case) -> tuple[Tensor, Leaves, Tensor, dict[str, Any], dict[str, Any]]:
    x = {name: leaf for name, leaf in leaves(case).items() if name != "index"}
    return views(x, "x_a", "x_b"), x, torch.tensor(case["inputs"]["index"]), case["params"], case["extra"]


def check_step(value: Tensor, x: Leaves, case: Case) -> None:
    """The codes sum over the two views where we average."""
    close(2 * value, case["loss"])
    (2 * value).backward()
    for name, expected in case["grad"].items():
        close(x[name].grad, expected)


def states(pattern: str) -> list[Case]:
    return cases("sogclr-individual-temperature", lambda name: pattern in name)


@pytest.mark.parametrize("case", states("isogclr"), ids=lambda case: case["name"])
def test_isogclr_step(case: Case) -> None:
    """One call of the module: loss, gradient and all three numbers of every sample afterwards.

    The codes set gamma to 1 in the first epoch and let a row first met later start from 0.
    """
    z, x, index, p, extra = step(case)
    official = "libauc" not in case["name"]
    before = ("state_before_s", "state_before_tau", "state_before_u")
    after = ("state_after_s", "state_after_tau", "state_after_u")
    if not official:
        before, after = (tuple(f"{part}_{when}" for part in ("u", "tau", "gradtau")) for when in ("before", "after"))
    module = ISogCLR(
        len(extra[before[0]]),
        temperature=p["tau_init" if official else "tau"],
        rho=p["rho"],
        gamma=1.0 if p["epoch"] == 0 else p["gamma"],
        first_visit="zero",
        eta=p["eta_init" if official else "eta"],
        beta=p["beta_u" if official else "beta"],
        low=p["tau_min"],
        high=p["tau_max"],
        clip=3.0 if official else math.inf,
    ).double()
    state = {"log_mean": tensor(extra[before[0]]).log(), "temperature": tensor(extra[before[1]])}
    module.load_state_dict(state | {"momentum": tensor(extra[before[2]])})
    check_step(module(z, index), x, case)
    close(module.log_mean.exp(), extra[after[0]])
    close(module.temperature, extra[after[1]])
    close(module.momentum, extra[after[2]])


@pytest.mark.parametrize("case", states("libauc_sogclr"), ids=lambda case: case["name"])
def test_sogclr_step(case: Case) -> None:
    z, x, index, p, extra = step(case)
    gamma = 1.0 if p["epoch"] == 0 else p["gamma"]
    module = SogCLR(len(extra["u_before"]), temperature=p["tau"], gamma=gamma, first_visit="zero").double()
    module.load_state_dict({"log_mean": tensor(extra["u_before"]).log()})
    check_step(module(z, index), x, case)
    close(module.log_mean.exp(), extra["u_after"])


@pytest.mark.parametrize("case", states("sum_u"), ids=lambda case: case["name"])
def test_sogclr_step_that_stores_the_sum(case: Case) -> None:
    """This code keeps the sum of the two views' averages, not their mean, and always starts from 0."""
    z, x, index, p, extra = step(case)
    state = tensor(extra["u_before"])
    parts = sogclr.parts(z, state[index].log(), temperature=p["temperature"], gamma=p["gamma"], first_visit="zero")
    check_step(parts["loss"].mean(), x, case)
    state[index] = parts["log_mean"].exp().view(-1, 2).sum(1)
    close(state, extra["u_after"])


@pytest.mark.parametrize("case", states("isogclr_zhqiu"), ids=lambda case: case["name"])
def test_isogclr_temperature_gradient(case: Case) -> None:
    z, _, index, p, extra = step(case)
    parts = isogclr.parts(
        z,
        tensor(extra["state_before_s"])[index].log(),
        temperature=tensor(extra["state_before_tau"])[index].repeat_interleave(2),
        rho=p["rho"],
        gamma=1.0 if p["epoch"] == 0 else p["gamma"],
    )
    close(parts["temperature_gradient"].clamp(-3, 3).mean(), extra["mean_grad_tau"])
