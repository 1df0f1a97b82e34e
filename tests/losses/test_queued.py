"""MoCo and NNCLR against the authors' numbers and loops, and the queue they look into and then fill."""

import math
from collections import deque

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, cosines, log_sum, one, random, simplex, unit
from proofs import Case, Golden, Reference, cases, close, golden, leaves, loops, tensor, views
from torch import Tensor

from cl_explore.losses import NNCLR, MoCo, moco, nnclr
from cl_explore.losses.queued import NOBODY, Queue


def moco_call(x: Inputs, case: Case) -> Tensor:
    return moco(x["query"], x["key"], x["queue"].T, temperature=case["params"]["temperature"])


def nnclr_call(x: Inputs, case: Case) -> Tensor:
    """One direction is two views that are the same."""
    z = views(x, "z0", "z1") if "z0" in x else torch.stack([x["z"]] * 2, 1)
    prediction = views(x, "p0", "p1") if "p0" in x else torch.stack([x["p"]] * 2, 1)
    return nnclr(z, prediction, x["queue"], temperature=case["params"]["temperature"])


GOLDEN = [
    Golden("moco", moco_call, lambda case: case["name"].startswith("loss only")),  # the step is tested below
    Golden("nnclr", nnclr_call),
]
test_golden = golden(GOLDEN)


def test_a_full_step_of_moco() -> None:
    """Momentum update first, then the keys, logits against the old queue, then the keys into the queue."""
    case = cases("moco", "K8")[0]
    x, p, expected = leaves(case), case["params"], case["outputs"]
    criterion = MoCo(p["K"], 3, temperature=p["temperature"]).double()
    criterion.queue.rows.copy_(x["queue"].detach().T)
    criterion.queue.pointer.copy_(x["ptr"].detach().long())
    weight_k = p["m"] * x["weight_k"] + (1 - p["m"]) * x["weight_q"].detach()
    value = criterion(x["x_q"] @ x["weight_q"].T, x["x_k"] @ weight_k.T)
    close(value, case["loss"])
    value.backward()
    close(x["weight_q"].grad, case["grad"]["weight_q"])
    assert x["weight_k"].grad is None
    close(criterion.queue.rows, tensor(expected["queue_after"]).T.tolist())
    assert int(criterion.queue.pointer) == expected["ptr_after"]


def loop_moco(x: Inputs) -> list[float]:
    own, far = cosines(x["query"], x["key"]), cosines(x["query"], x["queue"])
    return [log_sum([own[i][i] / 0.3, *(s / 0.3 for s in far[i])]) - own[i][i] / 0.3 for i in range(6)]


def loop_nnclr(x: Inputs) -> list[float]:
    z, p, queue = unit(x["z"]), unit(x["prediction"]), unit(x["queue"])
    out = []
    for b in range(6):
        for v in (0, 1):
            neighbour = max(queue, key=lambda u: float(z[b, v] @ u))
            s = [float(neighbour @ p[j, 1 - v]) / 0.3 for j in range(6)]
            out.append(log_sum(s) - s[b])
    return out


REFERENCES = [
    Reference(moco, {"temperature": 0.3}, loop_moco),
    Reference(nnclr, {"temperature": 0.3}, loop_nnclr),
]
test_loop = loops(REFERENCES)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_moco_sees_the_old_queue_and_then_writes() -> None:
    criterion = MoCo(7, 4, temperature=0.2, generator=seeded())
    before = criterion.queue.rows.clone()
    query, key = random(3, 4, seed=1).float(), random(3, 4, seed=2).float()
    torch.testing.assert_close(criterion(query, key), moco(query, key, before, temperature=0.2))
    torch.testing.assert_close(criterion.queue.rows[:3], F.normalize(key, dim=1))
    assert torch.equal(criterion.queue.rows[3:], before[3:])
    assert int(criterion.queue.pointer) == 3


def test_nnclr_looks_up_and_then_writes_the_first_view() -> None:
    criterion = NNCLR(7, 4, temperature=0.2, generator=seeded())
    before = criterion.queue.rows.clone()
    z, prediction = random(3, 2, 4, seed=1).float(), random(3, 2, 4, seed=2).float()
    torch.testing.assert_close(criterion(z, prediction), nnclr(z, prediction, before, temperature=0.2))
    torch.testing.assert_close(criterion.queue.rows[:3], F.normalize(z[:, 0], dim=1))
    again = nnclr.parts(z.requires_grad_(), prediction, criterion.queue.rows)["neighbour"].view(3, 2)
    assert not again.requires_grad
    torch.testing.assert_close(again[:, 0], torch.ones(3))  # in the next step it would be its own neighbour
    with pytest.raises(ValueError, match=r"(shape|dim) must be at least 1, got 0"):
        NNCLR(4, 0)


