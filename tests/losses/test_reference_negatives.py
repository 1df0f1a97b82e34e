"""The losses of negatives, many views, own temperatures, sorting and structure against loops in float64."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from cl_explore.losses.attraction import cacr, cacr_momentum
from cl_explore.losses.catalogue import Loss
from cl_explore.losses.decoupled import dhel
from cl_explore.losses.mochi import draw_mixes, mix_hard_negatives, mochi
from cl_explore.losses.multiview import mv_dhel, mv_infonce
from cl_explore.losses.negatives import debiased, g_simclr, hard
from cl_explore.losses.sorting import groco, soft_sort
from cl_explore.losses.structure import attribute_alignment, sepclr
from cl_explore.losses.temperature import isogclr, sogclr
from cl_explore.losses.truncation import hard_simple, hard_truncated, simple

Points = list[Tensor]
TAU = 0.2


def points(samples: int = 6, views: int = 2, seed: int = 0, dimensions: int = 4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(samples, views, dimensions, generator=generator, dtype=torch.float64)
    return z, torch.arange(samples) % 3


def unit(z: Tensor) -> Tensor:
    return z / z.norm(dim=-1, keepdim=True)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(unit(a) @ unit(b))


def e(a: Tensor, b: Tensor, tau: float = TAU) -> float:
    return math.exp(cosine(a, b) / tau)


def anchors(z: Tensor) -> list[tuple[int, int]]:
    return [(b, v) for b in range(z.shape[0]) for v in range(z.shape[1])]


def others(z: Tensor, sample: int) -> list[tuple[int, int]]:
    return [(j, u) for j, u in anchors(z) if j != sample]


def each_anchor(z: Tensor, value: Callable[[int, int], float]) -> Tensor:
    return torch.tensor([value(b, v) for b, v in anchors(z)], dtype=torch.float64)


def loop_mv_infonce(z: Tensor, y: Tensor, cross_view: bool = False) -> Tensor:
    def value(b: int, _: int) -> float:
        count = range(z.shape[1])
        top = sum(e(z[b, v], z[b, u]) for v in count for u in count if u != v)
        bottom = sum(
            e(z[b, v], z[j, u]) for v in count for j, u in anchors(z) if (u != v if cross_view else (j, u) != (b, v))
        )
        return math.log(bottom / top)

    return each_anchor(z, value)


def loop_mv_dhel(z: Tensor, y: Tensor) -> Tensor:
    def value(b: int, _: int) -> float:
        count = range(z.shape[1])
        top = sum(e(z[b, v], z[b, u]) for v in count for u in count if v < u)
        energies = [sum(e(z[b, v], z[j, v]) for j in range(len(z)) if j != b) for v in count]
        return sum(map(math.log, energies)) - math.log(top)

    return each_anchor(z, value)


def loop_hard(z: Tensor, y: Tensor, tau_plus: float, beta: float) -> Tensor:
    def value(b: int, v: int) -> float:
        near = [e(z[b, v], z[j, u]) for j, u in others(z, b)]
        positive, n = e(z[b, v], z[b, 1 - v]), len(near)
        mean = sum(x**beta for x in near) / n
        total = sum(x**beta / mean * x for x in near)
        g = max((total - tau_plus * n * positive) / (1 - tau_plus), n * math.exp(-1 / TAU))
        return -math.log(positive / (positive + g))

    return each_anchor(z, value)


def loop_truncated(z: Tensor, y: Tensor, kept: int, simple: bool) -> Tensor:
    def value(b: int, v: int) -> float:
        near = sorted((cosine(z[b, v], z[j, u]) for j, u in others(z, b)), reverse=True)[:kept]
        positive = cosine(z[b, v], z[b, 1 - v])
        if simple:
            return sum(near) / kept - positive
        return math.log(1 + sum(math.exp((s - positive) / TAU) for s in near))

    return each_anchor(z, value)


def loop_g_simclr(z: Tensor, y: Tensor) -> Tensor:
    def value(b: int, v: int) -> float:
        positives = [e(z[b, v], z[b, u]) for u in range(z.shape[1]) if u != v]
        total = sum(positives) + sum(e(z[b, v], z[j, u]) for j, u in others(z, b) if y[j] != y[b])
        return -sum(math.log(p / total) for p in positives) / len(positives)

    return each_anchor(z, value)


def loop_mochi(z: Tensor, y: Tensor) -> Tensor:
    def value(b: int) -> float:
        total = sum(e(z[b, 0], z[j, 1]) for j in range(len(z)))
        return -math.log(e(z[b, 0], z[b, 1]) / total)

    return torch.tensor([value(b) for b in range(len(z))], dtype=torch.float64)


def loop_sogclr(z: Tensor, y: Tensor) -> Tensor:
    """The surrogate with averages of this batch alone: softmax weights times cosines, minus the positive."""

    def value(b: int, v: int) -> float:
        near = [(e(z[b, v], z[j, u]), cosine(z[b, v], z[j, u])) for j, u in others(z, b)]
        return sum(w * s for w, s in near) / sum(w for w, _ in near) - cosine(z[b, v], z[b, 1 - v])

    return each_anchor(z, value)


def loop_cacr(z: Tensor, y: Tensor, later_only: bool, tau_plus: float = 0.0) -> Tensor:
    """alpha 1.5, beta 0.5, tau_pos 2, tau_neg 3."""
    views = z.shape[1]

    def cost(a: Tensor, b: Tensor) -> float:
        return float((unit(a) - unit(b)).square().sum())

    def value(b: int, v: int) -> float:
        far = [cost(z[b, v], z[b, u]) for u in range(views) if u != v]
        weights = [math.exp(2 * c) for c in far]
        total = 1.5 * sum(w * c for w, c in zip(weights, far, strict=True)) / sum(weights)
        for u in range(views):
            if u == v or (later_only and u < v):
                continue
            near = [cost(z[b, v], z[j, u]) for j in range(len(z)) if j != b]
            weights = [math.exp(-3 * c) for c in near]
            push = 0.5 * sum(w * c for w, c in zip(weights, near, strict=True)) / sum(weights)
            push = (push + tau_plus * cost(z[b, v], z[b, u])) / (1 - tau_plus)
            total -= push * (2 if later_only else 1) / (views - 1)
        return total

    return each_anchor(z, value)


def dense_sort(x: Tensor, steepness: float) -> Tensor:
    """The soft permutation as a product of one dense matrix for each layer."""
    n = len(x)
    permutation = torch.eye(n, dtype=x.dtype)
    for layer in range(n):
        matrix = torch.eye(n, dtype=x.dtype)
        for a in range(layer % 2, n - 1, 2):
            keep = 0.5 + torch.atan(steepness * (x[a + 1] - x[a])) / math.pi
            matrix[a : a + 2, a : a + 2] = torch.stack([keep, 1 - keep, 1 - keep, keep]).view(2, 2)
        x, permutation = x @ matrix, permutation @ matrix
    return permutation


def loop_groco(z: Tensor, y: Tensor, hardest: int, steepness: float, first_two: bool = False) -> Tensor:
    views = z.shape[1]

    def value(b: int, v: int) -> float:
        near = sorted(cosine(z[b, v], z[j, v]) for j in range(len(z)) if j != b)[-hardest:]
        given = range(2 if first_two else views)
        far = sorted(cosine(z[b, v], z[b, u]) for u in given if u != v)
        chance = dense_sort(torch.tensor(near + far, dtype=torch.float64), steepness)[:, len(near) :].sum(1)
        target = torch.tensor([0.0] * len(near) + [1.0] * len(far), dtype=torch.float64)
        return float(torch.nn.functional.binary_cross_entropy(chance, target))

    return each_anchor(z, value)


def salient(z: Tensor) -> Tensor:
    """A salient code to go with z: some other numbers, of any length."""
    return z[..., :3] * 1.7 + z.roll(1, -1)[..., :3].sin()


def key(z: Tensor) -> Tensor:
    return z.roll(1, -1).mean(1).detach() + z[:, 0].detach()


def kernel(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().sum()) / 1.6


def loop_sepclr(z: Tensor, y: Tensor) -> Tensor:
    """temperature 0.8, weights 2, 30, 5; the numbers of single samples scaled so that their mean is the term."""
    samples, views, _ = z.shape
    shown = [[salient(z)[b, v] * float(y[b] > 0) for v in range(views)] for b in range(samples)]
    targets = [b for b in range(samples) if y[b] > 0]
    background = [b for b in range(samples) if y[b] == 0]
    rows = range(samples)

    def uniformity(of: Callable[[int], Tensor]) -> float:
        pairs = [math.exp(-kernel(of(i), of(j))) for i in rows for j in rows if i < j]
        return math.log(sum(pairs) / len(pairs))

    def value(b: int, v: int) -> float:
        c = unit(z)
        rest = [u for u in range(views) if u != v]
        total = sum(kernel(c[b, v], c[b, u]) for u in rest) / len(rest) + 2 * uniformity(lambda i: c[i, v])
        total += 4 * uniformity(lambda i: shown[i][v])
        if b in targets:
            pull = sum(kernel(shown[b][v], shown[b][u]) for u in rest) / len(rest)
            total += 2 * pull * samples / len(targets)
        else:
            total += 30 * kernel(salient(z)[b, v], torch.zeros(3)) * samples / len(background)
        joint = [math.exp(-kernel(c[b, v], c[j, v]) - kernel(shown[b][v], shown[j][v])) for j in rows]
        return total + 5 * math.log(sum(joint) / samples)

    return each_anchor(z, value)


def loop_attribute(z: Tensor, y: Tensor) -> Tensor:
    def value(b: int, v: int) -> float:
        pairs = [
            math.exp(-((float(y[b]) - float(y[j])) ** 2) / 4) * float((z[b, v] - z[j, u]).square().sum())
            for j, u in anchors(z)
            if (j, u) != (b, v)
        ]
        return sum(pairs) / len(pairs)

    return each_anchor(z, value)


def loop_momentum(z: Tensor, y: Tensor, euclidean: bool) -> Tensor:
    k = unit(key(z))

    def value(b: int, v: int) -> float:
        far = [math.exp(float((unit(z[b, u]) - k[b]).square().sum()) / TAU) for u in range(z.shape[1])]
        share = far[v] / sum(far) * z.shape[1]
        if not euclidean:
            return share * 2 * TAU * math.log(sum(e(z[b, v], k[j]) for j in range(len(z))) / e(z[b, v], k[b]))
        near = [(e(z[b, v], k[j]), 1 - cosine(z[b, v], k[j])) for j in range(len(z)) if j != b]
        return share * (1 - cosine(z[b, v], k[b]) - sum(w * c for w, c in near) / sum(w for w, _ in near))

    return each_anchor(z, value)


Reference = Callable[[Tensor, Tensor], Tensor]
CACR = {"alpha": 1.5, "beta": 0.5, "tau_pos": 2.0, "tau_neg": 3.0}
SEPCLR = {"temperature": 0.8, "salient_weight": 2.0, "informationless_weight": 30.0, "joint_weight": 5.0}
REFERENCES: list[tuple[Loss, dict[str, Any], int, Reference]] = [
    # loss, knobs, views, loop
    (dhel, {"temperature": TAU}, 2, loop_mv_dhel),
    (mv_dhel, {"temperature": TAU}, 4, loop_mv_dhel),
    (mv_infonce, {"temperature": TAU}, 3, loop_mv_infonce),
    (mv_infonce, {"temperature": TAU, "denominator": "cross_view"}, 3, lambda z, y: loop_mv_infonce(z, y, True)),
    (debiased, {"temperature": TAU, "tau_plus": 0.05}, 2, lambda z, y: loop_hard(z, y, 0.05, 0)),
    (debiased, {"temperature": TAU, "tau_plus": 0.6}, 2, lambda z, y: loop_hard(z, y, 0.6, 0)),
    (hard, {"temperature": TAU, "tau_plus": 0.05, "beta": 1.5}, 2, lambda z, y: loop_hard(z, y, 0.05, 1.5)),
    (hard_truncated, {"temperature": TAU, "alpha": 0.3}, 2, lambda z, y: loop_truncated(z, y, 3, False)),
    (hard_simple, {"alpha": 0.3}, 2, lambda z, y: loop_truncated(z, y, 3, True)),
    (simple, {}, 2, lambda z, y: loop_truncated(z, y, 10, True)),
    (g_simclr, {"temperature": TAU}, 2, loop_g_simclr),
    (g_simclr, {"temperature": TAU}, 3, loop_g_simclr),
    (mochi, {"temperature": TAU}, 2, loop_mochi),
    (sogclr, {"temperature": TAU}, 2, loop_sogclr),
    (isogclr, {"temperature": TAU}, 2, loop_sogclr),
    (cacr, CACR, 3, lambda z, y: loop_cacr(z, y, True)),
    (cacr, CACR | {"pairs": "all", "tau_plus": 0.2}, 3, lambda z, y: loop_cacr(z, y, False, 0.2)),
    (groco, {"hardest": 3, "steepness": 5.0}, 2, lambda z, y: loop_groco(z, y, 3, 5)),
    (groco, {"hardest": 10, "steepness": 2.0}, 4, lambda z, y: loop_groco(z, y, 10, 2)),
    (groco, {"hardest": 4, "positives": "first_two"}, 4, lambda z, y: loop_groco(z, y, 4, 1, first_two=True)),
    (sepclr, SEPCLR, 2, loop_sepclr),
    (sepclr, SEPCLR, 3, loop_sepclr),
    (attribute_alignment, {"bandwidth": 2.0}, 2, loop_attribute),
    (cacr_momentum, {"temperature": TAU}, 3, lambda z, y: loop_momentum(z, y, False)),
    (cacr_momentum, {"temperature": TAU, "cost": "euclidean"}, 3, lambda z, y: loop_momentum(z, y, True)),
]


def call(loss: Loss, z: Tensor, y: Tensor, **kwargs: Any) -> Tensor:
    """The loss on views, the tensors beside z and labels made from z."""
    extra = {"salient": salient, "key": key, "targets": lambda z: y.to(z.dtype)}
    if "query" in loss.needs or not set(loss.needs) - {"z", "labels"}:
        return loss.on_views(z, y, **kwargs)
    given = {name: extra[name](z) if name in extra else y for name in loss.needs if name != "z"}
    return loss(z, **given, **kwargs)


@pytest.mark.parametrize(("loss", "knobs", "views", "loop"), REFERENCES)
def test_per_anchor_values_equal_the_loop(loss: Loss, knobs: dict[str, Any], views: int, loop: Reference) -> None:
    z, y = points(views=views)
    torch.testing.assert_close(call(loss, z, y, reduction="none", **knobs), loop(z, y), atol=1e-12, rtol=1e-10)


HOLDS_WEIGHTS = {"sogclr", "isogclr", "cacr_momentum"}
LIVE = {"weight_grad": "live", "key_grad": "live"}


@pytest.mark.parametrize(
    ("loss", "knobs", "views"), [row[:3] for row in REFERENCES if row[0].name not in HOLDS_WEIGHTS]
)
def test_gradient(loss: Loss, knobs: dict[str, Any], views: int) -> None:
    z, y = points(5, views, seed=3)
    knobs = knobs | {switch: value for switch, value in LIVE.items() if switch in loss.defaults}
    assert torch.autograd.gradcheck(lambda z: call(loss, z, y, **knobs), z.requires_grad_(), atol=1e-6)


@pytest.mark.parametrize(
    "loss", [dhel, mv_dhel, mv_infonce, debiased, hard, hard_truncated, g_simclr, mochi, sepclr, cacr_momentum]
)
@pytest.mark.parametrize("per_anchor", [False, True])
def test_gradient_to_the_temperature(loss: Loss, per_anchor: bool) -> None:
    z, y = points(5, 2, seed=4)
    count = len(call(loss, z, y, reduction="none")) if per_anchor else 1
    temperature = torch.linspace(0.3, 0.6, count, dtype=torch.float64).requires_grad_()

    def value(t: Tensor) -> Tensor:
        return call(loss, z[:, :1] if loss is cacr_momentum else z, y, temperature=t if per_anchor else t[0])

    if loss is cacr_momentum and per_anchor:
        temperature = temperature[:5].detach().requires_grad_()
    assert torch.autograd.gradcheck(value, temperature)


@pytest.mark.parametrize("loss", [sogclr, isogclr])
def test_the_surrogate_has_the_gradient_of_the_objective(loss: Loss) -> None:
    """By z and by the temperature, when the averages are this batch's: finite differences of the part `objective`."""
    z, _ = points(5, seed=1)
    tau = torch.linspace(0.2, 0.7, 10, dtype=torch.float64).requires_grad_()
    loss(z.requires_grad_(), temperature=tau).backward()
    step = 1e-6
    for tensor, gradient in ((z, z.grad), (tau, tau.grad)):
        for i in range(0, tensor.numel(), 3):
            with torch.no_grad():
                found = []
                for sign in (1, -1):
                    tensor.view(-1)[i] += sign * step
                    found.append(loss.parts(z, temperature=tau)["objective"].mean())
                    tensor.view(-1)[i] -= sign * step
            assert gradient is not None
            slope = (found[0] - found[1]) / (2 * step)
            torch.testing.assert_close(gradient.view(-1)[i], slope, atol=1e-8, rtol=1e-6)


