"""Groups that were found: a data set labelled by them, and its rows group by group."""

import pytest
import torch

from cl_explore.data import load
from cl_explore.data.groups import in_groups, ranked

GROUPS = torch.tensor([5, 2, 5, 9, 2, 5])


def test_groups_take_the_place_of_labels_and_all_else_stays() -> None:
    digits = load("digits", "train").subset(torch.arange(6))
    found = in_groups(digits, GROUPS)
    assert found.labels.tolist() == [1, 0, 1, 2, 0, 1]
    assert found.class_names == ("2", "5", "9")
    assert torch.equal(found.x, digits.x)
    assert torch.equal(found.index, digits.index)


def test_without_a_generator_rows_stand_as_numbered() -> None:
    rows, group, rank, sizes = ranked(GROUPS)
    assert rows.tolist() == [1, 4, 0, 2, 5, 3]
    assert group.tolist() == [0, 0, 1, 1, 1, 2]
    assert rank.tolist() == [0, 1, 0, 1, 2, 0]
    assert sizes.tolist() == [2, 3, 1]


@pytest.mark.parametrize("groups", [GROUPS, torch.zeros(40, dtype=torch.int64), torch.arange(40) % 7])
def test_rows_are_shuffled_within_their_group(groups: torch.Tensor) -> None:
    state = torch.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    plain, orders = ranked(groups), set()
    for _ in range(20):
        rows, *rest = ranked(groups, generator)
        assert rows.sort().values.tolist() == list(range(len(groups)))
        assert torch.equal(groups[rows], groups[plain.rows])
        assert all(torch.equal(one, other) for one, other in zip(rest, plain[1:], strict=True))
        orders.add(tuple(rows.tolist()))
    assert len(orders) > 5
    assert torch.equal(torch.get_rng_state(), state)
    first, again = (ranked(groups, torch.Generator().manual_seed(3)).rows for _ in range(2))
    assert torch.equal(first, again)
