import inspect
from dataclasses import MISSING, fields, replace

import numpy as np
import pytest
import torch

from cl_explore import data, losses, nn, train
from cl_explore.evaluate import embed
from cl_explore.methods import JointEmbedding, MomentumContrast, Step
from cl_explore.train import feed
from cl_explore.train.randomness import fastest_convolutions
from cl_explore.train.settings import Settings
from cl_explore.views import ImageViews, VectorViews

SETTINGS = {"epochs": 3, "batch_size": 16, "device": "cpu", "snapshots": 4}


def build(**knobs):
    torch.manual_seed(0)
    encoder = torch.nn.Sequential(nn.MLP([6, 16, 8]), torch.nn.Dropout(0.2))
    return JointEmbedding(encoder, nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1), **knobs)


def toy():
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(50) % 3
    return data.Dataset("toy", torch.randn(50, 6, generator=generator), labels, torch.arange(50), tuple("abc"))


def pictures(place):
    pixels = np.memmap(place / "pixels", np.uint8, "w+", shape=(50, 3, 4, 4))
    pixels[:] = np.random.default_rng(0).integers(0, 256, pixels.shape)
    return data.Dataset("pictures", torch.from_numpy(pixels), torch.arange(50) % 3, torch.arange(50), tuple("abc"))


def same(run, other):
    ours, theirs = run.method.state_dict(), other.method.state_dict()
    return (
        all(torch.equal(ours[name], theirs[name]) for name in theirs)
        and run.history.drop(columns="seconds").equals(other.history.drop(columns="seconds"))
        and torch.equal(run.snapshots.z, other.snapshots.z)
        and torch.equal(run.snapshots.steps, other.snapshots.steps)
    )


@pytest.fixture(scope="module")
def whole():
    return train.fit(build(), toy(), store=False, progress=False, **SETTINGS)


def test_a_loop_gives_its_place_after_each_step_and_ends_where_fit_does(whole):
    loop = train.Loop(build(), toy(), **SETTINGS)
    turns = list(loop)
    assert [turn.step for turn in turns] == whole.history["step"].tolist()
    assert [turn.epoch for turn in turns] == whole.history["epoch"].tolist()
    assert {turn.total for turn in turns} == {loop.total} == {9}
    assert [turn.loss.item() for turn in turns] == whole.history["loss"].tolist()
    assert [turn.metrics["positive"].item() for turn in turns] == whole.history["positive"].tolist()
    assert not any(turn.loss.requires_grad for turn in turns)
    assert same(loop.run(), whole)
    assert not loop.method.training
    assert list(loop) == []


@pytest.mark.parametrize("stops", [(1,), (3,), (2, 5, 9), tuple(range(1, 10))])
def test_a_loop_may_be_left_at_any_step_and_taken_up_again(whole, stops):
    loop = train.Loop(build(), toy(), **SETTINGS)
    for stop in stops:
        for turn in loop:
            assert loop.method.training
            if turn.step == stop:
                break
        assert not loop.method.training
        assert len(loop.read()) == stop
    for _ in loop:
        pass
    assert same(loop.run(), whole)


@pytest.mark.parametrize("step", [1, 3, 4, 9])
def test_another_loop_takes_over_a_state(whole, step):
    first, second = (train.Loop(build(), toy(), **SETTINGS) for _ in range(2))
    turns = iter(first)
    for _ in range(step):
        next(turns)
    second.load_state_dict(first.state_dict())
    assert second.step == step
    assert [turn.step for turn in second] == list(range(step + 1, 10))
    assert same(second.run(), whole)


def test_loops_and_their_caller_do_not_disturb_each_other(whole):
    first, second = train.Loop(build(), toy(), **SETTINGS), train.Loop(build(), toy(), **SETTINGS, seed=1)
    torch.manual_seed(5)
    expected = torch.rand(9)
    torch.manual_seed(5)
    drawn = []
    for turn, _ in zip(first, second, strict=True):
        drawn.append(torch.rand(()))
        embed(first.method, toy())
        assert len(first.read()) == first.run().history["step"].iloc[-1] == turn.step
    assert torch.equal(torch.stack(drawn), expected)
    assert same(first.run(), whole)


