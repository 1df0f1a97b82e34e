"""COCONUT's losses against the authors' formula in numbers, loops and closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, dot, one, points, repeated, simplex
from proofs import Case, Golden, Reference, cases, check, golden, labels_of, leaves, loops
from torch import Tensor

from cl_explore.losses import multimodal_supcon, nspt, ntpt


def student(x: Inputs, case: Case) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return x["student"], labels_of(case), x["teacher"], torch.tensor(case["inputs"]["is_rehearsal"])


def replay(x: Inputs, case: Case) -> Tensor:
    return nspt(*student(x, case), temperature=case["params"]["temperature"])


GOLDEN = [Golden("coconut", replay)]
test_golden = golden(GOLDEN)


def test_variants() -> None:
    forms = {"no_positive": "nspt_positive_not_in_denominator", "literal": "nspt_self_student_in_denominator"}
    for case in cases("coconut"):
        x, variants, temperature = leaves(case), case["variants"], case["params"]["temperature"]
        for denominator, name in forms.items():
            value = nspt(*student(x, case), temperature=temperature, denominator=denominator)
            check(value, x, variants[name], f"{case['name']}, {denominator}")
        check(ntpt(*student(x, case), temperature=temperature), x, variants["ntpt"], case["name"])
        x = {"audio": leaves(case)["student"], "text": leaves(case)["text"]}
        value = multimodal_supcon(torch.stack(list(x.values()), 1), labels_of(case), temperature=temperature)
        check(value, x, case["multimodal"], case["name"])


def loop_replay(x: Inputs, denominator: str, fed: bool = True) -> list[float]:
    z, t, y = points(x), points(x, "teacher"), repeated(x)
    old = repeated(x, "rehearsal") if fed else [1] * len(z)
    out = []
    for k in range(len(z)):
        if not old[k]:
            out.append(0.0)
            continue
        negatives = [math.exp(dot(z[k], z[i]) / 0.3) for i in range(len(z)) if i != k]
        others = [math.exp(dot(z[k], z[i]) / 0.3) for i in range(len(z)) if y[i] != y[k]]
        own = math.exp(dot(z[k], z[k]) / 0.3)
        teacher = [math.exp(dot(z[k], t[i]) / 0.3) for i in range(len(z))]
        each = []
        for p in range(len(z)):
            if y[p] == y[k] and old[p]:
                total = {
                    "clean": sum(negatives) + teacher[p],
                    "other_classes": sum(others) + teacher[p],
                    "no_positive": sum(negatives),
                    "literal": sum(negatives) + own,
                    "teacher": sum(teacher),
                }[denominator]
                each.append(-math.log(teacher[p] / total))
        out.append(sum(each) / len(each))
    return out


def loop_multimodal(x: Inputs) -> list[float]:
    z, y = points(x), x["labels"].tolist()
    out = []
    for b in range(len(y)):
        for side in (0, 1):
            logits = [dot(z[2 * b + side], z[2 * i + 1 - side]) / 0.2 for i in range(len(y))]
            total = math.log(sum(map(math.exp, logits)))
            mine = [total - logits[i] for i in range(len(y)) if y[i] == y[b]]
            out.append(sum(mine) / len(mine))
    return out


T, OLD = {"temperature": 0.3}, ("rehearsal",)
REFERENCES = [
    Reference(nspt, T, lambda x: loop_replay(x, "clean"), fed=OLD),
    Reference(nspt, T | {"denominator": "other_classes"}, lambda x: loop_replay(x, "other_classes"), fed=OLD),
    Reference(nspt, T | {"denominator": "no_positive"}, lambda x: loop_replay(x, "no_positive"), views=1, fed=OLD),
    Reference(nspt, T | {"denominator": "literal"}, lambda x: loop_replay(x, "literal"), fed=OLD),
    Reference(ntpt, T, lambda x: loop_replay(x, "teacher"), fed=OLD),
    Reference(ntpt, T, lambda x: loop_replay(x, "teacher", fed=False), views=1),
    Reference(multimodal_supcon, {"temperature": 0.2}, loop_multimodal),
]
test_loop = loops(REFERENCES)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_students_of_new_classes_are_pushed_by_nspt_alone(seed: int) -> None:
    z = torch.randn(8, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, requires_grad=True)
    old, teacher = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0]), z.detach().roll(1, 1)
    (with_student,) = torch.autograd.grad(nspt(z, torch.arange(8) % 3, teacher, old), z)
    (with_teacher,) = torch.autograd.grad(ntpt(z, torch.arange(8) % 3, teacher, old), z)
    assert (with_teacher[4:] == 0).all()
    assert (with_student[4:].norm(dim=1) > 0).all()
    nobody = torch.zeros(8, dtype=torch.long)
    assert nspt(z, nobody, teacher, nobody) == 0, "before the first replay there is nothing to hold"


def test_landmarks() -> None:
    c, tau = 5, 0.3
    gap = math.log1p((c - 1) * math.exp(-c / (c - 1) / tau))
    w, equal, unique = simplex(c), torch.arange(10) % c, torch.arange(c)
    across = multimodal_supcon(w[equal][:, None].expand(-1, 2, -1), equal, temperature=tau)
    assert float(across) == pytest.approx(math.log(2) + gap)
    assert multimodal_supcon.bounds(samples=16, classes=4, temperature=0.3) == pytest.approx(
        (math.log(16), math.log(4) + math.log1p(3 * math.exp(-4 / 3 / 0.3)))
    )
    labels, z = torch.tensor([0, 0, 0, 0, 0, 1, 1, 2]), one(8, 2, 4)
    assert float(multimodal_supcon(z, labels)) == pytest.approx(math.log(8))
    for loss in (nspt, ntpt):
        assert float(loss(w, unique, w, temperature=tau)) == pytest.approx(gap)
        assert float(loss(z, labels, z)) == pytest.approx(math.log(16))
