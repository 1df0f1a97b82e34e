"""Two runs share a key when nothing that decides them differs, and only then."""

import collections
import dataclasses
import enum
import functools
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import threading
import types
import typing
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import every_loss
import numpy as np
import pytest
import sklearn.pipeline
import sklearn.preprocessing
import torch

import cl_explore
from cl_explore import data, losses, methods, nn, views
from cl_explore.methods import JointEmbedding, Method
from cl_explore.takes import Count
from cl_explore.train import imports
from cl_explore.train import loop as training
from cl_explore.train.key import key


def parts(x):
    return key(x=x).parts


def build(augment=None, encoder=None, **options):
    torch.manual_seed(0)
    augment = views.VectorViews() if augment is None else augment
    return JointEmbedding(
        encoder() if encoder else nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", augment, **options
    )


class Bare(Method):
    """An own method that says nothing of itself in its repr."""

    def __init__(self, criterion=None, augment=None, **attributes):
        torch.manual_seed(0)
        super().__init__(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), augment or views.VectorViews())
        self.criterion = criterion
        vars(self).update(attributes)


class Compose:
    def __init__(self, *steps):
        self.steps = steps

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Slotted:
    __slots__ = ("size",)

    def __init__(self, size):
        self.size = size


class Silent:
    """It leaves out of pickles what decides."""

    def __init__(self, size):
        self.size = size

    def __getstate__(self):
        return {}

    def __reduce__(self):
        return Silent, (0,)


class Strength(enum.Enum):
    WEAK = 0.1
    STRONG = 0.5


class Mine(dict):
    pass


class Scale(torch.nn.Module):
    def __init__(self, by):
        super().__init__()
        self.register_buffer("by", torch.tensor(by), persistent=False)


def frozen(encoder):
    return encoder.requires_grad_(False)


def hooked(kind, by):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 8)
    getattr(layer, f"register_{kind}")(lambda *args: args[-1] + by)
    return layer


def hooked_parameter(by):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 8)
    layer.weight.register_hook(lambda gradient: by * gradient)
    return layer


def with_hooks(*order):
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 8)
    for by in order:
        layer.register_forward_hook(functools.partial(lambda by, module, x, z: z + by, by))
    return layer


def with_gradient():
    layer = torch.nn.Linear(6, 8)
    layer.weight.grad = torch.ones(8, 6)
    return layer


def tied(shared):
    weight = torch.nn.Parameter(torch.ones(8))
    return [weight, weight if shared else torch.nn.Parameter(torch.ones(8))]


def memory(shared):
    weight = torch.ones(8)
    return [weight, weight[:] if shared else weight.clone()]


def seeded(random, seed):
    random.seed(seed)
    return random


def patched(value):
    method = build()
    method.encoder.forward = lambda x: x * value
    return method


NOISE = np.array([0.1])
LEVEL = torch.tensor(0.1)
NUMBERS = {"noise": 0.1}
NAMESPACE = types.SimpleNamespace(noise=0.1)


def read_plainly(x):
    return x * NOISE


def read_in_a_comprehension(x):
    return [each * NOISE for each in x]


def read_in_a_generator(x):
    return sum(each * LEVEL for each in x)


def read_in_a_lambda(x):
    by = lambda each: each * NUMBERS["noise"]  # noqa: E731
    return by(x)


def read_in_a_function(x):
    def inner(each):
        return [(lambda one: one * NAMESPACE.noise)(one) for one in each]

    return inner(x)


def read_in_a_class(x):
    class Inner:
        noise = NOISE

    return Inner.noise * x


def read_through_another(x):
    return read_plainly(x) + 1


def read_by_default(x, noise=NOISE):
    return x * noise


def closed(value):
    return lambda x: [each * value for each in x]


def own_class(value, parent=Compose):
    return type("Own", (parent,), {"__module__": __name__, "noise": value})


def pair(name, make, *values):
    first, second = (functools.partial(make, value) for value in values)
    return pytest.param(first, second, id=name)