def test_a_knob_turned_on_the_way_counts_from_the_next_step():
    colder = train.Loop(build(), toy(), **SETTINGS)
    for turn in colder:
        if turn.step == 4:
            colder.method.knobs["temperature"] = 0.05
    plain = train.fit(build(), toy(), store=False, progress=False, **SETTINGS).history["loss"]
    losses = colder.read()["loss"]
    assert losses[:4].equals(plain[:4])
    assert (losses[4:] != plain[4:]).all()


def test_a_step_that_fails_leaves_the_global_random_state_alone():
    loop = train.Loop(build(temperature=0.5), toy(), **SETTINGS)
    steps = iter(loop)
    next(steps)
    loop.method.head = None
    state = torch.get_rng_state()
    with pytest.raises(TypeError):
        next(steps)
    assert torch.equal(torch.get_rng_state(), state)


def test_fit_and_settings_agree():
    offered = inspect.signature(train.fit).parameters
    for field in fields(Settings):
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        assert (offered[field.name].default, offered[field.name].annotation) == (default, field.type)
    with pytest.raises(TypeError, match="unexpected keyword argument 'temperature'"):
        train.Loop(build(), toy(), epochs=1, temperature=0.5)
    with pytest.raises(TypeError, match="compile must be True or False, got 'max'"):
        train.Loop(build(), toy(), epochs=1, compile="max")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_compiled_and_plain_networks_train_alike(monkeypatch, precision):
    called, genuine = [], torch.compile

    def compiled_and_counted(forward, mode):
        fast = genuine(forward, backend="aot_eager")
        return lambda x: called.append(forward) or fast(x)

    monkeypatch.setattr(torch, "compile", compiled_and_counted)
    head = nn.projection_head(16, 8, 4)

    def run(compile):
        torch.manual_seed(0)
        method = JointEmbedding(nn.ConvNet(1, width=4), head, "nt_xent", ImageViews.weak())
        dataset = data.load("digits").subset(torch.arange(200))
        return train.fit(
            method, dataset, epochs=2, batch_size=64, compile=compile, precision=precision, store=False,
            progress=False, device="cpu", snapshots=2,
        )  # fmt: skip

    state = {name: value.clone() for name, value in head.state_dict().items()}
    plain = run(False)
    head.load_state_dict(state)
    compiled = run(True)
    assert len(called) == 2 * len(compiled.history)
    assert not any("forward" in vars(network) for network in compiled.method.networks())
    tolerance = {"32-true": 1e-5, "bf16-mixed": 2e-2}[precision]
    np.testing.assert_allclose(compiled.history["loss"], plain.history["loss"], rtol=tolerance)
    assert compiled.snapshots.z.shape == plain.snapshots.z.shape


class InOrder(JointEmbedding):
    """Meets the samples in an order of its own."""

    def draw_order(self, dataset, batch_size, generator):
        self.asked.append(len(dataset))
        return torch.arange(self.rows[min(len(self.asked), len(self.rows)) - 1])

    def step(self, batch, generator):
        self.met.append(batch.index.tolist())
        return super().step(batch, generator)


