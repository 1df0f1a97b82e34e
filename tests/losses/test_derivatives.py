"""Derivatives beyond the gradient are right or refused: second ones, forward ones, and those of torch.func."""

from typing import Any

import pytest
import torch
from gpu_stages.inputs import given, temperatures
from roles import LABELLINGS, POINTS, batch, options
from test_gradients import HELD, HOLDS_PARTS, live
from torch import Tensor

from cl_explore import losses
from cl_explore.losses import Knob, Loss, similarity
from cl_explore.losses.knob import Scalar

every_loss = pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
NO_FORMULA = {"rnc", "sepclr", "attribute_alignment"}
"""Losses of `torch.cdist`, which PyTorch differentiates once, backwards."""
ORDERS = dict.fromkeys(NO_FORMULA, 1) | {"listwise_wasserstein": 2}
"""How often a loss can be differentiated; a further derivative is refused."""
IN_BLOCKS = {"supremix", "triplet"}
"""Losses that compute large tables again in the backward pass, which torch.func does not know how to do."""
LOOKS = {"scgc", "shamisa", "proto_nce", "supremix", "attribute_alignment", "focal_supcon", "soft_supcon", "collossl"}
"""Losses that look at values or choose rows by them, which vmap refuses."""


class Call:
    """A loss of the tensors that carry a gradient, their values and directions to move them in."""

    def __init__(self, loss: Loss, **knobs: Any) -> None:
        z, y, generator = batch(3, samples=4, dimensions=4)
        x = given(loss, z, y)
        free = [name for name in x if x[name].is_floating_point() and name not in HELD.get(loss.name, ())]
        self.values = tuple(x[name] for name in free)
        self.along = tuple(torch.randn(v.shape, generator=generator, dtype=v.dtype) for v in self.values)
        self.function = lambda *moved, **turned: loss(**x | dict(zip(free, moved, strict=True)), **knobs, **turned)

    def leaves(self) -> list[Tensor]:
        return [value.clone().requires_grad_() for value in self.values]

    def slope(self) -> Tensor:
        leaves = self.leaves()
        found = torch.autograd.grad(self.function(*leaves), leaves, allow_unused=True, materialize_grads=True)
        return torch.stack([(a * b).sum() for a, b in zip(found, self.along, strict=True)]).sum()


@every_loss
def test_second_derivatives(loss: Loss) -> None:
    """Against finite differences of the gradient, which see through every stop-gradient: those are held below."""
    for knobs in options(loss):
        call = Call(loss, **knobs | live(loss))
        if loss.name in NO_FORMULA:
            leaves = call.leaves()
            (first, *_) = torch.autograd.grad(call.function(*leaves), leaves, create_graph=True)
            with pytest.raises(RuntimeError, match="not implemented"):
                first.square().sum().backward()
        elif loss.name not in HOLDS_PARTS:
            assert torch.autograd.gradgradcheck(call.function, call.leaves(), atol=1e-5, fast_mode=True), knobs


def along(function: Any, values: list[Tensor], directions: list[Tensor], order: int, at: float = 0) -> Tensor:
    """The derivative of this order of the function on the line through the values, at a place on it."""
    leaves = [(value + at * move).requires_grad_() for value, move in zip(values, directions, strict=True)]
    found = function(*leaves)
    for left in range(order, 0, -1):
        slopes = torch.autograd.grad(found, leaves, create_graph=left > 1, allow_unused=True, materialize_grads=True)
        found = torch.stack([(a * b).sum() for a, b in zip(slopes, directions, strict=True)]).sum()
    return found


