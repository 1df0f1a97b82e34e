"""Text-label NCE, and the primer's other families by losses that were there, against golden numbers and loops."""

import math

import pytest
import torch
from loops import Inputs, random
from proofs import Case, Golden, Reference, golden, loops
from torch import Tensor
from torch.nn import functional as F

from cl_explore import losses
from cl_explore.losses import label_nce
from cl_explore.losses.text_label import OBJECTIVES


def called(x: Inputs, case: Case) -> Tensor:
    """Noise is one more number of each side; triplets and pairs are small batches of two or three points."""
    name, p = case["name"], case["params"]
    if name == "queue_infonce":
        return losses.moco(x["q"], x["k_pos"], x["queue"], temperature=p["temperature"])
    if name.startswith("infonce") or name == "nt_xent":
        sides = (torch.stack([x["a"], x["b"]], 1),) if name == "nt_xent" else (x["a"], x["b"])
        loss = {"infonce_one_direction": losses.info_nce, "infonce_symmetric": losses.clip, "nt_xent": losses.nt_xent}
        return loss[name](*sides, temperature=p["temperature"])
    if name == "triplet_hinge_euclid":
        rows, y = torch.stack([x["anchor"], x["positive"], x["negative"]], 1), torch.tensor([0, 0, 1])
        how = {"margin": p["margin"], "normalize": False, "reduction": "none"}
        return torch.stack([losses.triplet(row[:, None], y, **how)[0] for row in rows]).mean()
    if name == "pair_margin_hadsell":
        rows = torch.stack([x["anchor"], x["positive"]], 1)
        each = [
            losses.contrastive_margin(row[:, None], torch.tensor([0, int(1 - same)]), margin=p["margin"],
                                      normalize=False)
            for row, same in zip(rows, case["inputs"]["y"], strict=True)
        ]  # fmt: skip
        return 2 * torch.stack(each).mean()
    query, key, negatives = x["x"], x["y_pos"], x["y_neg"]
    if "log_q_pos" in x:
        query = F.pad(query, (0, 1), value=1.0)
        key = torch.cat([key, -x["log_q_pos"][:, None]], 1)
        negatives = torch.cat([negatives, -x["log_q_neg"][..., None]], 2)
    kinds = {"binary": "binary", "ranking": "ranking", "energy_hinge": "hinge", "energy_softplus": "soft margin"}
    objective = next(kind for start, kind in kinds.items() if name.startswith(start))
    return label_nce(query, key, negatives, objective=objective, margin=p.get("margin", 1.0))


test_golden = golden([Golden("nlp-primer", called)])


def loop(x: Inputs, objective: str, own: bool = False) -> list[float]:
    """With `own`, the negatives are labels of other texts that say something else."""
    q, k = x["query"], x["key"]
    found = []
    for i, text in enumerate(q):
        wrong = [k[j] for j in range(len(k)) if x["group"][j] != x["group"][i]] if own else x["negatives"]
        good, bad = float(text @ k[i]) / 0.3, [float(text @ n) / 0.3 for n in wrong]
        if objective == "ranking":
            found.append(-math.log(math.exp(good) / (math.exp(good) + sum(map(math.exp, bad)))))
        elif objective == "binary":
            found.append(math.log1p(math.exp(-good)) + sum(math.log1p(math.exp(b)) for b in bad))
        elif objective == "hinge":
            found.append(sum(max(0.0, 1 + b - good) for b in bad))
        else:
            found.append(sum(math.log1p(math.exp(b - good)) for b in bad))
    return found


KINDS = OBJECTIVES
REFERENCES = [
    Reference(label_nce, {"temperature": 0.3, "objective": kind}, lambda x, kind=kind, own=own: loop(x, kind, own),
              fed=("group",) if own else ("negatives",))
    for kind in KINDS for own in (False, True)
]  # fmt: skip
test_loop = loops(REFERENCES)


def test_identities() -> None:
    q, k, far = random(6, 4), random(6, 4, seed=1), random(6, 3, 4, seed=2)
    gap = ((q * far[:, 0]).sum(1) - (q * k).sum(1)) / 0.5
    for kind in ("ranking", "soft margin"):
        each = label_nce(q, k, far[:, :1], temperature=0.5, objective=kind, reduction="none")
        torch.testing.assert_close(each, F.softplus(gap))
    assert float(label_nce(0 * q, k, far, objective="binary")) == pytest.approx(4 * math.log(2))
    shift = F.pad(q, (0, 1), value=1.0), F.pad(k, (0, 1), value=-2.5), F.pad(far, (0, 1), value=-2.5)
    torch.testing.assert_close(label_nce(*shift), label_nce(q, k, far))
    near = (9 * q).requires_grad_()
    value = label_nce(near, q, -far.abs() * q[:, None].sign(), objective="hinge", margin=0.1)
    assert value.detach() == 0
    assert torch.autograd.grad(value, near)[0].eq(0).all()
    alone = label_nce(q, k, group=torch.zeros(6, dtype=torch.int64))
    assert float(alone) == 0
    torch.testing.assert_close(label_nce(q, k), losses.cpc(q, k))
    torch.testing.assert_close(label_nce(q, k, k, torch.arange(6) // 6), label_nce(q, k, k))
