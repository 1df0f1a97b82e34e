"""Logit adjustment, BCL and PaCo against the authors' numbers, loops and closed forms, and PaCo's queue."""

import math

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, dot, inputs, one, points, repeated, simplex
from proofs import Case, Golden, Reference, golden, loops, tensor
from torch import Tensor

from cl_explore.losses import PaCo, bcl, logit_adjusted, paco


def parametric(x: Inputs, case: Case) -> Tensor:
    """The authors add 1e-9 to the prior and keep the weights of the positives, and their sum, in float32."""
    p, n = case["params"], len(case["inputs"]["q"])
    labels, counts = torch.tensor(p["labels"]), torch.tensor(p["cls_num"])
    alpha = torch.tensor(p["alpha"], dtype=torch.float32).double()
    prior = counts.double() / counts.sum()
    parts = paco.parts(
        x["q"],
        labels[:n],
        x["sup_logits"] + ((prior + 1e-9) / prior).log(),
        x["k"],
        x["queue"],
        labels[2 * n :],
        counts,
        temperature=p["temperature"],
        alpha=float(alpha),
        beta=p["beta"],
        gamma=p["gamma"],
    )
    same = (labels[:n, None] == labels) & ~torch.eye(n, len(labels), dtype=torch.bool)
    centre = F.one_hot(labels[:n], len(counts)).float()
    rounded = torch.cat([centre * p["beta"], same.float() * alpha.float()], 1).sum(1)
    return (parts["loss"] * (p["beta"] + alpha * parts["positives"]) / rounded).mean()


def balanced(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return bcl(x["features"], torch.tensor(p["labels"]), x["centers"], temperature=p["temperature"])


def adjusted(x: Inputs, case: Case) -> Tensor:
    p = case["params"]
    return logit_adjusted(x["logits"], torch.tensor(p["labels"]), torch.tensor(p["cls_num"]), strength=p["tau"])


GOLDEN = [Golden("logit-adjust", adjusted), Golden("bcl", balanced), Golden("paco", parametric)]
test_golden = golden(GOLDEN)


def loop_bcl(x: Inputs) -> list[float]:
    z, y = points(x), repeated(x)
    columns, classes = z + points(x, "prototypes"), y + list(range(len(x["prototypes"])))
    number = {c: classes.count(c) for c in classes}
    out = []
    for i in range(len(z)):
        others = [k for k in range(len(columns)) if k != i]
        total = sum(math.exp(dot(z[i], columns[k]) / 0.2) / (number[classes[k]] - (classes[k] == y[i])) for k in others)
        mine = [dot(z[i], columns[k]) / 0.2 - math.log(total) for k in others if classes[k] == y[i]]
        out.append(-sum(mine) / len(mine))
    return out


def loop_paco(x: Inputs, alpha: float, gamma: float, fed: bool) -> list[float]:
    z, y, beta = points(x), repeated(x), 0.8
    columns, classes = list(z), list(y)
    logits = x["logits"].tolist()
    if fed:
        columns += points(x, "teacher") + points(x, "queue")
        classes += y + x["queue_labels"].tolist()
        prior = [n / int(x["counts"].sum()) for n in x["counts"].tolist()]
        logits = [[f + math.log(p) for f, p in zip(row, prior, strict=True)] for row in logits]
    out = []
    for i in range(len(z)):
        others = [j for j in range(len(columns)) if j != i]
        total = math.log(
            sum(map(math.exp, logits[i])) + gamma * sum(math.exp(dot(z[i], columns[j]) / 0.3) for j in others)
        )
        mine = [dot(z[i], columns[j]) / 0.3 - total for j in others if classes[j] == y[i]]
        pull = beta * (logits[i][y[i]] - total) + alpha * sum(mine)
        out.append(-pull / (beta + alpha * len(mine)))
    return out


def loop_logit_adjusted(x: Inputs) -> list[float]:
    log_n = [math.log(n) for n in x["counts"].tolist()]
    out = []
    for row, y in zip(x["logits"].tolist(), x["labels"].tolist(), strict=True):
        adjusted = [f + 0.5 * p for f, p in zip(row, log_n, strict=True)]  # the total count cancels
        out.append(math.log(sum(map(math.exp, adjusted))) - adjusted[y])
    return out


PACO = {"temperature": 0.3, "alpha": 0.4, "beta": 0.8}
REFERENCES = [
    Reference(logit_adjusted, {"strength": 0.5}, loop_logit_adjusted),
    Reference(bcl, {"temperature": 0.2}, loop_bcl),
    Reference(
        paco,
        PACO | {"gamma": 0.6},
        lambda x: loop_paco(x, 0.4, 0.6, fed=True),
        views=1,
        fed=("teacher", "queue", "queue_labels", "counts"),
    ),
    Reference(paco, PACO, lambda x: loop_paco(x, 0.4, 1.0, fed=False), views=1),
]
test_loop = loops(REFERENCES)


def test_value_of_a_perfect_batch() -> None:
    c, tau = 5, 0.3
    labels, w = torch.tensor([0, 0, 0, 0, 1, 1, 2, 3, 4]), simplex(5)
    gap = math.log1p((c - 1) * math.exp(-c / (c - 1) / tau))
    z = w[labels][:, None].expand(-1, 2, -1)
    assert float(bcl(z, labels, w, temperature=tau)) == pytest.approx(gap), "whatever the class sizes"
    certain, counts = 1e3 * F.one_hot(labels).double(), torch.bincount(labels)
    assert float(logit_adjusted(certain, labels, counts)) == 0
    assert float(paco(w[labels], labels, certain, counts=counts, alpha=0)) == pytest.approx(0)


def test_value_of_a_collapsed_batch() -> None:
    labels, z, tau = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]), one(8, 2, 4), 0.3
    assert float(bcl(z, labels, one(3, 4), temperature=tau)) == pytest.approx(math.log(3))
    logits, m, alpha = torch.zeros(8, 3, dtype=torch.float64), 7, 0.05
    collapsed = math.log(3 + m * math.exp(1 / tau)) - alpha * m / tau / (1 + alpha * m)
    alike = torch.zeros(8, dtype=torch.long)
    assert float(paco(z[:, 0], alike, logits, temperature=tau, alpha=alpha)) == pytest.approx(collapsed)
    each = logit_adjusted(logits, labels, torch.tensor([90, 9, 1]), reduction="none")
    torch.testing.assert_close(each, -tensor([0.9, 0.09, 0.01]).log()[labels], atol=1e-7, rtol=0)