def in_order(*rows):
    torch.manual_seed(0)
    method = InOrder(nn.MLP([6, 8, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1))
    method.asked, method.met, method.rows = [], [], rows
    return method


def test_a_method_may_draw_the_order_of_an_epoch():
    method = in_order(32)
    loop = train.Loop(method, toy(), **SETTINGS)
    assert (loop.per_epoch, loop.total) == (2, 6)
    assert [at.epoch for at in loop] == [1, 1, 2, 2, 3, 3]
    assert method.met == 3 * [list(range(16)), list(range(16, 32))]
    for unfit, need in (((15,), "at least one batch"), ((40,), "at least one batch"), ((32, 16), "2 whole batches")):
        with pytest.raises(ValueError, match=rf"draw_order must give {need}.* of 16 rows .*, got {unfit[-1]} rows"):
            list(train.Loop(in_order(*unfit), toy(), **SETTINGS))


def test_batches_sent_one_ahead_are_those_cut_on_the_device(tmp_path):
    cpu, dataset = torch.device("cpu"), pictures(tmp_path)
    rows = torch.randperm(50, generator=torch.Generator().manual_seed(0))[:48]
    cut = list(feed.batches(dataset, rows, 16, cpu))
    sent = list(feed.one_ahead(lambda chunk: dataset.batch(chunk, cpu), rows.split(16)))
    assert len(cut) == len(sent) == 3
    for ours, theirs, numbers in zip(sent, cut, rows.split(16), strict=True):
        assert ours.x.dtype == torch.float32
        assert torch.equal(ours.index, numbers)
        assert all(torch.equal(a, b) for a, b in zip(ours[:3], theirs[:3], strict=True))


def test_samples_of_several_tensors_are_trained_sent_and_embedded():
    class TwoSided(JointEmbedding):
        def forward(self, x):
            return self.encoder(x["image"]) + x["numbers"] if isinstance(x, dict) else self.encoder(x)

        def step(self, batch, generator):
            h = self(batch.x)
            return Step((self.project(h).mean(dim=1) - batch.factors["target"]).square().mean(), {})

    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (40, 1, 4, 4), generator=generator, dtype=torch.uint8)
    target, x = torch.rand(40, generator=generator), {"image": pictures, "numbers": torch.zeros(40, 8)}
    columns = torch.full((40,), -1), torch.arange(40), (), {"target": target}
    both, alone = data.Dataset("both", x, *columns), data.Dataset("alone", pictures, *columns)

    def trained(dataset):
        torch.manual_seed(0)
        method = TwoSided(nn.MLP([16, 8]), nn.projection_head(8, 8, 4), "nt_xent", ImageViews())
        return train.fit(method, dataset, store=False, progress=False, **SETTINGS)

    run = trained(both)
    assert run.history["loss"].iloc[-1] < run.history["loss"].iloc[0]
    assert torch.equal(run.snapshots.z, trained(alone).snapshots.z)
    assert torch.equal(embed(run.method, both).h, embed(run.method, alone).h)
    rows, cpu = torch.tensor([3, 1]), torch.device("cpu")
    for name, part in both.batch(rows, cpu).x.items():
        assert torch.equal(part, both.batch(rows).x[name])
    assert torch.equal(both.batch(rows, cpu).factors["target"], target[rows])


def test_one_batch_is_under_way_while_one_is_worked_on_and_errors_arrive():
    loaded = []

    def load(chunk):
        loaded.append(int(chunk))
        return 1 / (int(chunk) - 3)

    batches = feed.one_ahead(load, torch.arange(5).split(1))
    assert next(batches) == -1 / 3
    assert loaded[:1] == [0]
    assert set(loaded) <= {0, 1}
    assert [next(batches), next(batches)] == [-1 / 2, -1]
    with pytest.raises(ZeroDivisionError):
        next(batches)


def test_a_data_set_stays_where_it_is_if_it_fills_a_gpu(monkeypatch, tmp_path):
    dataset = pictures(tmp_path)
    gpu, moved = torch.device("cuda", 0), []
    monkeypatch.setattr(data.Dataset, "to", lambda self, device: moved.append(device))
    for free in (2 * dataset.x.nbytes, 2 * dataset.x.nbytes - 1):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, free=free: (free, 100 * free))
        settled = feed.settle(dataset, gpu)
    assert moved == [gpu]
    assert settled is dataset


