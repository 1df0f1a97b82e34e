"""List-wise losses against the authors' numbers, the formula as it stands and closed forms."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import Inputs, inputs, points, random
from proofs import Case, Reference, cases, leaves, loops
from torch import Tensor

from cl_explore.losses import listwise_kl, listwise_wasserstein


@pytest.mark.parametrize("case", cases("listwise-wasserstein"), ids=lambda case: case["name"])
def test_golden(case: Case) -> None:
    """The authors add 1e-15 to the squared singular values, one of which is 0: that makes 6e-8, and no more."""
    scores = leaves(case)["logits"]
    relevance, p = torch.tensor(case["inputs"]["labels"]), case["params"]
    # Scores become inner products with the coordinate axes.
    passages = torch.eye(relevance.numel(), dtype=torch.float64).view(*relevance.shape, -1)
    parts = listwise_wasserstein.parts(scores, passages, relevance, temperature=p["temperature"], normalize=False)
    share = [
        rows.detach().softmax(1)
        for rows in (scores / p["temperature"], torch.tensor(case["inputs"]["labels_block_diag"]).double())
    ]
    centred = [(rows - rows.mean(0)) / (len(rows) - 1) ** 0.5 for rows in share]
    singular = torch.linalg.svdvals(centred[0] @ centred[1].T)
    offset = 2 * ((singular.square() + 1e-15).sqrt() - singular).sum()
    value = parts["loss"].mean()
    torch.testing.assert_close((value - offset).item(), case["loss"], atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(parts["mean_term"][0].item(), case["outputs"]["mean_term"], atol=1e-12, rtol=1e-9)
    value.backward()
    golden = torch.tensor(case["grad"]["logits"], dtype=torch.float64)
    torch.testing.assert_close(scores.grad, golden, atol=1e-8, rtol=1e-8)


def shares_of(x: Inputs, tau: float = 0.3, scale: float = 1.5) -> tuple[Tensor, Tensor]:
    q, d = (torch.tensor(points(x, name), dtype=torch.float64) for name in ("query", "passages"))
    n, k = x["relevance"].shape
    levels = torch.zeros(n, n * k, dtype=torch.float64)
    for i in range(n):
        levels[i, i * k : (i + 1) * k] = scale * x["relevance"][i]
    return (q @ d.T / tau).softmax(1), levels.softmax(1)


def loop_wasserstein(x: Inputs) -> list[float]:
    """The Gaussian formula as it stands, with full covariances and a matrix root by eigenvalues."""
    p, t = shares_of(x)
    sigma_p, sigma_t = torch.cov(p.T), torch.cov(t.T)
    squares = torch.linalg.eigvals(sigma_p @ sigma_t).real
    root = squares[squares > 1e-12].sqrt().sum()  # the others are zeros with rounding errors
    value = (p.mean(0) - t.mean(0)).square().sum() + sigma_p.trace() + sigma_t.trace() - 2 * root
    return [float(value)] * len(p)


def loop_kl(x: Inputs) -> list[float]:
    p, t = shares_of(x)
    return [sum(float(b * (b / a).log()) for a, b in zip(*rows, strict=True)) for rows in zip(p, t, strict=True)]


LISTS = {"temperature": 0.3, "label_scale": 1.5}
REFERENCES = [
    Reference(listwise_wasserstein, LISTS, loop_wasserstein),
    Reference(listwise_kl, LISTS, loop_kl),
]
test_loop = loops(REFERENCES)


def test_wasserstein_of_scores_that_do_not_depend_on_the_query() -> None:
    """|mu_P - mu_T|^2 + tr Sigma_T, and with it the gradient, although the root of Sigma_P Sigma_T has none at 0."""
    x = inputs()
    query = x["query"][:1].expand(6, 4).clone().requires_grad_()
    value = listwise_wasserstein(query, x["passages"], x["relevance"], temperature=0.3, label_scale=1.5)
    unit = torch.nn.functional.normalize(x["passages"], dim=-1).flatten(0, 1)
    p = (torch.nn.functional.normalize(query, dim=1) @ unit.T / 0.3).softmax(1)
    t = shares_of(x)[1]
    expected = (p.mean(0) - t.mean(0)).square().sum() + torch.cov(t.T).trace()
    torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-9)
    gradients = [torch.autograd.grad(side, query)[0] for side in (value, expected)]
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=1e-9)


def test_list_of_equal_scores() -> None:
    x = inputs()
    value = listwise_kl(torch.ones(6, 4), torch.ones(6, 3, 4), x["relevance"], label_scale=1.5)
    t = shares_of(x)[1]
    assert float(value) == pytest.approx(math.log(18) + float((t * t.log()).sum(1).mean()), rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000))
def test_wasserstein_is_a_distance(seed: int) -> None:
    """Never negative, whatever the scores and the levels."""
    x = inputs(seed=seed)
    assert listwise_wasserstein(x["query"], x["passages"], x["relevance"], temperature=0.3) >= -1e-12


def test_one_query_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="query must have at least 2 rows to have a covariance, got 1"):
        listwise_wasserstein(random(1, 4), random(1, 3, 4), torch.ones(1, 3, dtype=torch.long))
