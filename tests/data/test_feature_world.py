"""The feature-level twin: factors shared, redrawn and observed as stated."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cl_explore import data
from cl_explore.data import FeatureWorld
from cl_explore.data.feature_world import FACTORS

WORLD = FeatureWorld()
CLEAN = FeatureWorld(noise=0.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_observation_is_the_stated_formula() -> None:
    f = WORLD.sample(50, seeded())
    f["background"][1] = f["background"][0]
    f["object"][1] = f["object"][0]

    def before_tanh(**settings: float) -> torch.Tensor:
        return torch.atanh(FeatureWorld(noise=0.0, **settings).observe(f, seeded()).double())

    content, weak, strong = (before_tanh(nuisance=scale, within=0.1) for scale in (0.0, 0.1, 0.2))
    assert content.shape == (50, 48)
    torch.testing.assert_close(strong - content, 2 * (weak - content), atol=1e-3, rtol=0)
    assert (weak - content).std().item() == pytest.approx(0.1, rel=0.25)
    assert content.std().item() == pytest.approx(1, rel=0.25)
    codes_alone, wide = before_tanh(within=0.0, nuisance=0.3), before_tanh(within=0.2, nuisance=0.3)
    assert torch.equal(codes_alone[0], codes_alone[1]), "same classes, without pose and texture: same vector"
    assert (wide - codes_alone).std().item() == pytest.approx(0.2 * (1 + 0.3**2) ** 0.5, rel=0.1)


def test_noise_and_codes_have_their_own_seeds() -> None:
    f = WORLD.sample(400, seeded())
    noise = WORLD.observe(f, seeded(1)) - CLEAN.observe(f, seeded(1))
    assert noise.std().item() == pytest.approx(0.1, rel=0.02)
    assert not torch.equal(WORLD.observe(f, seeded(1)), WORLD.observe(f, seeded(2)))
    assert not torch.allclose(
        CLEAN.observe(f, seeded()), FeatureWorld(noise=0.0, seed=1).observe(f, seeded()), atol=0.5
    )


@given(changed=st.sets(st.sampled_from(FACTORS)), strength=st.floats(0, 1), by_keep=st.booleans())
@settings(max_examples=30, deadline=None)
def test_vary_keeps_bit_for_bit(changed: set[str], strength: float, by_keep: bool) -> None:
    f = WORLD.sample(30, seeded())
    lists = {"keep": set(FACTORS) - changed} if by_keep else {"resample": changed}
    view = WORLD.vary(f, seeded(1), **lists, strength=strength)
    for name in FACTORS:
        assert view[name].dtype == f[name].dtype
        if name not in changed or strength == 0:
            assert torch.equal(view[name], f[name])


def test_strength_keeps_the_distribution_and_sets_the_correlation() -> None:
    f = WORLD.sample(5000, seeded())
    view = WORLD.vary(f, seeded(1), resample=FACTORS, strength=0.6)
    assert view["pose"].std().item() == pytest.approx(1, abs=0.02)
    assert (view["pose"] * f["pose"]).mean().item() == pytest.approx(0.8, abs=0.02)
    assert (view["object"] != f["object"]).float().mean().item() == pytest.approx(0.6 * 9 / 10, abs=0.02)


def test_fixed_factors_leave_the_other_draws() -> None:
    free, fixed = WORLD.sample(20, seeded()), WORLD.sample(20, seeded(), object=3, pose=torch.zeros(20, 12))
    assert (fixed["object"] == 3).all()
    assert not fixed["pose"].any()
    assert torch.equal(fixed["texture"], free["texture"])


def test_content_and_nuisance_can_be_read_off_the_data() -> None:
    from sklearn.linear_model import LogisticRegression

    train, test = (data.load("factor_world_features", split, n=1500) for split in ("train", "test"))
    assert torch.equal(train.labels, train.factors["object"])
    for name, classes in (("object", 10), ("background", 8)):
        probe = LogisticRegression(max_iter=500).fit(train.x, train.factors[name])
        assert probe.score(test.x, test.factors[name]) > 0.9
        shuffled = test.factors[name][torch.randperm(1500, generator=seeded())]
        assert probe.score(test.x, shuffled) == pytest.approx(1 / classes, abs=0.04)


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="objects must be at least 1, got 0"):
        FeatureWorld(objects=0)
    with pytest.raises(ValueError, match="noise must be at least 0 and finite, got -1"):
        FeatureWorld(noise=-1)
    with pytest.raises(ValueError, match="unknown factor 'shape'"):
        WORLD.vary(WORLD.sample(3, seeded()), seeded(), keep=["shape"])
    with pytest.raises(ValueError, match=r"background must be in \[0, 8\), got 9 to 9"):
        WORLD.sample(3, seeded(), background=9)
    with pytest.raises(ValueError, match=r"pose must be one number or \(3, 12\), got shape \(3,\)"):
        WORLD.sample(3, seeded(), pose=torch.zeros(3))
