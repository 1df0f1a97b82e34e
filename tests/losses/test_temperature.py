"""SogCLR and iSogCLR: one step of the authors' codes, what is stored when, and where temperatures settle."""

import math
from typing import Any

import pytest
import torch
from loops import Inputs, anchors, cosine, e, each_anchor, one, others, random
from proofs import Case, Reference, cases, close, leaves, loops, tensor, views
from torch import Tensor

from cl_explore.losses import ISogCLR, Loss, SogCLR, isogclr, sogclr


def step(case: Case) -> tuple[Tensor, Inputs, Tensor, dict[str, Any], dict[str, Any]]:
    x = {name: leaf for name, leaf in leaves(case).items() if name != "index"}
    return views(x, "x_a", "x_b"), x, torch.tensor(case["inputs"]["index"]), case["params"], case["extra"]


def check_step(value: Tensor, x: Inputs, case: Case) -> None:
    """The codes sum over the two views where we average."""
    close(2 * value, case["loss"])
    (2 * value).backward()
    for name, expected in case["grad"].items():
        close(x[name].grad, expected)


def each(pattern: str) -> pytest.MarkDecorator:
    found = [case for case in cases("sogclr-individual-temperature") if pattern in case["name"]]
    return pytest.mark.parametrize("case", found, ids=lambda case: case["name"])


@each("isogclr")
def test_isogclr_step(case: Case) -> None:
    """One call of the module: loss, gradient and all three numbers of every sample afterwards.

    The codes set gamma to 1 in the first epoch and let a row first met later start from 0.
    """
    z, x, index, p, extra = step(case)
    official = "libauc" not in case["name"]
    before = ("state_before_s", "state_before_tau", "state_before_u")
    after = ("state_after_s", "state_after_tau", "state_after_u")
    if not official:
        before, after = (tuple(f"{part}_{when}" for part in ("u", "tau", "gradtau")) for when in ("before", "after"))
    module = ISogCLR(
        len(extra[before[0]]),
        temperature=p["tau_init" if official else "tau"],
        rho=p["rho"],
        gamma=1.0 if p["epoch"] == 0 else p["gamma"],
        first_visit="zero",
        eta=p["eta_init" if official else "eta"],
        beta=p["beta_u" if official else "beta"],
        low=p["tau_min"],
        high=p["tau_max"],
        clip=3.0 if official else None,
    ).double()
    state = {"log_mean": tensor(extra[before[0]]).log(), "temperature": tensor(extra[before[1]])}
    module.load_state_dict(state | {"momentum": tensor(extra[before[2]])})
    check_step(module(z, index), x, case)
    close(module.log_mean.exp(), extra[after[0]])
    close(module.temperature, extra[after[1]])
    close(module.momentum, extra[after[2]])


@each("libauc_sogclr")
def test_sogclr_step(case: Case) -> None:
    z, x, index, p, extra = step(case)
    gamma = 1.0 if p["epoch"] == 0 else p["gamma"]
    module = SogCLR(len(extra["u_before"]), temperature=p["tau"], gamma=gamma, first_visit="zero").double()
    module.load_state_dict({"log_mean": tensor(extra["u_before"]).log()})
    check_step(module(z, index), x, case)
    close(module.log_mean.exp(), extra["u_after"])


@each("sum_u")
def test_sogclr_step_that_stores_the_sum(case: Case) -> None:
    """This code keeps the sum of the two views' averages, not their mean, and always starts from 0."""
    z, x, index, p, extra = step(case)
    state = tensor(extra["u_before"])
    parts = sogclr.parts(z, state[index].log(), temperature=p["temperature"], gamma=p["gamma"], first_visit="zero")
    check_step(parts["loss"].mean(), x, case)
    state[index] = parts["log_mean"].exp().view(-1, 2).sum(1)
    close(state, extra["u_after"])


@each("isogclr_zhqiu")
def test_isogclr_temperature_gradient(case: Case) -> None:
    z, _, index, p, extra = step(case)
    parts = isogclr.parts(
        z,
        tensor(extra["state_before_s"])[index].log(),
        temperature=tensor(extra["state_before_tau"])[index].repeat_interleave(2),
        rho=p["rho"],
        gamma=1.0 if p["epoch"] == 0 else p["gamma"],
    )
    close(parts["temperature_gradient"].clamp(-3, 3).mean(), extra["mean_grad_tau"])


