"""MoCHi's mixes and loss against a re-implementation's numbers, by hand and by draws."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from loops import Inputs, cosines, e, log_sum, one, random, unit
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, tensor
from torch import Tensor

from cl_explore.losses import Mixes, draw_mixes, mix_hard_negatives, mochi


def mixes(case: Case) -> Mixes:
    x = case["inputs"]
    return Mixes(
        case["params"]["N_hard"],
        torch.tensor(x["pair_rank_idx"]),
        tensor(x["alpha"]),
        torch.tensor(x["query_rank_idx"]),
        tensor(x["beta"]),
    )


def mochi_call(x: Inputs, case: Case) -> Tensor:
    synthetic = mix_hard_negatives(x["x_q"], x["x_queue"], mixes(case))
    return mochi(x["x_q"], x["x_k"], x["x_queue"], synthetic, temperature=case["params"]["T"])


GOLDEN = [Golden("mochi", mochi_call)]
test_golden = golden(GOLDEN)


def test_synthesis() -> None:
    """The same logits as the re-implementation's, and nothing flows into the synthetic negatives."""
    for case in cases("mochi"):
        x, tau = leaves(case), case["params"]["T"]
        synthetic = mix_hard_negatives(x["x_q"], x["x_queue"], mixes(case))
        assert not synthetic.requires_grad
        real = len(x["x_queue"]) + 1
        query = F.normalize(x["x_q"], dim=-1)
        logits = torch.einsum("nd,nsd->ns", query, synthetic) / tau
        close(logits, [row[real:] for row in case["extra"]["logits"]], case["name"])
        parts = mochi.parts(x["x_q"], x["x_k"], x["x_queue"], synthetic, temperature=tau)
        close(parts["real"].mean(), case["extra"]["loss_without_synthetic"], case["name"])
        nearest = (query @ F.normalize(x["x_queue"], dim=-1).T).topk(case["params"]["N_hard"]).indices
        assert nearest.tolist() == case["extra"]["hard_idx"]


def loop_mochi(x: Inputs) -> list[float]:
    s = [[v / 0.2 for v in row] for row in cosines(x["query"], x["key"])]
    return [log_sum(row) - row[i] for i, row in enumerate(s)]


REFERENCES = [Reference(mochi, {"temperature": 0.2}, loop_mochi)]
test_loop = loops(REFERENCES)


def test_mixes_by_hand() -> None:
    z = random(2, 1, 3)
    queue = random(5, 3, seed=8)
    query = z[:, 0]
    mixes = draw_mixes(2, hardest=3, pairs=4, queries=3, query_share=0.4, generator=torch.Generator().manual_seed(1))
    found = mix_hard_negatives(query, queue, mixes)
    assert found.shape == (2, 7, 3)
    for i in range(2):
        near = sorted((unit(n) for n in queue), key=lambda n: -float(unit(query[i]) @ n))[:3]
        for j in range(4):
            share = float(mixes.pair_shares[i, j])
            first, second = (near[int(mixes.pair_ranks[side, i, j])] for side in (0, 1))
            torch.testing.assert_close(found[i, j], unit(share * first + (1 - share) * second))
        for j in range(3):
            share = float(mixes.query_shares[i, j])
            assert 0 <= share < 0.4
            mixed = share * unit(query[i]) + (1 - share) * near[int(mixes.query_ranks[i, j])]
            torch.testing.assert_close(found[i, 4 + j], unit(mixed))
            assert found[i, 4 + j] @ unit(query[i]) >= near[int(mixes.query_ranks[i, j])] @ unit(query[i])


def test_mixes_are_drawn_by_the_generator_alone_from_the_whole_range() -> None:
    one, two = (
        draw_mixes(400, hardest=4, pairs=2, queries=1, generator=torch.Generator().manual_seed(5)) for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(one[1:], two[1:], strict=True))
    assert one.pair_ranks.unique().tolist() == [0, 1, 2, 3] == one.query_ranks.unique().tolist()
    assert 0.45 < float(one.query_shares.max()) < 0.5 < 0.95 < float(one.pair_shares.max()) < 1


