"""VarCon against the authors' numbers, a full table of its target, and its bounds."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, repeated, unit
from proofs import Case, Golden, Reference, cases, close, golden, labels_of, leaves, loops, tensor
from torch import Tensor

from cl_explore.losses import varcon


def varcon_call(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return varcon(x["x"], labels_of(case), temperature=p["tau1"], epsilon=p["epsilon"])


GOLDEN = [Golden("varcon", varcon_call)]
test_golden = golden(GOLDEN)


def test_anatomy_and_switches() -> None:
    """KL, NLL, tau2 and confidence as the authors compute them; the other gradient paths as the switches promise."""
    for case in cases("varcon"):
        labels, p, extra = labels_of(case), case["params"], case["extra"]
        knobs = {"temperature": p["tau1"], "epsilon": p["epsilon"]}
        parts = varcon.parts(tensor(case["inputs"]["x"]), labels, **knobs)
        for part, expected in [("kl", extra["kl"]), ("nll", extra["nll"]), ("confidence", extra["avg_confidence"])]:
            close(parts[part].mean(), abs(expected), case["name"])
        close(parts["tau2"], extra["tau2"], case["name"])
        for switch, expected in [
            ({"target_grad": "detach"}, extra["grad_target_detached"]),
            ({"centroid_grad": "live"}, extra["grad_live_centroid"]),
        ]:
            x = leaves(case)["x"]
            close(
                torch.autograd.grad(varcon(x, labels, **knobs, **switch), x)[0], expected, f"{case['name']}, {switch}"
            )


def loop_varcon(x: Inputs, leave_one_out: bool = False) -> list[float]:
    """KL(q || p) - log p_y with a full table of q, temperature 0.3, epsilon 0.1; 0 for a point left without a class."""
    z, label = unit(x["z"]).flatten(0, 1), repeated(x)
    classes, n = sorted(set(label)), range(len(z))
    out = []
    for i in n:
        if leave_one_out and label.count(label[i]) == 1:
            out.append(0.0)
            continue
        w = [
            F.normalize(
                torch.stack([z[j] for j in n if label[j] == c and not (leave_one_out and j == i)]).mean(0), dim=0
            )
            for c in classes
        ]
        logits = torch.stack([z[i] @ v for v in w]) / 0.3
        p, y = logits.softmax(0), classes.index(label[i])
        tau2 = 0.3 - 0.1 + 2 * 0.1 * p[y]
        q = torch.ones(len(classes), dtype=torch.float64)
        q[y] = (1 / tau2).exp()
        q = q / q.sum()
        out.append(float((q * (q / p).log()).sum() - p[y].log()))
    return out


KNOBS = {"temperature": 0.3, "epsilon": 0.1}
REFERENCES = [
    Reference(varcon, KNOBS, loop_varcon),
    Reference(varcon, KNOBS | {"centroid_self": "leave_one_out"}, lambda x: loop_varcon(x, True)),
    Reference(varcon, KNOBS | {"centroid_self": "leave_one_out"}, lambda x: loop_varcon(x, True), views=1),
]
test_loop = loops(REFERENCES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.06, 1.0))
def test_varcon_target_stays_inside_its_bounds(seed: int, tau: float) -> None:
    z = torch.randn(12, 1, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    parts = varcon.parts(z, torch.arange(12) % 4, temperature=tau, epsilon=0.05)
    assert (parts["kl"] >= -1e-12).all()
    assert ((parts["tau2"] >= tau - 0.05) & (parts["tau2"] <= tau + 0.05)).all()
    order = parts["confidence"].argsort()
    assert (parts["tau2"][order].diff() >= 0).all(), "a sample the model is surer of must get the softer target"


def test_epsilon_stays_below_the_temperature() -> None:
    z, y = torch.randn(6, 4), torch.arange(6) % 2
    with pytest.raises(ValueError, match=r"epsilon must be smaller than temperature \(0.1\), got 0.1"):
        varcon(z, y, temperature=0.1, epsilon=0.1)
    with pytest.raises(ValueError, match="epsilon must be smaller"):
        varcon(z, y, temperature=torch.tensor(0.1), epsilon=0.2)


def test_leaving_oneself_out_needs_another_of_the_class() -> None:
    with pytest.raises(ValueError, match="at least one anchor needs another point of its class"):
        varcon(torch.randn(6, 4), torch.arange(6), centroid_self="leave_one_out")