def test_anatomy_of_kept_and_masked_negatives() -> None:
    z, _ = points()
    parts = hard_truncated.parts(z, alpha=0.3)
    near = [sorted((cosine(z[b, v], z[j, u]) for j, u in others(z, b)), reverse=True) for b, v in anchors(z)]
    assert parts["threshold"].tolist() == pytest.approx([row[2] for row in near])
    assert g_simclr.parts(z, torch.tensor([0, 0, 0, 1, 1, 2]))["masked"].tolist() == [4] * 6 + [2] * 4 + [0] * 2
    assert simple.parts(z)["negative"].tolist() == pytest.approx([sum(row) / 10 for row in near])
    floor = debiased.parts(z, temperature=TAU, tau_plus=0.6)
    assert 0 < float(floor["clamped"].mean()) < 1
    assert (floor["negatives"] >= math.log(10) - 1 / TAU).all()
    order = groco.parts(z, hardest=3, steepness=1e9)
    for i, (b, v) in enumerate(anchors(z)):
        above = sum(cosine(z[b, v], z[j, v]) > cosine(z[b, v], z[b, 1 - v]) for j in range(6) if j != b)
        assert float(order["misordered"][i]) == min(above, 3)
        assert float(order["misplaced"][i]) == pytest.approx(float(above > 0), abs=1e-6)