RETRAIN = [
    pair("the loss's knob", lambda by: build(temperature=by), 0.1, 0.2),
    pair("frozen or trainable", lambda change: build(encoder=lambda: change(nn.MLP([6, 8]))), frozen, lambda x: x),
    pair("a tensor knob of equal repr", lambda by: build(temperature=torch.tensor(by)), 0.0710001, 0.0710002),
    pair("a tensor attribute", lambda by: Bare(weights=torch.tensor([by, 1, 1])), 1.0, 9.0),
    pair("the type of a tensor", lambda dtype: Bare(weights=torch.zeros(3, dtype=dtype)), torch.half, torch.bfloat16),
    pair("the shape of a tensor", lambda shape: Bare(weights=torch.zeros(shape)), (2, 3), (3, 2)),
    pair("a sparse tensor", lambda by: Bare(graph=(by * torch.eye(3)).to_sparse()), 1, 2),
    pair("a buffer that is not persistent", lambda by: build(encoder=lambda: Scale(by)), 1.0, 9.0),
    pair("a gradient left over", lambda make: build(encoder=make), with_gradient, lambda: torch.nn.Linear(6, 8)),
    pair("tied weights", tied, True, False),
    pair("shared memory", memory, True, False),
    pair("a forward hook", lambda by: build(encoder=lambda: hooked("forward_hook", by)), 0.0, 5.0),
    pair("a forward pre-hook", lambda by: build(encoder=lambda: hooked("forward_pre_hook", by)), 0.0, 5.0),
    pair("a backward hook", lambda by: build(encoder=lambda: hooked("full_backward_hook", by)), 0.0, 5.0),
    pair("a hook of a parameter", lambda by: build(encoder=lambda: hooked_parameter(by)), 1.0, 5.0),
    pair("the order of hooks", lambda order: build(encoder=lambda: with_hooks(*order)), (1, 2), (2, 1)),
    pair("a forward put in from outside", patched, 1.0, 2.0),
    pair("a private attribute", lambda by: Bare(_size=by), 1, 2),
    pair("a number and a truth value", lambda by: Bare(size=by), 1, True),
    pair("a whole and a decimal number", lambda by: Bare(size=by), 1, 1.0),
    pair("a number deep in containers", lambda by: Bare(sizes={"a": [(1, {"b": by})]}), 1, 2),
    pair("a member of a set", lambda by: Bare(names={"a", by}), "b", "c"),
    pair("the order of a dictionary", lambda names: Bare(plan=dict.fromkeys(names)), "ab", "ba"),
    pair("a queue", lambda by: Bare(plan=collections.deque([by])), 1, 2),
    pair("an ordered dictionary", lambda by: Bare(plan=collections.OrderedDict(a=by)), 1, 2),
    pair("a NumPy number", lambda by: Bare(size=np.float32(by)), 0.1, 0.2),
    pair("a NumPy and a plain number", lambda kind: Bare(size=kind(0.5)), np.float64, float),
    pair("a NumPy array of equal repr", lambda by: Bare(table=by * (np.arange(2000) == 1000)), 1, 2),
    pair("an array of objects", lambda by: Bare(table=np.array([None, by], dtype=object)), "a", "b"),
    pair("a NumPy generator", lambda seed: Bare(random=np.random.default_rng(seed)), 0, 1),
    pair("a torch generator", lambda seed: Bare(random=torch.Generator().manual_seed(seed)), 0, 1),
    pair("a namespace", lambda by: Bare(plan=types.SimpleNamespace(size=by)), 1, 2),
    pair("an own object", lambda by: Bare(part=Compose(by)), 1, 2),
    pair("an own object of slots", lambda by: Bare(part=Slotted(by)), 1, 2),
    pair("an own object that pickles without its state", lambda by: Bare(part=Silent(by)), 1, 2),
    pair("a member of an own enumeration", lambda by: Bare(part=by), Strength.WEAK, Strength.STRONG),
    pair("an own kind of dictionary", lambda by: Bare(part=Mine(a=by)), 1, 2),
    pair("a class member", lambda by: Bare(part=own_class(by)()), 1, 2),
    pair("a class held itself", lambda by: Bare(kind=own_class(by)), 1, 2),
    pair("the parent of an own class", lambda of: Bare(part=own_class(1, own_class(of))()), 1, 2),
    pair("a partial", lambda by: Bare(part=functools.partial(read_plainly, x=by)), 1, 2),
    pair("a bound method", lambda by: Bare(part=Compose(by).__call__), 1, 2),
    pair("a closure", lambda by: Bare(augment=closed(by)), 0.1, 0.2),
    pair("a module in a closure", lambda p: Bare(augment=closed(torch.nn.Dropout(p))), 0.0, 0.9),
    pair("a module in an own Compose", lambda p: Bare(augment=Compose(torch.nn.Dropout(p))), 0.0, 0.9),
    pair("a module outside the tree", lambda p: Bare(parts=(torch.nn.Dropout(p),)), 0.0, 0.9),
    pair("an installed object", lambda by: Bare(part=sklearn.preprocessing.Binarizer(threshold=by)), 0.0, 0.9),
    pair(
        "functions in an installed Compose",
        lambda by: Bare(
            part=sklearn.pipeline.make_pipeline(sklearn.preprocessing.FunctionTransformer(lambda x: x * by))
        ),
        1.0, 2.0,
    ),
    pair("an installed module's dropout", lambda p: build(encoder=lambda: torch.nn.LSTM(6, 8, 2, dropout=p)), 0.0, 0.9),
    pair("a global setting of torch", lambda dtype: torch.zeros(1, dtype=dtype), torch.float32, torch.float64),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second"), RETRAIN)
def test_what_differs_has_another_key_and_what_is_equal_the_same(first, second):
    assert parts(first()) != parts(second())
    assert parts(first()) == parts(first())
    assert key(x=first()).unsure is None


READERS = {
    "read_plainly": ("NOISE", np.array([0.2])),
    "read_in_a_comprehension": ("NOISE", np.array([0.2])),
    "read_in_a_generator": ("LEVEL", torch.tensor(0.2)),
    "read_in_a_lambda": ("NUMBERS", {"noise": 0.2}),
    "read_in_a_function": ("NAMESPACE", types.SimpleNamespace(noise=0.2)),
    "read_in_a_class": ("NOISE", np.array([0.2])),
    "read_through_another": ("NOISE", np.array([0.2])),
}


@pytest.mark.parametrize("reader", READERS)
def test_what_a_function_reads_is_part_of_the_key(monkeypatch, reader):
    name, other = READERS[reader]
    before = parts(Bare(augment=globals()[reader]))
    unread = parts(Bare(augment=read_by_default))
    monkeypatch.setitem(globals(), name, other)
    assert parts(Bare(augment=globals()[reader])) != before
    assert parts(Bare(augment=read_by_default)) == unread


def test_defaults_are_part_of_the_key(monkeypatch):
    before = parts(read_by_default)
    monkeypatch.setattr(read_by_default, "__defaults__", (np.array([0.2]),))
    assert parts(read_by_default) != before


def test_what_the_global_random_state_gives_is_part_of_the_key():
    def noisy(x):
        return x + [np.random.randn() for _ in x]  # noqa: NPY002

    np.random.seed(0)  # noqa: NPY002
    first = parts(noisy)
    assert parts(noisy) == first
    np.random.seed(1)  # noqa: NPY002
    assert parts(noisy) != first


def test_settings_of_torch_are_part_of_the_key():
    before = parts(1)
    torch.set_default_dtype(torch.float64)
    try:
        assert parts(1) != before
    finally:
        torch.set_default_dtype(torch.float32)
    handle = torch.nn.modules.module.register_module_forward_hook(lambda module, x, z: z + 1)
    try:
        assert parts(1) != before
    finally:
        handle.remove()
    assert parts(1) == before


def test_what_a_notebook_sets_in_the_package_is_part_of_the_key(monkeypatch):
    method = build()
    before = parts(method)
    with monkeypatch.context() as patch:
        patch.setattr(losses.infonce, "row_lse", lambda *args, **kwargs: 0)
        assert parts(method) != before
    with monkeypatch.context() as patch:
        patch.setattr(JointEmbedding, "after_step", lambda self: None)
        assert parts(method) != before
    constants = imports.read("cl_explore.losses.tiles").constants
    assert constants
    for name in constants:
        with monkeypatch.context() as patch:
            patch.setattr(losses.tiles, name, 12345)
            assert parts(method) != before
    assert parts(method) == before


def rooms():
    for room in imports.ROOMS:
        package = importlib.import_module(f"cl_explore.{room}")
        yield room, package
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            yield room, importlib.import_module(found.name)


def classes(of, room=None):
    found = {
        each
        for place, module in rooms()
        if room in (None, place)
        for each in vars(module).values()
        if isinstance(each, type) and issubclass(each, of) and each.__module__ == module.__name__
    }
    return sorted(found, key=lambda each: each.__qualname__)


LEGAL = (0.25, 0.5, 0.75, 1.5, 2.0)


@pytest.mark.parametrize("kind", [each for each in classes(views.Views) if not inspect.isabstract(each)])
def test_every_field_of_every_view_is_part_of_the_key(kind):
    def others(name, value):
        for other in LEGAL if isinstance(value, float) else (value + 1,):
            with suppress(ValueError):
                if other != value:
                    yield dataclasses.replace(kind(), **{name: other})

    changed = [next(others(field.name, field.default)) for field in dataclasses.fields(kind)]
    keys = [parts(Bare(augment=augment)) for augment in (kind(), *changed)]
    assert all(one != other for place, one in enumerate(keys) for other in keys[:place])
    assert parts(Bare(augment=kind())) == keys[0]


VALUES = {
    int: (4, 5), float: (0.5, 0.25), bool: (False, True), torch.nn.Module: (nn.MLP([6, 8]), nn.MLP([6, 9])),
    "blocks": ([1, 1], [1, 2]), "first_visit": ("sample", "zero"), "name": ("image", "text"), "stride": (1, 2),
    "sizes": ([6, 8, 4], [6, 9, 4]), Sequence[Count]: ((16, 32, 48), (16, 32, 40)),
    "width": (20, 40), "transformer": (nn.Transformer(8), nn.Transformer(16)),
}  # fmt: skip
"""Two legal values for an argument of this name, or of this type, of a module of the rooms."""


def values(one):
    """Two values for an argument; none for one that may be left out and has no number or choice as its default."""
    if type(one.default) in (int, float):
        return one.default, one.default + 1 if type(one.default) is int else one.default * 0.9 or 0.5
    kind = typing.get_args(one.annotation)[0] if hasattr(one.annotation, "__metadata__") else one.annotation
    found = VALUES.get(one.name) or VALUES.get(kind) or typing.get_args(kind)
    if one.default is None:
        return ()
    assert len(found) >= 2, f"VALUES must hold two legal values for the argument {one.name}"
    return found if one.default in (one.empty, found[0]) else found[::-1]


def made(kind, **changes):
    """A module with the first value of each argument it needs, but for the changes."""
    torch.manual_seed(0)
    needed, chosen = [], {}
    for one in inspect.signature(kind).parameters.values():
        if one.default is one.empty and one.kind is not one.KEYWORD_ONLY:
            needed.append(changes.get(one.name, values(one)[0]))
        elif one.default is one.empty or one.name in changes:
            chosen[one.name] = changes.get(one.name, values(one)[0])
    return kind(*needed, **chosen)


def changes(kind):
    """Every argument of a module with its other value."""
    return [{one.name: values(one)[1]} for one in inspect.signature(kind).parameters.values() if values(one)]


STATEFUL = [each for each in classes(torch.nn.Module) if not issubclass(each, Method)]


def test_modules_are_found():
    names = {each.__name__ for each in STATEFUL}
    assert {"MoCo", "NNCLR", "SwAV", "PaCo", "SogCLR", "ISogCLR", "CLIP", "SigLIP", "Queue", "Momentum"} <= names


@pytest.mark.parametrize("kind", STATEFUL)
def test_every_argument_of_every_module_is_part_of_the_key(kind):
    keys = [parts(Bare(made(kind)))] + [parts(Bare(made(kind, **change))) for change in changes(kind)]
    assert all(one != other for place, one in enumerate(keys) for other in keys[:place])
    assert parts(Bare(made(kind))) == keys[0]


@pytest.fixture(scope="module")
def cases():
    return {case: parts(every_loss.build(case)) for case in every_loss.CASES}


def test_every_loss_in_every_skeleton_has_a_key_of_its_own(cases):
    skeletons = {type(every_loss.build(case)) for case in cases}
    takes_a_loss = {each for each in classes(Method) if "loss" in inspect.signature(each).parameters}
    assert skeletons == takes_a_loss - {methods.skeleton.Skeleton}
    met = collections.defaultdict(list)
    for case, found in cases.items():
        met[found["objects"]].append(case)
    assert [names for names in met.values() if len(names) > 1] == []


@pytest.mark.parametrize("skeleton", ["joint_embedding", "momentum_contrast", "predictive", "two_tower"])
def test_every_attribute_of_every_skeleton_is_part_of_the_key(skeleton):
    case = next(case for case in every_loss.CASES if case.endswith(skeleton))
    method = every_loss.build(case)
    before = parts(method)
    for module in method.modules():
        for name, value in vars(module).items():
            if name == "training" or not isinstance(value, bool | int | float | str | tuple | list | None):
                continue
            object.__setattr__(module, name, "another")
            assert parts(method) != before, name
            object.__setattr__(module, name, value)
    for tensor in method.state_dict().values():
        flat = tensor.view(-1)
        flat[-1] += 1
        assert parts(method) != before
        flat[-1] -= 1
    for knob, value in method.knobs.items():
        method.knobs[knob] = "another"
        assert parts(method) != before
        method.knobs[knob] = value
    assert parts(every_loss.build(case)) == before


def test_every_knob_of_every_loss_is_part_of_the_key():
    for loss in losses.catalogue.values():
        before = parts([loss, loss.defaults])
        for name in loss.defaults:
            assert parts([loss, loss.defaults | {name: 0.123}]) != before


def test_whatever_runs_is_in_the_key(cases, monkeypatch):
    """Every file of the package that runs in a step, whatever the method, counts in its key."""
    behind, running = {}, set()
    monkeypatch.setattr(imports, "behind", lambda modules, real=imports.behind: behind.update(real(modules)) or behind)

    def watch(frame, event, _):
        running.add(frame.f_code.co_filename)

    root = Path(cl_explore.__file__).parent
    for case in cases:
        behind.clear()
        running.clear()
        method = every_loss.build(case)
        key(training.__name__, method=method)
        sys.setprofile(watch)
        try:
            method.step(every_loss.batch(case, 9, seed=0), torch.Generator()).loss.backward()
            method.after_step()
        finally:
            sys.setprofile(None)
        files = {Path(file).relative_to(root).with_suffix("") for file in running if file.startswith(str(root))}
        ran = {".".join(("cl_explore", *file.parts)) for file in files}
        assert ran <= behind.keys(), case
    monkeypatch.undo()
    assert {case: parts(every_loss.build(case)) for case in cases} == cases  # a step leaves nothing behind in modules


SAME = {
    "built anew": lambda: build(),
    "after a look at it": lambda: build().eval().train(),
    "with more digits in its repr": lambda: torch.set_printoptions(precision=8) or build(),
    "after hooks came and went": lambda: [hooked("forward_hook", 0) for _ in range(3)] and build(),
    "in another place of memory": lambda: [torch.ones(1000) for _ in range(100)] and build(),
}


@pytest.mark.parametrize("way", SAME)
def test_what_decides_nothing_is_no_part_of_the_key(way):
    before = parts(build())
    try:
        assert parts(SAME[way]()) == before
    finally:
        torch.set_printoptions(profile="default")


def test_hooks_are_known_by_their_order_and_not_by_their_number():
    assert parts(with_hooks(1, 2)) == parts(with_hooks(1, 2))


def test_objects_that_hold_each_other_have_a_key():
    ring = [Compose(), Compose()]
    ring[0].steps, ring[1].steps = (ring[1],), (ring[0], ring)
    other = [Compose(), Compose()]
    other[0].steps, other[1].steps = (other[1],), (other[0], other)
    assert parts(ring) == parts(other)
    other[1].steps = (other[1], other)
    assert parts(ring) != parts(other)


SESSION = """
import torch, types, numpy as np
from cl_explore import data, losses, methods, nn, views
from cl_explore.train.key import key
torch.manual_seed(0)
names = {"b", "a", ("c", 1), frozenset("xyz"), types.SimpleNamespace}
class Own(methods.Method):
    def step(self, batch, generator):
        return [n for n in names if n in {"a", "b", "c"}] + [np.pi]
own = Own(nn.MLP([6, 8]), nn.MLP([8, 4]), lambda x, generator, n: x + losses.nt_xent(x))
print(key(own=own, criterion=losses.ISogCLR(9), cluster=set(names), tables=True, load=lambda: data.load("digits")))
"""


def test_the_key_is_the_same_in_every_session(capsys):
    run = [sys.executable, "-c", SESSION]
    there = subprocess.run(run, env={**os.environ, "PYTHONHASHSEED": "1"}, check=True, capture_output=True, text=True)
    import cl_explore.evaluate  # noqa: F401  # other rooms that are imported change nothing

    exec(SESSION, {"__name__": "__main__"})
    here = capsys.readouterr().out
    assert there.stdout == here
    assert "unsure=None" in here


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes own modules, imports them anew and gives the key of `mine.Mine()`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(**sources):
        for name, source in sources.items():
            path = tmp_path.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(source)
        for name in [each for each in sys.modules if each.partition(".")[0] in ("mine", "deep")]:
            del sys.modules[name]
        importlib.invalidate_caches()
        return parts(importlib.import_module("mine").Mine())

    yield write
    for name in [each for each in sys.modules if each.partition(".")[0] in ("mine", "deep")]:
        del sys.modules[name]


MINE = """
import deep.noise
from deep import extra
from cl_explore import losses

class Mine:
    def __call__(self, x):
        from deep.late import late
        return losses.nt_xent(deep.noise.noisy(x)) + late(x) + 1
"""
NOISE_FILE = "LEVEL = 0.1\n\ndef noisy(x):\n    return x + LEVEL\n\ndef unused(x):\n    return x\n"
LATE = "def late(x):\n    return x\n"
NESTED_FILE = """
def outer(x):
    def inner(y):
        from deep.late import late
        return late(y)
    return inner(x)
"""


def test_own_files_count_function_by_function_in_folders_too(files):
    files(deep__noise=NOISE_FILE, deep__extra="A = 1\n", deep__late=LATE, mine=MINE)
    before = files()
    assert before == files(mine=MINE.replace("class Mine:", 'class Mine:\n    """What it does."""\n    # a comment\n'))
    assert before == files(deep__noise=NOISE_FILE.replace("return x\n", "return 2 * x\n"))
    assert before == files(deep__extra="A = 2\n")
    assert before != files(deep__late=LATE.replace("return x", "return 2 * x"))
    assert before == files(deep__late=LATE)
    assert before != files(deep__noise=NOISE_FILE.replace("0.1", "0.2"))
    assert before != files(deep__noise=NOISE_FILE.replace("x + LEVEL", "x - LEVEL"))
    assert before != files(deep__noise=NOISE_FILE, mine=MINE.replace("+ 1", "+ 2"))


def test_imports_within_inner_functions_count(files):
    mine = MINE.replace("        from deep.late import late\n", "").replace("late(x)", "deep.noise.outer(x)")
    before = files(deep__noise=NOISE_FILE + NESTED_FILE, deep__extra="A = 1\n", deep__late=LATE, mine=mine)
    assert before != files(deep__late=LATE.replace("return x", "return 2 * x"))


def test_a_module_used_as_a_whole_counts_as_a_whole(files):
    whole = MINE.replace("deep.noise.noisy(x)", "getattr(extra, 'A') + x")
    before = files(deep__noise=NOISE_FILE, deep__extra="A = 1\n", deep__late=LATE, mine=whole)
    assert before != files(deep__extra="A = 2\n")


def finds_by_name(z):
    return losses.get("dcl")(z)


def test_who_finds_losses_by_name_depends_on_them_all(monkeypatch):
    before = parts(finds_by_name)
    assert before == parts(finds_by_name)
    monkeypatch.setitem(losses.catalogue, "dcl", losses.nt_xent)
    assert parts(finds_by_name) != before


def reads_anything(x):
    return eval("x")


UNSURE = {
    "a lock": (threading.Lock(), r"x \(lock\).*cannot pickle"),
    "a generator": ((each for each in "ab"), r"x \(generator\)"),
    "a part of a part": (Compose(types.SimpleNamespace(lock=threading.Lock())), r"x\.steps\.0.*\.lock \(lock\)"),
    "a graph": (torch.ones(2, requires_grad=True) * 2, "graph for gradients"),
    "eval": (reads_anything, r"reads_anything calls eval"),
    "compiled code": (torch.jit.script(torch.nn.Linear(2, 2)), "cannot pickle"),
}


@pytest.mark.parametrize("name", UNSURE)
def test_what_cannot_be_told_apart_is_named_in_one_line(name):
    x, reason = UNSURE[name]
    unsure = key(x=x).unsure
    assert re.search(reason, unsure)
    assert "\n" not in unsure


def test_data_sets_differ_by_more_than_their_tensors():
    x, labels = torch.zeros(4, 2), torch.zeros(4, dtype=torch.int64)
    one, two = (data.Dataset("one", x, labels, torch.arange(4), names) for names in (("a",), ("a", "b")))
    assert parts(training.outline(one)) != parts(training.outline(two))