@every_loss
def test_second_and_third_derivatives_by_knobs_and_tensors_together(loss: Loss) -> None:
    """Against differences of the derivative before, or refused."""
    if loss.name in HOLDS_PARTS:
        return  # see below
    turned = [k for k in loss.knobs if isinstance(k, Knob) and loss._signature.parameters[k.name].annotation == Scalar]
    numbers = [torch.tensor(1.07 * loss.defaults[k.name] + 0.003, dtype=torch.float64) for k in turned]
    for knobs in options(loss):
        fixed = {name: value for name, value in (knobs | live(loss)).items() if name not in {k.name for k in turned}}
        call, count = Call(loss, **fixed), len(turned)

        def value(*moved: Tensor, call: Call = call, count: int = count) -> Tensor:
            rest, turns = moved[: len(moved) - count], moved[len(moved) - count :]
            return call.function(*rest, **{k.name: turn for k, turn in zip(turned, turns, strict=True)})

        values = [*call.values, *numbers]
        still = [torch.zeros_like(one) for one in values]
        places = range(len(call.values), len(values))
        alone = [[*still[:place], torch.ones_like(values[place]), *still[place + 1 :]] for place in places]
        for directions in ([*call.along, *[torch.full_like(number, 0.1) for number in numbers]], *alone):
            for order in (2, 3):
                if order > ORDERS.get(loss.name, 3):
                    with pytest.raises(RuntimeError, match=r"not implemented|cannot be differentiated that"):
                        along(value, values, directions, order)
                    break
                before, after = (along(value, values, directions, order - 1, at) for at in (-1e-5, 1e-5))
                expected = (after - before) / 2e-5
                found = along(value, values, directions, order)
                torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4, msg=lambda m: f"{knobs}: {m}")  # noqa: B023


@every_loss
def test_forward_derivatives_and_those_of_torch_func(loss: Loss) -> None:
    """Equal to the gradient in that direction, whatever is held."""
    for knobs in options(loss):
        call = Call(loss, **knobs)
        expected = call.slope()
        try:
            found = torch.func.jvp(call.function, call.values, call.along)[1]
            torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
        except NotImplementedError:
            assert loss.name in NO_FORMULA
        try:
            gradients = torch.func.grad(call.function, tuple(range(len(call.values))))(*call.values)
        except RuntimeError as error:
            if loss.name not in IN_BLOCKS or "saved tensor hooks" not in str(error):
                raise
        else:
            found = torch.stack([(a * b).sum() for a, b in zip(gradients, call.along, strict=True)]).sum()
            torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)


@every_loss
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_batches_of_batches(loss: Loss) -> None:
    for knobs in options(loss):
        call = Call(loss, **knobs)
        moved = [0.9 * value.flip(0) for value in call.values]
        pairs = [torch.stack(pair) for pair in zip(call.values, moved, strict=True)]
        try:
            found = torch.func.vmap(call.function)(*pairs)
        except RuntimeError as error:
            if loss.name not in LOOKS or "vmap" not in str(error):
                raise
        else:
            torch.testing.assert_close(found, torch.stack([call.function(*call.values), call.function(*moved)]))


@every_loss
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_no_nan_is_made_and_masked_within_the_backward_pass(loss: Loss) -> None:
    ordinary = batch(1, samples=8, dimensions=4)[0].float()
    for z in (ordinary, *POINTS.values()):
        for labelling in LABELLINGS if "labels" in loss.needs else ("two classes",):
            for optional in (True, False):
                for knobs in options(loss) + temperatures(loss, (1e-3,)):
                    x = given(loss, z, LABELLINGS[labelling], optional)
                    x = {n: v.clone().requires_grad_() if v.is_floating_point() else v for n, v in x.items()}
                    try:
                        value = loss(**x, **knobs)
                    except ValueError:
                        continue
                    if value.isfinite():  # 1e30 squared is no number of float32
                        with torch.autograd.detect_anomaly():
                            value.backward()


def hessian(value: Tensor, z: Tensor) -> Tensor:
    """The second derivative of the value by z in a fixed direction."""
    (gradient,) = torch.autograd.grad(value, z, create_graph=True)
    direction = torch.linspace(-1, 1, z.numel(), dtype=z.dtype).view_as(z)
    return torch.autograd.grad((gradient * direction).sum(), z)[0]