def test_attributes_of_several_dimensions() -> None:
    z, y = points(6, 1)
    targets = torch.stack([y, y.flip(0)], 1).double()
    each = attribute_alignment(z, targets, bandwidth=2.0, reduction="none")
    for i in range(6):
        gaps = [(targets[i] - targets[j]).square().sum() for j in range(6) if j != i]
        distances = [(z[i] - z[j]).square().sum() for j in range(6) if j != i]
        expected = sum((-gap / 4).exp() * d for gap, d in zip(gaps, distances, strict=True)) / 5
        torch.testing.assert_close(each[i], expected)
    torch.testing.assert_close(attribute_alignment(z, targets[:, :1]), attribute_alignment(z, targets[:, 0]))


def test_hard_with_held_weights() -> None:
    """The gradient of the sum written out with a table of weights that are constants; the value does not change."""
    z, _ = points(5, seed=2)
    z.requires_grad_()
    x, sample = unit(z).flatten(0, 1), torch.arange(5).repeat_interleave(2)
    s = (x @ x.T / TAU).masked_fill(sample[:, None] == sample, -torch.inf)
    weight = 8 * (1.5 * s).softmax(1).detach()
    pull = (unit(z[:, 0]) * unit(z[:, 1])).sum(1).repeat_interleave(2) / TAU
    g = ((weight * s.exp()).sum(1) - 0.05 * 8 * pull.exp()) / 0.95
    assert (g > 8 * math.exp(-1 / TAU)).all(), "the floor is tested elsewhere"
    expected = (torch.log(pull.exp() + g) - pull).mean()
    value = hard(z, temperature=TAU, tau_plus=0.05, beta=1.5, weight_grad="detach")
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(torch.autograd.grad(value, z), torch.autograd.grad(expected, z))
    torch.testing.assert_close(value, hard(z, temperature=TAU, tau_plus=0.05, beta=1.5))