def loop_sogclr(x: Inputs) -> list[float]:
    """The surrogate with averages of this batch alone: softmax weights times cosines, minus the positive."""
    z = x["z"]

    def value(b: int, v: int) -> float:
        near = [(e(z[b, v], z[j, u]), cosine(z[b, v], z[j, u])) for j, u in others(z, b)]
        return sum(w * s for w, s in near) / sum(w for w, _ in near) - cosine(z[b, v], z[b, 1 - v])

    return each_anchor(z, value)


REFERENCES = [Reference(loss, {"temperature": 0.2}, loop_sogclr) for loss in (sogclr, isogclr)]
test_loop = loops(REFERENCES)


@pytest.mark.parametrize("loss", [sogclr, isogclr])
def test_the_surrogate_has_the_gradient_of_the_objective(loss: Loss) -> None:
    """By z and by the temperature, when the averages are this batch's: finite differences of the part `objective`."""
    z = random(5, 2, 4, seed=1)
    tau = torch.linspace(0.2, 0.7, 10, dtype=torch.float64).requires_grad_()
    loss(z.requires_grad_(), temperature=tau).backward()
    step = 1e-6
    for leaf, gradient in ((z, z.grad), (tau, tau.grad)):
        for i in range(0, leaf.numel(), 3):
            with torch.no_grad():
                found = []
                for sign in (1, -1):
                    leaf.view(-1)[i] += sign * step
                    found.append(loss.parts(z, temperature=tau)["objective"].mean())
                    leaf.view(-1)[i] -= sign * step
            assert gradient is not None
            slope = (found[0] - found[1]) / (2 * step)
            torch.testing.assert_close(gradient.view(-1)[i], slope, atol=1e-8, rtol=1e-6)


def test_moving_average_and_weights_of_sogclr() -> None:
    """With a past average s the weights are e / ((1 - gamma) s + gamma g); a first visit takes g, or gamma g."""
    z = random(4, 2, 4)
    past = torch.tensor([2.0, 0.5, 0.0, 7.0], dtype=torch.float64)
    for first_visit, start in (("sample", 1.0), ("zero", 0.3)):
        parts = sogclr.parts(z, past.log(), temperature=0.2, gamma=0.3, first_visit=first_visit)
        for i, (b, v) in enumerate(anchors(z)):
            near = [(e(z[b, v], z[j, u]), cosine(z[b, v], z[j, u])) for j, u in others(z, b)]
            now = sum(w for w, _ in near) / len(near)
            mean = 0.7 * float(past[b]) + 0.3 * now if past[b] > 0 else start * now
            assert float(parts["log_mean"][i]) == pytest.approx(math.log(mean))
            expected = sum(w * s for w, s in near) / len(near) / mean - cosine(z[b, v], z[b, 1 - v])
            assert float(parts["loss"][i]) == pytest.approx(expected)
    parts = sogclr.parts(z, past.log(), temperature=0.2, gamma=1.0)
    torch.testing.assert_close(parts["loss"], sogclr(z, temperature=0.2, reduction="none"))


@pytest.mark.parametrize("loss", [sogclr, isogclr], ids=lambda loss: loss.name)
def test_a_larger_average_weighs_negatives_less(loss: Loss) -> None:
    """The moving average stands for the negatives the batch does not hold: twice the mean, half the weight."""
    z = random(8, 2, 5, seed=6)
    now = loss.parts(z)["log_mean"]
    twice = now.view(-1, 2).exp()
    past = (2 * twice[:, 0] / 0.5 - twice[:, 0]).log()  # so that (1 - gamma) past + gamma now = 2 now for view 0
    halved = loss.parts(z, past, gamma=0.5)
    plain = loss.parts(z)
    repulsion, whole = (parts["loss"] + parts["positive"] for parts in (halved, plain))
    torch.testing.assert_close(repulsion.view(-1, 2)[:, 0], whole.view(-1, 2)[:, 0] / 2, atol=1e-9, rtol=1e-9)


def test_landmarks() -> None:
    z, far = one(8, 2, 5), -1 / 15
    assert float(sogclr(z)) == pytest.approx(0, abs=1e-12)
    assert float(isogclr.parts(z, rho=0.4, temperature=0.5)["objective"].mean()) == pytest.approx(0.2)
    assert sogclr.bounds(16) == pytest.approx((0, far - 1), abs=1e-12)


def test_the_share_of_a_batch_is_at_most_one() -> None:
    for loss in (sogclr, isogclr):
        with pytest.raises(ValueError, match=r"gamma must be positive and at most 1 and finite, got 1\.1"):
            loss(random(6, 2, 4), gamma=1.1)