def test_without_samples_in_its_denominator() -> None:
    x = inputs(views=1)
    z = x["z"].requires_grad_()
    value = paco(z, x["labels"], x["logits"], x["teacher"], x["queue"], x["queue_labels"], alpha=0, gamma=0)
    assert (torch.autograd.grad(value, z)[0] == 0).all()


def test_paco_looks_at_its_queue_before_it_fills_it() -> None:
    criterion = PaCo(size=5, dim=4, temperature=0.2, generator=torch.Generator().manual_seed(0))
    x = inputs(samples=3, views=1)
    z, teacher, labels, logits = x["z"][:, 0].float(), x["teacher"][:, 0].float(), x["labels"], x["logits"].float()
    before, nobody = criterion.queue.rows.clone(), criterion.queue.labels.clone()
    z.requires_grad_()
    value = criterion(z, labels, logits, teacher, x["counts"])
    expected = paco(z, labels, logits, teacher, before, nobody, x["counts"], temperature=0.2)
    torch.testing.assert_close(value, expected)
    value.backward()  # still possible after the queue has changed
    unit = torch.nn.functional.normalize(teacher, dim=1)
    torch.testing.assert_close(criterion.queue.rows[:3], unit)
    torch.testing.assert_close(criterion.queue.rows[3:], before[3:])
    assert criterion.queue.labels[:3].tolist() == labels.tolist()
    criterion(z, labels + 1, logits[:, [2, 0, 1]].repeat(1, 2), teacher)  # goes around the end
    torch.testing.assert_close(criterion.queue.rows[[3, 4, 0]], unit)
    assert criterion.queue.labels.tolist()[3:] + criterion.queue.labels.tolist()[:1] == (labels + 1).tolist()
    state = criterion.state_dict()
    assert set(state) == {"queue.rows", "queue.labels", "queue.pointer"}
    criterion.eval()
    criterion(z, labels, logits, teacher)
    assert all(torch.equal(value, state[name]) for name, value in criterion.state_dict().items())