def test_cacr_live_weights_attract_far_negatives_and_held_ones_never_do() -> None:
    """By a negative's cost the derivative is pi (1 - tau (c - mean)) times the push: it turns beyond 1 / tau."""
    angles = torch.tensor([0.0, 0.4, 0.8, 3.0], dtype=torch.float64)
    z = torch.stack([angles.cos(), angles.sin()], 1)[:, None].repeat(1, 2, 1)
    for switch, sign in (("live", 1.0), ("detach", -1.0)):
        leaf = z.clone().requires_grad_()
        parts = cacr.parts(leaf, tau_neg=5.0, weight_grad=switch)
        first = parts["repulsion"].view(4, 2)[0, 0]
        (gradient,) = torch.autograd.grad(first, leaf)
        away = (z[3, 1] - z[0, 0]) / (z[3, 1] - z[0, 0]).norm()
        tangent = away - (away @ z[3, 1]) * z[3, 1]
        assert math.copysign(1, float(gradient[3, 1] @ tangent)) == sign
        held = parts["negative_weight"].view(4, 2, 2, 4)[0, 0, 1].detach()
        cost = parts["negative_cost"].view(4, 2, 2, 4)[0, 0, 1].detach()
        derivative = held * (1 - 5 * (cost - held @ cost)) if switch == "live" else held
        towards = (2 * derivative[3] * (z[0, 0] - z[3, 1])) @ tangent
        torch.testing.assert_close(gradient[3, 1] @ tangent, towards)


