"""Views of tokens: the stated share is dropped and masked, padding stays padding."""

import pytest
import torch

from cl_explore.views import MASK, PADDING, TokenParameters, TokenViews


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_tokens_move_up_where_others_are_left_out() -> None:
    x = torch.tensor([[5, 6, 7, 8, 0, 0]])
    drop = torch.tensor([[False, True, False, False, False, False]])
    mask = torch.tensor([[False, False, True, False, True, False]])
    assert TokenViews().apply(x, TokenParameters(drop, mask)).tolist() == [[5, MASK, 8, PADDING, PADDING, PADDING]]


def test_padding_is_kept_and_never_masked() -> None:
    x = torch.randint(2, 99, (50, 12), generator=seeded(1)).masked_fill(torch.arange(12) >= 8, PADDING)
    masked = TokenViews(drop=0, mask=1)(x, seeded()).flatten(0, 1)
    assert (masked[:, :8] == MASK).all()
    assert (masked[:, 8:] == PADDING).all()
    fewer = TokenViews(drop=0.5, mask=0)(x, seeded()).flatten(0, 1)
    words = (fewer != PADDING).sum(1)
    assert (fewer.masked_fill(torch.arange(12) < words[:, None], PADDING) == PADDING).all(), "no padding in between"


def test_order_is_kept_and_one_token_always_stays() -> None:
    x = torch.arange(2, 12).expand(200, 10)
    views = TokenViews(drop=0.7, mask=0)(x, seeded(), 1)[:, 0]
    for row in views.tolist():
        kept = [token for token in row if token != PADDING]
        assert kept == sorted(kept)
    everything = TokenViews(drop=1, mask=0)(x, seeded(), 1)[:, 0]
    assert ((everything != PADDING).sum(1) == 1).all()
    assert len(everything[:, 0].unique()) == 10
    empty = torch.zeros(1, 4, dtype=torch.int64)
    assert torch.equal(TokenViews()(empty, seeded(), 1)[:, 0], empty)


@pytest.mark.parametrize("strength", [1.0, 0.5, 2.0])
def test_shares_are_the_stated_ones(strength: float) -> None:
    drawn = TokenViews(drop=0.2, mask=0.1, strength=strength).parameters(torch.full((500, 100), 7), seeded())
    assert drawn.drop.float().mean().item() == pytest.approx(0.2 * min(strength, 1), rel=0.03)
    assert drawn.mask.float().mean().item() == pytest.approx(0.1 * min(strength, 1), rel=0.05)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"drop and mask are probabilities, at most 1, got 1.5 and 0.1"):
        TokenViews(drop=1.5)