@pytest.mark.parametrize("batch", [1, 3, 7, 10])
def test_the_queue_of_moco_is_first_in_first_out(batch: int) -> None:
    """After nine batches of any size the queue holds exactly the last 7 keys."""
    criterion, keys = MoCo(7, 4), random(9 * batch, 4).float()
    for part in keys.split(batch):
        criterion(part.roll(1, 1), part)
    found = (criterion.queue.rows @ F.normalize(keys, dim=1).T).max(1)
    torch.testing.assert_close(found.values, torch.ones(7))
    assert sorted(found.indices.tolist()) == list(range(len(keys) - 7, len(keys)))


def test_nothing_flows_into_keys_or_queue() -> None:
    criterion = MoCo(7, 4)
    query, key = random(3, 4).float().requires_grad_(), random(3, 4, seed=1).float().requires_grad_()
    criterion(query, key).backward()
    assert key.grad is None
    assert not criterion.queue.rows.requires_grad


def test_landmarks() -> None:
    z = one(8, 2, 4)
    assert float(moco(z[:, 0], z[:, 1], one(11, 4))) == pytest.approx(math.log(12))
    assert float(nnclr(z, z, one(11, 4))) == pytest.approx(math.log(8))
    w = simplex(8)
    both, contrast = w[:, None].expand(8, 2, 8), math.log1p(7 * math.exp((-1 / 7 - 1) / 0.3))
    assert float(nnclr(both, both, w, temperature=0.3)) == pytest.approx(contrast)


def test_a_queue_of_another_dimension() -> None:
    with pytest.raises(ValueError, match=r"queue must have shape \(K, D\) with D = 4"):
        MoCo(4, 3)(random(5, 4), random(5, 4))
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        MoCo(0, 4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 20), max_size=8))
def test_a_queue_holds_the_last_keys_seen_whatever_the_batch_sizes(size: int, batches: list[int]) -> None:
    queue, last = Queue(size, 3), deque(maxlen=size)
    labels = deque([NOBODY] * size, maxlen=size)
    last.extend(queue.rows.unbind())
    for number, n in enumerate(batches):
        keys = F.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(number)), dim=1)
        queue.enqueue(keys, torch.arange(n))
        last.extend(keys.unbind())
        labels.extend(range(n))
    oldest_first = queue.rows.roll(-int(queue.pointer), 0)
    torch.testing.assert_close(oldest_first, torch.stack(list(last)))
    assert queue.labels.roll(-int(queue.pointer)).tolist() == list(labels)


def test_a_queue_starts_as_random_unit_vectors_and_keeps_keys_of_unit_length() -> None:
    queue = Queue(100, 8)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(100))
    assert queue.rows.mean(0).norm() < 0.5
    queue.enqueue(5 * torch.randn(7, 8))
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(100))


def test_a_queue_is_part_of_the_state_and_carries_no_gradient() -> None:
    queue, other = Queue(10, 4), Queue(10, 4)
    queue.enqueue(torch.randn(7, 4, requires_grad=True))
    assert not queue.rows.requires_grad
    other.load_state_dict(queue.state_dict())
    for q in (queue, other):
        q.enqueue(torch.eye(4))
    assert torch.equal(queue.rows, other.rows)
    assert queue.pointer == other.pointer == 1


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1)])
def test_a_queue_refuses_rows_of_another_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"rows must have shape \(n, 4\), got"):
        Queue(10, 4).enqueue(torch.zeros(shape))


def test_no_queue_is_empty() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Queue(0, 4)


def test_a_queue_refuses_labels_of_another_number() -> None:
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\), one for each row, got \(2,\)"):
        Queue(10, 4).enqueue(torch.zeros(3, 4), torch.zeros(2, dtype=torch.long))


def test_a_queue_keeps_the_views_of_a_sample_together() -> None:
    queue, z = Queue(5, 2, 4), torch.randn(3, 2, 4)
    queue.enqueue(z)
    torch.testing.assert_close(queue.rows[:3], F.normalize(z, dim=2))
    assert queue.labels.tolist() == [NOBODY] * 5, "rows without a label belong to nobody"


def test_the_same_generator_draws_the_same_start_on_its_device() -> None:
    first, second = (Queue(5, 4, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.rows, second.rows)
    with torch.device("meta"):
        assert Queue(5, 4, generator=torch.Generator()).rows.device.type == "cpu"