def test_soft_sort_is_a_product_of_dense_layers() -> None:
    x = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    numbers, permutation = soft_sort(x, 3.0)
    for row, found, mixed in zip(x.flatten(0, 1), permutation.flatten(0, 1), numbers.flatten(0, 1), strict=True):
        torch.testing.assert_close(found, dense_sort(row, 3.0))
        torch.testing.assert_close(row @ found, mixed)
    assert torch.autograd.gradcheck(lambda x: soft_sort(x, 3.0), x.requires_grad_())


def test_mixes_by_hand() -> None:
    z, _ = points(2, 1, dimensions=3)
    queue = points(5, 1, seed=8, dimensions=3)[0][:, 0]
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
    z, _ = points(3)
    queue, synthetic = points(5, 1, seed=6)[0][:, 0], points(3, 4, seed=7)[0]
    each = mochi(z[:, 0], z[:, 1], queue, synthetic, temperature=TAU, reduction="none")
    for i in range(3):
        positive = e(z[i, 0], z[i, 1])
        total = positive + sum(e(z[i, 0], n) for n in [*queue, *synthetic[i]])
        assert float(each[i]) == pytest.approx(-math.log(positive / total))
    free = (z[:, 0].clone().requires_grad_(), z[:, 1].clone().requires_grad_(), queue.requires_grad_())
    assert torch.autograd.gradcheck(lambda q, k, m: mochi(q, k, m, synthetic, temperature=TAU), free)


