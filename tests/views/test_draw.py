"""What any augmentation may return, and what is said of one that returns something else."""

import re
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from cl_explore import data, evaluate, methods, nn
from cl_explore.views import ImageViews
from cl_explore.views.draw import draw_views

SAMPLES, VIEWS = 5, 2
KINDS = {
    "vector": (6,),
    "image": (3, 4, 4),
    "series": (2, 7),
    "video": (3, 3, 4, 4),
}
WRONG = {
    "swapped": (lambda x, generator, n_views: torch.stack([x] * n_views), "axes 0 and 1 are swapped"),
    "too many": (lambda x, generator, n_views: torch.stack([x] * (n_views + 1), dim=1), "axis 1 is wrong"),
    "too few": (lambda x, generator, n_views: x[:, None].repeat_interleave(n_views - 1, dim=1), "axis 1 is wrong"),
    "fewer samples": (lambda x, generator, n_views: torch.stack([x[1:]] * n_views, dim=1), "axis 0 is wrong"),
    "one axis": (lambda x, generator, n_views: torch.cat([x] * n_views), "is wrong"),
    "flat": (lambda x, generator, n_views: x.flatten(1).sum(1), "an axis is missing"),
}


def right(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
    return torch.stack([x] * n_views, dim=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wrong", WRONG)
def test_views_of_another_shape_are_refused_by_the_axis_that_is_wrong(kind: str, wrong: str) -> None:
    x, generator = torch.rand(SAMPLES, *KINDS[kind]), torch.Generator()
    assert draw_views(right, x, generator, VIEWS).shape == (SAMPLES, VIEWS, *KINDS[kind])
    augment, message = WRONG[wrong]
    with pytest.raises(ValueError, match=rf"\(B, V, ...\) with B = 5 samples and V = 2 views.* got shape .*{message}"):
        draw_views(augment, x, generator, VIEWS)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_as_many_samples_as_views_hide_no_swapped_axes(count: int) -> None:
    x, state = torch.rand(count, 6), torch.get_rng_state()
    for given in (x, {"a": x, "b": x + 1}):
        swapped = lambda x, generator, n: (  # noqa: E731
            {name: torch.stack([part] * n) for name, part in x.items()} if isinstance(x, dict) else torch.stack([x] * n)
        )
        for bag in (False, True):
            with pytest.raises(ValueError, match=r"axes 0 and 1 are swapped|axis 0 is wrong"):
                draw_views(swapped, given, torch.Generator(), count, bag=bag)

    def drawn(x: Tensor, generator: torch.Generator, n: int) -> Tensor:
        return x[:, None] + torch.randn(len(x), n, 6, generator=generator) + 0 * torch.rand(1)

    first, second = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    assert torch.equal(draw_views(drawn, x, first, count), drawn(x, second, count))
    assert torch.equal(first.get_state(), second.get_state())  # the question costs the run no random number
    torch.set_rng_state(state)
    drawn(x, second, count)
    drawn(x, second, count)
    expected = torch.get_rng_state()
    torch.set_rng_state(state)
    draw_views(drawn, x, first, count)
    drawn(x, second, count)
    assert torch.equal(torch.get_rng_state(), expected)


def test_a_bag_may_hold_any_number_of_views_but_none() -> None:
    x, generator = torch.rand(SAMPLES, 6), torch.Generator()
    many = draw_views(lambda x, generator, n_views: right(x, generator, 3), x, generator, 1, bag=True)
    assert many.shape == (SAMPLES, 3, 6)
    for name in ("fewer samples", "flat"):
        with pytest.raises(ValueError, match="B = 5 samples, got shape"):
            draw_views(WRONG[name][0], x, generator, 2, bag=True)
    with pytest.raises(ValueError, match="axis 1 is wrong"):
        draw_views(lambda x, generator, n_views: x[:, None][:, :0], x, generator, 1, bag=True)


def test_a_part_is_named_and_a_list_is_told_how_to_become_a_tensor() -> None:
    x, generator = {"image": torch.rand(SAMPLES, 6), "text": torch.rand(SAMPLES, 3)}, torch.Generator()

    def augment(x: dict[str, Tensor], generator: torch.Generator, n_views: int) -> dict[str, Tensor]:
        return {"image": right(x["image"], generator, n_views), "text": torch.stack([x["text"]] * n_views)}

    with pytest.raises(ValueError, match=r"views of 'text' .*axes 0 and 1 are swapped"):
        draw_views(augment, x, generator, VIEWS)
    with pytest.raises(TypeError, match=r"got list; of a list of views it is torch.stack\(views, dim=1\)"):
        draw_views(lambda x, generator, n_views: [x] * n_views, x["text"], generator, VIEWS)


def test_autocast_does_not_reach_a_readers_own_views() -> None:
    x = torch.rand(SAMPLES, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = draw_views(lambda x, generator, n_views: (x @ torch.eye(6))[:, None], x, torch.Generator(), 1)
    assert torch.equal(made[:, 0], x)


def _skeletons() -> dict[str, methods.Method]:
    parts = nn.MLP([64, 16, 8]), nn.projection_head(8, 8, 4)
    swapped = WRONG["swapped"][0]
    towers = (dict.fromkeys(("image", "text"), part) for part in parts)
    return {
        "JointEmbedding": methods.JointEmbedding(*parts, "nt_xent", swapped),
        "MomentumContrast": methods.MomentumContrast(*parts, "info_nce", swapped),
        "Predictive": methods.Predictive(*parts, "byol", swapped, decay=0.9, predictor=nn.MLP([4, 8, 4])),
        "TwoTower": methods.TwoTower(*towers, "clip", {"image": swapped, "text": swapped}),
    }


@pytest.mark.parametrize("name", ["JointEmbedding", "MomentumContrast", "Predictive", "TwoTower"])
def test_every_skeleton_and_the_embedding_of_views_refuse_them(name: str) -> None:
    method, digits = _skeletons()[name], data.load("digits").subset(torch.arange(9))
    two = {"image": digits.x, "text": digits.x}
    shown = digits if name != "TwoTower" else data.Dataset("two", two, digits.labels, digits.index, digits.class_names)
    with pytest.raises(ValueError, match="axes 0 and 1 are swapped"):
        method.step(shown.batch(torch.arange(9)), torch.Generator())
    with pytest.raises(ValueError, match="axes 0 and 1 are swapped"):
        evaluate.embed_views(method, shown)


def test_the_linear_probe_asks_for_one_view() -> None:
    digits = data.load("digits").subset(torch.arange(20))
    method = methods.JointEmbedding(nn.MLP([64, 8]), nn.MLP([8, 4]), "nt_xent", ImageViews.weak())
    with pytest.raises(ValueError, match="V = 1 views of each, got shape"):
        evaluate.linear_probe(
            method, digits, digits, augment=lambda x, generator, n: right(x, generator, 2), epochs=1, progress=False
        )


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_views_that_are_no_numbers_of_the_samples_kind_are_refused(kind: torch.dtype) -> None:
    def wrong(x: Tensor, generator: torch.Generator, n_views: int) -> Tensor:
        return right(x, generator, n_views).to(kind)

    with pytest.raises(TypeError, match=rf"augment must return views .* of floating-point numbers, got {kind}"):
        draw_views(wrong, torch.rand(SAMPLES, 6), torch.Generator(), VIEWS)
    tokens = torch.arange(SAMPLES * 6).view(SAMPLES, 6)
    if kind in (torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=rf"of floating-point numbers or integers, got {kind}"):
            draw_views(wrong, tokens, torch.Generator(), VIEWS)
    else:
        assert torch.equal(draw_views(wrong, tokens, torch.Generator(), VIEWS), right(tokens, torch.Generator(), VIEWS))


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (lambda x: (x, x), "`return self.encoder(x)[0]`"),
        (lambda x: SimpleNamespace(last_hidden_state=x), "`return self.encoder(x).last_hidden_state[:, 0]`"),
    ],
)
def test_networks_that_give_several_tensors_are_named_with_the_line_to_write(made, line) -> None:  # type: ignore[no-untyped-def]
    class Net(torch.nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return made(super().forward(x))  # type: ignore[no-any-return]

    def plain(width: int) -> torch.nn.Module:
        return torch.nn.Linear(width, 64)

    digits, need = data.load("digits").subset(range(8)), "must give a tensor"
    batch = digits.batch(torch.arange(8))
    for name in ("encoder", "head"):
        parts = [torch.nn.Sequential(torch.nn.Flatten(), Net(64, 64)), plain(64)]
        if name == "head":
            parts = [torch.nn.Sequential(torch.nn.Flatten(), plain(64)), Net(64, 64)]
        method = methods.JointEmbedding(*parts, "nt_xent", right)
        message = f"{name} {need}.*" + re.escape(line.replace("encoder", name))
        with pytest.raises(TypeError, match=message):
            method.step(batch, torch.Generator())
        with pytest.raises(TypeError, match=message):
            evaluate.embed(method, digits)


@pytest.mark.parametrize(
    ("encoder", "head", "named"),
    [
        (lambda x: x.flatten(1).mean(0, keepdim=True), torch.nn.Identity(), "encoder"),
        (lambda x: x.flatten(1)[:, :, None], torch.nn.Identity(), "encoder"),
        (lambda x: x.flatten(1), lambda h: h.T, "head"),
        (lambda x: x.flatten(1), lambda h: h.mean(1), "head"),
    ],
)
def test_networks_that_give_another_shape_are_named(encoder, head, named) -> None:  # type: ignore[no-untyped-def]
    class Net(torch.nn.Module):
        def __init__(self, function) -> None:  # type: ignore[no-untyped-def]
            super().__init__()
            self.function = function

        def forward(self, x: Tensor) -> Tensor:
            return self.function(x)  # type: ignore[no-any-return]

    method = methods.JointEmbedding(Net(encoder), Net(head), "nt_xent", right)
    batch = data.load("digits").batch(torch.arange(5))
    with pytest.raises(ValueError, match=rf"{named} must give one row of features for each of 5 x 2 views, \(10, feat"):
        method.step(batch, torch.Generator())