@pytest.mark.parametrize("loss", ["nt_xent", losses.SogCLR(50)])
def test_a_knob_that_is_a_parameter_is_learned_and_saved(loss, tmp_path):
    def learn():
        torch.manual_seed(0)
        tau = torch.nn.Parameter(torch.tensor(0.5))
        encoder, head = nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4)
        if loss == "nt_xent":
            return JointEmbedding(encoder, head, loss, VectorViews(noise=0.1), temperature=tau), tau
        own = losses.SogCLR(50, temperature=tau)
        return JointEmbedding(encoder, head, own, VectorViews(noise=0.1)), tau

    method, tau = learn()
    whole = train.fit(method, toy(), store=tmp_path, progress=False, **SETTINGS)
    assert tau.item() != 0.5
    assert method.knobs["temperature"] is tau
    assert sum(weight is tau for weight in method.parameters()) == 1
    again, other = learn()
    assert train.fit(again, toy(), store=tmp_path, progress=False, **SETTINGS).cached
    assert torch.equal(other, tau)
    first, second = (train.Loop(learn()[0], toy(), **SETTINGS) for _ in range(2))
    next(iter(first))
    second.load_state_dict(first.state_dict())
    for _ in second:
        pass
    assert same(second.run(), whole)


@pytest.mark.parametrize("knob", [torch.tensor(0.5, requires_grad=True), torch.zeros((), requires_grad=True).exp()])
def test_a_knob_that_would_never_be_learned_is_refused(knob):
    with pytest.raises(TypeError, match=r"knob temperature .* with temperature=torch.nn.Parameter\(torch.tensor"):
        train.Loop(build(temperature=knob), toy(), **SETTINGS)
    method = build()
    method.knobs["temperature"] = torch.nn.Parameter(torch.tensor(0.5))
    with pytest.raises(TypeError, match="knob temperature must be a number or a parameter of the method"):
        train.Loop(method, toy(), **SETTINGS)


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [({name: torch.tensor(1.0)}, ValueError, f"got '{name}'") for name in ("step", "epoch", "loss", "lr", "seconds")]
    + [
        ({"gradient": torch.tensor(1.0)}, ValueError, "metrics must not be called"),
        ({"size": torch.ones(2)}, TypeError, r"metric 'size' must be a tensor of no dimension, got shape \(2,\)"),
        ({"size": 2.0}, TypeError, "metric 'size' must be a tensor of no dimension, got float"),
    ],
)
def test_metrics_that_do_not_fit_into_the_history_are_refused(metrics, error, message):
    class Measured(JointEmbedding):
        def step(self, batch, generator):
            return Step(super().step(batch, generator).loss, metrics)

    method = Measured(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews())
    with pytest.raises(error, match=message):
        train.fit(method, toy(), store=False, progress=False, **SETTINGS)


def test_a_method_without_weights_that_learn_is_refused():
    identity = torch.nn.Identity()
    for method in (
        JointEmbedding(identity, identity, "nt_xent", VectorViews()),
        JointEmbedding(nn.MLP([6, 8]).requires_grad_(False), identity, "nt_xent", VectorViews()),
    ):
        with pytest.raises(ValueError, match=r"method must have weights that learn .* got none"):
            train.Loop(method, toy(), **SETTINGS)

    class Constant(JointEmbedding):
        def step(self, batch, generator):
            return Step(torch.tensor(1.0), {})

    method = Constant(nn.MLP([6, 8]), identity, "nt_xent", VectorViews())
    with pytest.raises(ValueError, match="the loss must depend on a weight of the method"):
        train.fit(method, toy(), store=False, progress=False, **SETTINGS)


@pytest.mark.parametrize("loss", ["nt_xent", "supcon", "vicreg", "triplet"])
@pytest.mark.parametrize("skeleton", ["joint", "momentum"])
def test_the_default_type_and_device_of_torch_change_no_training(loss, skeleton):
    def trained(changed):
        torch.manual_seed(0)
        parts = nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4)
        if skeleton == "joint":
            method = JointEmbedding(*parts, loss, VectorViews(noise=0.1))
        else:
            method = MomentumContrast(*parts, "info_nce", VectorViews(noise=0.1))
        dataset = toy()
        if changed:
            torch.set_default_dtype(torch.float64)
            torch.set_default_device("meta")
        try:
            return train.fit(method, dataset, store=False, progress=False, **SETTINGS)
        finally:
            torch.set_default_dtype(torch.float32)
            torch.set_default_device(None)

    assert same(trained(True), trained(False))


