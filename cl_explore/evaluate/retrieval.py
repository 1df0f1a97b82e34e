"""The retrieval probe: does a query find its own among many keys, of another modality perhaps?"""

import math

import torch
from torch import Tensor

from cl_explore.geometry import nearest
from cl_explore.geometry.inputs import points
from cl_explore.given import Array, classes, numbers, require_finite
from cl_explore.takes import Count, takes


@takes
def recall(query: Array, key: Array, k: int, query_ids: Array | None = None, key_ids: Array | None = None) -> float:
    """Recall@k: the share of queries that have a key of their own among the k nearest by cosine.

    query: (N, D), tensor or array
    key: (M, D), likewise; row i is that of query i
    query_ids, key_ids: (N,) and (M,) integers or texts; with them, keys of the same id are a query's own, such as the
        captions of one image or the members of a class
    Raises: ValueError for shapes that do not fit, k outside 1 to M, one of both ids without the other, or numbers that
        are not finite

    >>> recall(torch.eye(3), torch.eye(3).roll(1, 0), 1), recall(torch.eye(3), torch.eye(3), 1)
    (0.0, 1.0)
    """
    q, keys = _sides(query, key)
    if (query_ids is None) != (key_ids is None):
        raise ValueError("query_ids and key_ids must be given together, got one of them")
    if query_ids is None or key_ids is None:
        if len(q) != len(keys):
            raise ValueError(f"query and key must have equally many rows without ids, got {len(q)} and {len(keys)}")
        query_ids = key_ids = torch.arange(len(q), device=q.device)
    given = {"query_ids": query_ids, "key_ids": key_ids}
    found, _ = classes(given, {"query": len(q), "key": len(keys)}, least=-math.inf)
    ids, owners = (part.to(q.device) for part in found)
    return (owners[nearest(q, keys, k).rows] == ids[:, None]).any(1).double().mean().item()


@takes
def ndcg(query: Array, key: Array, relevance: Array, k: Count | None = None) -> float:
    """Normalised discounted cumulative gain of the keys in the order of their cosine with a query, a mean over queries.

    query: (N, D), tensor or array
    key: (M, D), likewise
    relevance: (N, M), of each key to each query, 0 or more; it is the gain itself (not 2^gain - 1)
    k: only the first k keys count
    Perfect: 1, keys in the order of relevance
    Raises: ValueError for shapes that do not fit or numbers that are not finite
    """
    from sklearn.metrics import ndcg_score  # imported here because it takes a second

    q, keys = _sides(query, key)
    if len(keys) < 2:
        raise ValueError(f"key must hold at least 2 rows to be ranked, got {len(keys)}")
    gain = numbers(relevance, "relevance").double()
    if gain.shape != (len(q), len(keys)):
        need = f"({len(q)}, {len(keys)}), of each key to each query"
        raise ValueError(f"relevance must be {need}, got shape {tuple(gain.shape)}")
    require_finite("relevance", gain)
    if gain.min() < 0:
        raise ValueError(f"relevance must be 0 or more, got {gain.min():g}")
    return float(ndcg_score(gain.cpu().numpy(), (q @ keys.T).cpu().numpy(), k=k))


def _sides(query: Array, key: Array) -> tuple[Tensor, Tensor]:
    """Both as unit vectors."""
    q, keys = (points(x, name, normalize=True, least=1).detach() for name, x in (("query", query), ("key", key)))
    if q.shape[1] != keys.shape[1]:
        raise ValueError(f"key must have {q.shape[1]} features like query, got {keys.shape[1]}")
    return q, keys.to(q)
