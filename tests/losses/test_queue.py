from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore.losses.queued import NOBODY, Queue


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 20), max_size=8))
def test_holds_the_last_keys_seen_whatever_the_batch_sizes(size, batches):
    queue, last = Queue(size, 3), deque(maxlen=size)
    labels = deque([NOBODY] * size, maxlen=size)
    last.extend(queue.rows.unbind())
    for number, n in enumerate(batches):
        keys = torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(number)), dim=1)
        queue.enqueue(keys, torch.arange(n))
        last.extend(keys.unbind())
        labels.extend(range(n))
    oldest_first = queue.rows.roll(-int(queue.pointer), 0)
    torch.testing.assert_close(oldest_first, torch.stack(list(last)))
    assert queue.labels.roll(-int(queue.pointer)).tolist() == list(labels)


def test_starts_as_random_unit_vectors_and_keeps_keys_of_unit_length():
    queue = Queue(100, 8)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(100))
    assert queue.rows.mean(0).norm() < 0.5
    queue.enqueue(5 * torch.randn(7, 8))
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(100))


def test_is_part_of_the_state_and_carries_no_gradient():
    queue, other = Queue(10, 4), Queue(10, 4)
    queue.enqueue(torch.randn(7, 4, requires_grad=True))
    assert not queue.rows.requires_grad
    other.load_state_dict(queue.state_dict())
    for q in (queue, other):
        q.enqueue(torch.eye(4))
    assert torch.equal(queue.rows, other.rows)
    assert queue.pointer == other.pointer == 1


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1)])
def test_refuses_rows_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"rows must have shape \(n, 4\), got"):
        Queue(10, 4).enqueue(torch.zeros(shape))


def test_refuses_an_empty_queue():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        Queue(0, 4)


def test_refuses_labels_of_another_number():
    with pytest.raises(ValueError, match=r"labels must have shape \(3,\), one for each row, got \(2,\)"):
        Queue(10, 4).enqueue(torch.zeros(3, 4), torch.zeros(2, dtype=torch.long))


def test_keeps_the_views_of_a_sample_together():
    queue, z = Queue(5, 2, 4), torch.randn(3, 2, 4)
    queue.enqueue(z)
    torch.testing.assert_close(queue.rows[:3], torch.nn.functional.normalize(z, dim=2))
    assert queue.labels.tolist() == [NOBODY] * 5, "rows without a label belong to nobody"


def test_the_same_generator_draws_the_same_start_on_its_device():
    first, second = (Queue(5, 4, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first.rows, second.rows)
    with torch.device("meta"):
        assert Queue(5, 4, generator=torch.Generator()).rows.device.type == "cpu"