def test_moving_average_and_weights_of_sogclr() -> None:
    """With a past average s the weights are e / ((1 - gamma) s + gamma g); a first visit takes g, or gamma g."""
    z, _ = points(4)
    past = torch.tensor([2.0, 0.5, 0.0, 7.0], dtype=torch.float64)
    for first_visit, start in (("sample", 1.0), ("zero", 0.3)):
        parts = sogclr.parts(z, past.log(), temperature=TAU, gamma=0.3, first_visit=first_visit)
        for i, (b, v) in enumerate(anchors(z)):
            near = [(e(z[b, v], z[j, u]), cosine(z[b, v], z[j, u])) for j, u in others(z, b)]
            now = sum(w for w, _ in near) / len(near)
            mean = 0.7 * float(past[b]) + 0.3 * now if past[b] > 0 else start * now
            assert float(parts["log_mean"][i]) == pytest.approx(math.log(mean))
            expected = sum(w * s for w, s in near) / len(near) / mean - cosine(z[b, v], z[b, 1 - v])
            assert float(parts["loss"][i]) == pytest.approx(expected)
    parts = sogclr.parts(z, past.log(), temperature=TAU, gamma=1.0)
    torch.testing.assert_close(parts["loss"], sogclr(z, temperature=TAU, reduction="none"))
