import pytest
import torch

from cl_explore.evaluate import ndcg, recall


def test_recall_by_hand():
    query = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    key = torch.tensor([[1.0, 0.1], [1.0, 0.9], [0.0, 2.0]])  # nearest first: of 0: 0 1 2, of 1: 2 1 0, of 2: 1 0 2
    assert [recall(query, key, k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 1])


def test_any_key_of_the_own_id_will_do():
    image = torch.eye(2)
    captions = torch.tensor([[0.0, 1.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.0]])
    assert recall(image, captions, 1, torch.tensor([7, 3]), torch.tensor([7, 7, 3, 3])) == 0
    assert recall(image, captions, 2, torch.tensor([7, 3]), torch.tensor([7, 7, 3, 3])) == 1


def test_unrelated_sides_find_each_other_by_chance():
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1000, 16, generator=generator)
    assert recall(query, key, 100) == pytest.approx(0.1, abs=0.03)


def test_ndcg_by_hand():
    key = torch.tensor([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # in the order of the queries: 1 2 0
    query, first, second = torch.tensor([[1.0, 0.0], [2.0, 0.0]]), [1.0, 0.0, 3.0], [0.0, 2.0, 1.0]
    discount = [1, 1 / torch.log2(torch.tensor(3.0)).item(), 0.5]
    ideal = discount[0] * 3 + discount[1] * 1
    found = (discount[1] * 3 + discount[2] * 1) / ideal
    assert ndcg(query, key, torch.tensor([first, second])) == pytest.approx((found + 1) / 2)
    assert ndcg(query, key, torch.tensor([first, first]), k=2) == pytest.approx(discount[1] * 3 / ideal)


def test_errors_name_what_is_wrong():
    eye = torch.eye(3)
    with pytest.raises(ValueError, match="equally many rows without ids, got 3 and 2"):
        recall(eye, eye[:2], 1)
    with pytest.raises(ValueError, match="key must have 3 features like query, got 2"):
        recall(eye, eye[:, :2], 1)
    with pytest.raises(ValueError, match="k must lie between 1 and 3"):
        recall(eye, eye, 4)
    with pytest.raises(ValueError, match="query_ids and key_ids must be given together"):
        recall(eye, eye, 1, torch.arange(3))
    with pytest.raises(ValueError, match=r"key_ids must be \(3,\), one per row of key, got shape \(2,\)"):
        recall(eye, eye, 1, torch.arange(3), torch.arange(2))
    with pytest.raises(ValueError, match=r"relevance must be \(3, 3\), of each key to each query, got shape \(3,\)"):
        ndcg(eye, eye, torch.arange(3))
    for bad in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="relevance must be finite, got 3 of 3 rows"):
            ndcg(eye, eye, bad * torch.ones(3, 3))
        with pytest.raises(ValueError, match="key must be finite"):
            ndcg(eye, bad * torch.ones(3, 3), eye)
        with pytest.raises(ValueError, match="query must be finite"):
            recall(bad * torch.ones(3, 3), eye, 1)