def test_mochi_sums_over_queue_and_synthetic_negatives() -> None:
    z = random(3, 2, 4)
    queue, synthetic = random(5, 4, seed=6), random(3, 4, 4, seed=7)
    each = mochi(z[:, 0], z[:, 1], queue, synthetic, temperature=0.2, reduction="none")
    for i in range(3):
        positive = e(z[i, 0], z[i, 1])
        total = positive + sum(e(z[i, 0], n) for n in [*queue, *synthetic[i]])
        assert float(each[i]) == pytest.approx(-math.log(positive / total))
    free = (z[:, 0].clone().requires_grad_(), z[:, 1].clone().requires_grad_(), queue.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, k, m: mochi(q, k, m, synthetic, temperature=0.2), free)


def test_synthetic_negatives_never_lower_the_loss_and_send_nothing_back() -> None:
    z = random(8, 2, 5, seed=2)
    queue = z.flatten(0, 1).roll(1, -1).requires_grad_()
    query = z[:, 0].clone().requires_grad_()
    recipe = draw_mixes(8, hardest=6, pairs=3, queries=3, generator=torch.Generator().manual_seed(0))
    synthetic = mix_hard_negatives(query, queue, recipe)
    parts = mochi.parts(query, z[:, 1], queue.detach(), synthetic)
    assert (parts["loss"] > parts["real"]).all()
    parts["loss"].sum().backward()
    assert queue.grad is None, "nothing flows through the mixes"
    query.grad = None
    expected = torch.autograd.grad(mochi(query, z[:, 1], queue.detach(), synthetic.clone()), query)[0]
    found = torch.autograd.grad(mochi(query, z[:, 1], queue.detach(), mix_hard_negatives(query, queue, recipe)), query)
    torch.testing.assert_close(found[0], expected, atol=1e-9, rtol=1e-9)


def test_value_of_a_collapsed_batch() -> None:
    z = one(8, 4, 5)
    assert float(mochi(z[:, 0], z[:, 1], z[:5, 0], z)) == pytest.approx(math.log(1 + 5 + 4))
    assert float(mochi(z[:, 0], z[:, 1], None, z)) == pytest.approx(math.log(8 + 4))


def test_mixes_of_another_number_type_and_length() -> None:
    """Queue and query in half precision and of any length: the mixes are of unit length and at least float32."""
    z = torch.randn(6, 2, 4)
    recipe = Mixes(
        2, torch.zeros(2, 6, 3, dtype=torch.long), torch.rand(6, 3), torch.ones(6, 1).long(), torch.rand(6, 1)
    )
    found = mix_hard_negatives(z[:, 0].half() * 30, z.flatten(0, 1).half() / 30, recipe)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(6, 4))


RECIPE = {"hardest": 2, "pairs": 1, "queries": 1, "generator": torch.Generator()}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anchors": 0}, "anchors must be at least 1, got 0"),
        ({"hardest": 0}, "hardest must be at least 1, got 0"),
        ({"pairs": -1}, "pairs must be at least 0, got -1"),
        ({"queries": -1}, "queries must be at least 0"),
        ({"pairs": 0, "queries": 0}, "queries must be at least 0, and"),
        ({"query_share": 1.1}, "query_share must be between 0 and 1, got 1.1"),
    ],
)
def test_wrong_recipes(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw_mixes(**{"anchors": 3} | RECIPE | settings)


def test_what_does_not_fit_together() -> None:
    z = random(6, 2, 4)
    with pytest.raises(ValueError, match="queue must hold at least hardest = 2 negatives, got 1"):
        mix_hard_negatives(z[:, 0], z[:1, 0], draw_mixes(6, **RECIPE))
    with pytest.raises(ValueError, match="mixes must hold a recipe for each of the 4 rows of query, got 6"):
        mix_hard_negatives(z[:4, 0], z[:, 0], draw_mixes(6, **RECIPE))
    with pytest.raises(ValueError, match="key must have at least 2 rows to hold in-batch negatives"):
        mochi(z[:1, 0], z[:1, 1])
