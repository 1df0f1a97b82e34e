"""Every loss answers every wrong argument with an error that names the argument, what came and what is needed."""

import inspect
from typing import Any

import pytest
import torch

from cl_explore import losses
from cl_explore.losses import Choice, Knob, Loss
from cl_explore.losses.arguments import ROLES

FIRST = {"z": torch.randn(6, 2, 4), "labels": torch.arange(6) % 2, "query": torch.randn(6, 4), "key": torch.randn(6, 4)}
FIRST["negatives"] = torch.randn(5, 4)


WRONG_NAMES = {"z", "labels", "query", "key"}
# Losses of other arguments have their own tables of wrong ones.
OF_VIEWS = {name: loss for name, loss in losses.catalogue.items() if loss.fits(2) and set(loss.needs) <= WRONG_NAMES}
every_loss = pytest.mark.parametrize("loss", OF_VIEWS.values(), ids=OF_VIEWS)


def arguments(loss: Loss) -> dict[str, Any]:
    return {name: FIRST[name] for name in loss.needs}


WRONG: dict[str, list[tuple[Any, type[Exception], str]]] = {
    # argument: (what comes, the error, what its message must say)
    "z": [
        ([[1.0, 2.0]], TypeError, "torch.Tensor, got list"),
        (torch.ones(6, 2, 4, dtype=torch.long), TypeError, "floating point, got torch.int64"),
        (torch.randn(6, 2, 4, 1), ValueError, r"shape \(B, V, D\).*got \(6, 2, 4, 1\)"),
        (torch.randn(4), ValueError, r"shape .*got \(4,\)"),
        (torch.randn(1, 2, 4), ValueError, "at least 2 samples"),
        (torch.randn(6, 2, 0), ValueError, r"\(B, V, D\), no size 0; got \(6, 2, 0\)"),
    ],
    "labels": [
        ([0, 1], TypeError, "torch.Tensor, got list"),
        (torch.rand(6), TypeError, "integers"),
        (torch.ones(6, dtype=torch.bool), TypeError, "integers"),
        (torch.arange(5), ValueError, r"shape \(B\) with B = 6, .*got \(5,\)"),
        (torch.zeros(6, 1, dtype=torch.long), ValueError, r"shape \(B\) with B = 6"),
        (torch.arange(6) - 1, ValueError, "0 or larger, got -1"),
    ],
    "query": [
        (None, TypeError, "torch.Tensor, got NoneType"),
        (torch.randn(6, 2, 4), ValueError, r"\(N, D\)"),
    ],
    "key": [
        (torch.randn(5, 4), ValueError, r"\(N, D\) with N = 6 and D = 4"),
        (torch.randn(6, 3), ValueError, r"\(N, D\) with N = 6 and D = 4"),
        (torch.arange(24).view(6, 4), TypeError, "floating point"),
    ],
}


def table() -> list[Any]:
    rows = []
    for loss in OF_VIEWS.values():
        for name in loss.needs:
            for value, error, message in WRONG[name]:
                rows.append(pytest.param(loss, {name: value}, error, message, id=f"{loss.name}-{name}-{message}"))
        for knob in loss.knobs:
            for value in ["often", None, True] if isinstance(knob, Knob) else ["often", None, 1]:
                error = TypeError if isinstance(knob, Knob) else ValueError
                rows.append(
                    pytest.param(loss, {knob.name: value}, error, knob.name, id=f"{loss.name}-{knob.name}-{value}")
                )
            if isinstance(knob, Knob):
                low = 0.0 if knob.log else knob.minimum - 1
                for value in [low, float("nan"), float("inf")]:
                    case = pytest.param(
                        loss, {knob.name: value}, ValueError, knob.name, id=f"{loss.name}-{knob.name}-{value}"
                    )
                    rows.append(case)
    return rows


