from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore import nn


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 9), st.lists(st.integers(0, 20), max_size=8))
def test_holds_the_last_keys_seen_whatever_the_batch_sizes(size, batches):
    queue, last = nn.Queue(size, 3), deque(maxlen=size)
    last.extend(queue.keys.unbind())
    for number, n in enumerate(batches):
        keys = torch.nn.functional.normalize(torch.randn(n, 3, generator=torch.Generator().manual_seed(number)), dim=1)
        queue.enqueue(keys)
        last.extend(keys.unbind())
    oldest_first = queue.keys.roll(-int(queue.pointer), 0)
    torch.testing.assert_close(oldest_first, torch.stack(list(last)))


def test_starts_as_random_unit_vectors_and_keeps_keys_of_unit_length():
    queue = nn.Queue(100, 8)
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(100))
    assert queue.keys.mean(0).norm() < 0.5
    queue.enqueue(5 * torch.randn(7, 8))
    torch.testing.assert_close(queue.keys.norm(dim=1), torch.ones(100))


def test_is_part_of_the_state_and_carries_no_gradient():
    queue, other = nn.Queue(10, 4), nn.Queue(10, 4)
    queue.enqueue(torch.randn(7, 4, requires_grad=True))
    assert not queue.keys.requires_grad
    other.load_state_dict(queue.state_dict())
    for q in (queue, other):
        q.enqueue(torch.eye(4))
    assert torch.equal(queue.keys, other.keys)
    assert queue.pointer == other.pointer == 1


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 4, 1)])
def test_refuses_keys_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"keys must have shape \(n, 4\), got"):
        nn.Queue(10, 4).enqueue(torch.zeros(shape))


def test_refuses_an_empty_queue():
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        nn.Queue(0, 4)