def parts_of(z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines (N, N), which pairs are of other samples, and the cosine with the positive (N,), of z (B, 2, D)."""
    x = torch.nn.functional.normalize(z, dim=2).flatten(0, 1)
    sample = torch.arange(len(z)).repeat_interleave(2)
    cosine = x @ x.T
    return cosine, sample[:, None] != sample, cosine[torch.arange(len(x)), torch.arange(len(x)) ^ 1]


def swav_with_held_codes(z: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    code = losses.swav.parts(z, prototypes)["code"].view(len(z), 2, -1).flip(1).flatten(0, 1).detach()
    cosine = torch.nn.functional.normalize(z, dim=2).flatten(0, 1) @ torch.nn.functional.normalize(prototypes, dim=1).T
    return losses.swav(z, prototypes), -(code * (cosine / 0.1).log_softmax(1)).sum(1).mean()


def sogclr_with_held_weights(z: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    cosine, others, positive = parts_of(z)
    weight = (cosine.detach() / 0.3).exp() * others
    past = torch.linspace(-1, 1, len(z), dtype=z.dtype)
    mean = 0.1 * past.exp().repeat_interleave(2) + 0.9 * weight.sum(1) / others.sum(1)
    plain = (weight * cosine).sum(1) / others.sum(1) / mean - positive
    return losses.sogclr(z, past, temperature=0.3, gamma=0.9), plain.mean()


def hard_with_held_weights(z: Tensor, prototypes: Tensor) -> tuple[Tensor, Tensor]:
    cosine, others, positive = parts_of(z)
    weight = (1.7 * cosine.detach() / 0.3).exp() * others
    weight = others.sum(1) * weight / weight.sum(1, keepdim=True)
    negatives = ((weight * (cosine / 0.3).exp()).sum(1) - 0.1 * others.sum(1) * (positive / 0.3).exp()) / 0.9
    plain = -((positive / 0.3).exp() / ((positive / 0.3).exp() + negatives)).log()
    knobs = {"temperature": 0.3, "tau_plus": 0.1, "beta": 1.7, "weight_grad": "detach"}
    assert losses.hard.parts(z, **knobs)["clamped"].sum() == 0
    return losses.hard(z, **knobs), plain.mean()


@pytest.mark.parametrize("case", [swav_with_held_codes, sogclr_with_held_weights, hard_with_held_weights])
def test_what_is_held_is_held_in_second_derivatives_too(case: Any) -> None:
    """The library's loss against the formula with the weights or codes put in as numbers."""
    z = (batch(4, samples=6)[0] + torch.ones(5) * torch.arange(6)[:, None, None] % 2).requires_grad_()
    prototypes = batch(5, samples=4)[0][:, 0].requires_grad_()
    found, plain = case(z, prototypes)
    slopes = [torch.autograd.grad(value, z, retain_graph=True)[0] for value in (found, plain)]
    torch.testing.assert_close(*slopes, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(hessian(found, z), hessian(plain, z), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("loss", [losses.sogclr, losses.isogclr], ids=lambda loss: loss.name)
def test_a_second_derivative_by_the_temperature_of_a_global_contrast_is_refused(loss: Loss) -> None:
    """The gradient by it is handed on as a number, whose slope nobody has written down."""
    z = batch(6)[0].requires_grad_()
    temperature = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    slopes = torch.autograd.grad(loss(z, temperature=temperature), (z, temperature), create_graph=True)
    assert torch.autograd.grad(slopes[0].square().sum(), z, retain_graph=True)[0].isfinite().all()
    for leaf in (z, temperature):
        with pytest.raises(RuntimeError, match="temperature of a global contrastive loss cannot be differentiated"):
            torch.autograd.grad(slopes[1], leaf, retain_graph=True)
    for second in (torch.func.hessian, lambda function: torch.func.jacfwd(torch.func.jacfwd(function))):
        with pytest.raises(RuntimeError, match="temperature of a global contrastive loss cannot be differentiated"):
            second(lambda number: loss(z.detach(), temperature=number))(temperature.detach())


@pytest.mark.parametrize(
    "loss", [losses.sogclr, losses.isogclr, losses.listwise_wasserstein], ids=lambda loss: loss.name
)
def test_what_counts_derivatives_compiles_in_one_graph(loss: Loss) -> None:
    call = Call(loss)
    compiled = torch.compile(call.function, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(*call.values), call.function(*call.values))


def test_held_weights_hold_the_knobs_that_shape_them() -> None:
    z, beta = batch(0)[0], torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.grad(losses.hard(z, beta=beta), beta)[0] != 0
    value = losses.hard(z.requires_grad_(), beta=beta, weight_grad="detach")
    assert torch.autograd.grad(value, beta, allow_unused=True)[0] is None


def test_global_contrast_in_inference_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    z = batch(0)[0]
    for limit in (10**9, 0):
        monkeypatch.setattr(similarity, "_dense_limit", lambda device, limit=limit: limit)
        for loss in (losses.sogclr, losses.isogclr):
            expected = loss(z)
            with torch.inference_mode():
                torch.testing.assert_close(loss(z.clone()), expected)
                losses.SogCLR(8).eval()(z.clone().float(), torch.arange(8))