@pytest.mark.parametrize(("loss", "wrong", "error", "message"), table())
def test_wrong_argument(loss: Loss, wrong: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        loss(**arguments(loss) | wrong)
    assert next(iter(wrong)) in str(caught.value)


@every_loss
def test_missing_and_unknown_arguments(loss: Loss) -> None:
    with pytest.raises(TypeError, match=rf"{loss.name}\(\): missing"):
        loss()
    with pytest.raises(TypeError, match="tmperature"):
        loss(**arguments(loss), tmperature=0.1)
    with pytest.raises(ValueError, match="reduction must be 'mean' or 'none', got 'sum'"):
        loss(**arguments(loss), reduction="sum")


@pytest.mark.parametrize("name", ["nt_xent", "dcl", "dclw", "alignment", "align_uniform"])
def test_losses_of_views_need_views(name: str) -> None:
    loss = losses.get(name)
    with pytest.raises(ValueError, match=r"at least 2 views|exactly 2 views"):
        loss(torch.randn(6, 1, 4))
    with pytest.raises(ValueError, match=r"z must have shape \(B, V, D\)"):
        loss(torch.randn(6, 4))


@pytest.mark.parametrize("name", ["dcl", "dclw"])
def test_decoupled_losses_take_two_views_only(name: str) -> None:
    with pytest.raises(ValueError, match="exactly 2 views"):
        losses.get(name)(torch.randn(6, 3, 4))


@pytest.mark.parametrize("name", ["supcon", "supcon_in"])
def test_no_positives(name: str) -> None:
    loss = losses.get(name)
    with pytest.raises(ValueError, match="at least one anchor needs a positive"):
        loss(torch.randn(6, 4), torch.arange(6))
    lonely = torch.tensor([0, 0, 1, 2, 3, 4])
    each = loss(torch.randn(6, 4), lonely, reduction="none")
    assert (each[2:] == 0).all(), "anchors without a positive do not count"
    assert (each[:2] > 0).all()


def test_triplets_need_a_positive_and_a_negative() -> None:
    for labels in (torch.arange(6), torch.zeros(6, dtype=torch.long)):
        with pytest.raises(ValueError, match=r"a positive .* and a negative"):
            losses.triplet(torch.randn(6, 4), labels)
    with pytest.raises(ValueError, match="swap must be 'off'"):
        losses.triplet(torch.randn(6, 4), torch.arange(6) % 2, mining="hard", swap="on")
    with pytest.raises(ValueError, match="hinge must be 'relu'"):
        losses.triplet(torch.randn(6, 4), torch.arange(6) % 2, mining="semi-hard", hinge="softplus")


def test_varcon_epsilon_stays_below_the_temperature() -> None:
    with pytest.raises(ValueError, match=r"epsilon must be smaller than temperature \(0.1\), got 0.1"):
        losses.varcon(torch.randn(6, 4), torch.arange(6) % 2, temperature=0.1, epsilon=0.1)
    with pytest.raises(ValueError, match="epsilon must be smaller"):
        losses.varcon(torch.randn(6, 4), torch.arange(6) % 2, temperature=torch.tensor(0.1), epsilon=0.2)


def test_temperatures_of_the_wrong_shape_or_sign() -> None:
    z = torch.randn(6, 2, 4)
    with pytest.raises(ValueError, match="one for each of the 12 anchors"):
        losses.nt_xent(z, temperature=torch.ones(6))
    with pytest.raises(ValueError, match="temperature must be positive"):
        losses.nt_xent(z, temperature=torch.linspace(0, 1, 12))
    with pytest.raises(ValueError, match=r"margin must be one number, got a tensor of shape \(12,\)"):
        losses.triplet(z, torch.arange(6) % 2, margin=torch.ones(12))
    with pytest.raises(TypeError, match="temperature must be floating point"):
        losses.nt_xent(z, temperature=torch.ones(12, dtype=torch.long))


def test_negatives_of_the_wrong_shape() -> None:
    q, k = FIRST["query"], FIRST["key"]
    for negatives in (torch.randn(5, 3), torch.randn(5, 2, 4), torch.randn(4)):
        with pytest.raises(
            ValueError, match=r"negatives must have shape \(M, D\) with D = 4 or \(N, M, D\) with N = 6 and D = 4"
        ):
            losses.info_nce(q, k, negatives)
    with pytest.raises(ValueError, match="at least 2 rows"):
        losses.info_nce(q[:1], k[:1])
    assert losses.info_nce(q[:1], k[:1], FIRST["negatives"]).isfinite()


def test_tensors_on_different_devices() -> None:
    with pytest.raises(ValueError, match="labels must be on cpu like z, got meta"):
        losses.supcon(FIRST["z"], torch.zeros(6, dtype=torch.long, device="meta"))


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(ValueError, match="unknown loss 'supconn': did you mean supcon"):
        losses.get("supconn")
    with pytest.raises(ValueError, match="nt_xent"):
        losses.get("NT-Xent-loss")
    with pytest.raises(ValueError, match="there are info_nce"):
        losses.get("zzzz")
    assert losses.get(losses.dcl) is losses.dcl


def test_views_must_hold_what_a_loss_needs() -> None:
    with pytest.raises(ValueError, match="supcon needs labels, which were not given"):
        losses.supcon.on_views(FIRST["z"])
    with pytest.raises(ValueError, match="its two sides from two views"):
        losses.info_nce.on_views(torch.randn(6, 1, 4))


@every_loss
def test_catalogue_entries_describe_themselves(loss: Loss) -> None:
    assert loss.title
    assert loss.paper
    assert loss.family
    assert loss.formula
    assert inspect.getdoc(loss)
    for knob in loss.knobs:
        default = loss.defaults[knob.name]
        if isinstance(knob, Choice):
            assert default == knob.options[0], "the first option is the default"
        else:
            assert knob.low <= default <= knob.high
    if loss.name != "alignment":
        assert ">>>" in (inspect.getdoc(loss) or "")


def test_a_loss_is_declared_with_all_its_knobs() -> None:
    with pytest.raises(TypeError, match="knobs and keyword-only parameters differ"):
        losses.loss(title="t", paper="p", family="f", formula="x", knobs=[])(lambda z, *, temperature=0.1: z.sum(-1))


def valid(loss: Loss) -> dict[str, torch.Tensor]:
    """Every tensor argument of a loss, also the optional ones, in its first shape."""
    generator = torch.Generator().manual_seed(0)
    sizes = {"B": 6, "V": min(loss.max_views or 2, 2), "D": 4, "E": 4, "M": 5, "K": 7, "C": 3, "P": 2, "S": 4, "T": 2}
    sizes["N"] = 6 if "z" not in loss.arguments or "key" in loss.arguments else 6 * sizes["V"]
    made = {}
    for name in loss.arguments:
        shape = [sizes[letter] for letter in ROLES[name].shapes[0].split()]
        numbers = torch.rand(shape, generator=generator) + 0.5
        made[name] = (4 * numbers).long() % 2 if ROLES[name].kind == "ids" else numbers
    if "labels" in made:
        made["labels"] = torch.arange(6) % 2
    if "counts" in made:
        made["counts"] = made["counts"] + 1
    if "shares" in made:
        made["shares"] = made["shares"] / 2
    return made


def every_argument() -> list[Any]:
    return [
        pytest.param(loss, name, id=f"{loss.name}-{name}")
        for loss in losses.catalogue.values()
        for name in loss.arguments
    ]


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
def test_valid_arguments_are_valid(loss: Loss) -> None:
    assert loss(**valid(loss)).isfinite()


@pytest.mark.parametrize(("loss", "name"), every_argument())
def test_every_argument_of_every_loss_is_checked(loss: Loss, name: str) -> None:
    """No tensor, the wrong kind of number, an axis too many, an empty one, another device: each names the argument."""
    good = valid(loss)
    tensor = good[name]
    ids = ROLES[name].kind == "ids"
    wrong: list[tuple[Any, type[Exception]]] = [
        (tensor.tolist(), TypeError),
        (tensor.float() if ids else tensor.long(), TypeError),
        (tensor[..., None, None], ValueError),
        (tensor[:0], ValueError),
    ]
    if ids:
        wrong += [(tensor - 9, ValueError), (tensor.bool(), TypeError)]
    if len(loss.arguments) > 1:
        wrong.append((tensor.to("meta"), ValueError))
    for value, error in wrong:
        with pytest.raises(error) as caught:
            loss(**good | {name: value})
        assert name in str(caught.value) or "meta" in str(caught.value)


@pytest.mark.parametrize("loss", losses.catalogue.values(), ids=losses.catalogue)
def test_every_docstring_tells_source_and_landmarks_and_has_an_example(loss: Loss) -> None:
    text = inspect.getdoc(loss) or ""
    for needed in ("Source:", ">>>", "Collapsed"):
        assert needed in text, f"{loss.name} lacks {needed}"