def test_a_method_trains_under_deterministic_algorithms_to_the_same_bits(whole):
    torch.use_deterministic_algorithms(True)
    try:
        assert same(train.fit(build(), toy(), store=False, progress=False, **SETTINGS), whole)
    finally:
        torch.use_deterministic_algorithms(False)


def test_convolutions_are_chosen_by_speed_on_a_gpu_alone_and_only_during_a_step():
    cudnn, gpu = torch.backends.cudnn, torch.device("cuda")
    assert not cudnn.benchmark
    with fastest_convolutions(gpu):
        assert cudnn.benchmark
    assert not cudnn.benchmark
    with pytest.raises(ZeroDivisionError), fastest_convolutions(gpu):
        _ = 1 / 0
    with fastest_convolutions(torch.device("cpu")):
        assert not cudnn.benchmark
    torch.use_deterministic_algorithms(True)
    try:
        with fastest_convolutions(gpu):
            assert not cudnn.benchmark
    finally:
        torch.use_deterministic_algorithms(False)
    assert not cudnn.benchmark


def test_apples_gpus_are_sent_no_float64(monkeypatch):
    sent = []
    monkeypatch.setattr(torch.Tensor, "to", lambda column, *_, **__: sent.append(column.dtype) or column)
    columns = torch.zeros(2, dtype=torch.int64), torch.arange(2), ("a",), {"age": torch.ones(2, dtype=torch.float64)}
    data.Dataset("two", torch.ones(2, 3), *columns).to(torch.device("mps"))
    assert torch.float64 not in sent
    assert sent.count(torch.float32) == 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_another_type_are_refused_before_any_work(dtype):
    method = JointEmbedding(nn.MLP([6, 8]).to(dtype), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1))
    kind = str(dtype).removeprefix("torch.")
    message = rf"method must have weights in float32, .* got {kind} in encoder\..*: call method\.float\(\)"
    with pytest.raises(TypeError, match=message):
        train.fit(method, toy(), store=False, progress=False, **SETTINGS)
    with pytest.raises(TypeError, match=message):
        embed(method, toy())
    train.fit(method.float(), toy(), store=False, progress=False, **SETTINGS)


@pytest.mark.parametrize("snapshots", [0, 3])
def test_samples_that_the_method_cannot_read_are_named_before_the_first_step(snapshots):
    narrow = replace(toy(), x=toy().x[:, :5].contiguous())
    plan = SETTINGS | {"snapshots": snapshots}
    for wrong, others in (("dataset", (narrow, toy())), ("snapshot_data", (toy(), narrow))):
        dataset, shown = others
        with pytest.raises(ValueError, match=rf"^{wrong} must hold samples that the method can read, got \(\d+, 5\)"):
            train.fit(build(), dataset, snapshot_data=shown, store=False, progress=False, **plan)


def test_samples_of_which_only_views_can_be_read_are_trained_on_without_snapshots():
    def wide(x, generator, n_views):
        return torch.randn(len(x), n_views, 6, generator=generator) + x.mean(1)[:, None, None]

    method = JointEmbedding(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", wide)
    narrow = replace(toy(), x=toy().x[:, :5].contiguous())
    plan = {"store": False, "progress": False, **SETTINGS}
    assert len(train.fit(method, narrow, **plan | {"snapshots": 0}).history) > 0
    with pytest.raises(ValueError, match="dataset must hold samples that the method can read"):
        train.fit(method, narrow, **plan | {"snapshots": 2})


class Doubled(data.Modality):
    """Rows of numbers in float64."""

    name, axes, dtypes = "doubled", "N, F", (torch.float64,)

    def encoder(self, x):
        return nn.MLP([x.shape[1], 8])

    def weak(self, x):
        return VectorViews(noise=0.1)

    hard = weak


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_samples_and_views_of_other_types_are_trained_on_in_float32(dtype):
    def augment(x, generator, n_views):
        return torch.stack([x] * n_views, dim=1).to(dtype)

    method = JointEmbedding(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", augment)
    doubled = replace(toy(), x=toy().x.double(), kind=Doubled())
    run = train.fit(method, doubled, store=False, progress=False, **SETTINGS)
    assert run.snapshots.z.isfinite().all()
