import math

import pytest
import torch

from cl_explore import data, nn, train
from cl_explore.evaluate import embed, knn_accuracy
from cl_explore.methods import JointEmbedding, Method, Step
from cl_explore.views import ImageViews, VectorViews


def build(loss="nt_xent", seed=0, dropout=0.0, **knobs):
    torch.manual_seed(seed)
    encoder = torch.nn.Sequential(nn.MLP([6, 16, 8]), torch.nn.Dropout(dropout))
    return JointEmbedding(encoder, nn.projection_head(8, 8, 4), loss, VectorViews(noise=0.1), **knobs)


def toy(n=50):
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % 3
    return data.Dataset("toy", torch.randn(n, 6, generator=generator), labels, torch.arange(n) + 100, tuple("abc"))


def fit(method, dataset=None, **options):
    settings = {"epochs": 3, "batch_size": 16, "store": False, "progress": False, "device": "cpu"}
    return train.fit(method, dataset or toy(), **settings | options)


def weights(method):
    return {name: value.clone() for name, value in method.state_dict().items()}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def digits():
    return data.load("digits"), data.load("digits", "test")


@pytest.mark.parametrize(("loss", "least"), [("nt_xent", 0.93), ("supcon", 0.96), ("varcon", 0.96)])
def test_a_few_epochs_on_digits_improve_the_neighbours_of_test_images(digits, loss, least):
    torch.manual_seed(0)
    head = nn.projection_head(64, 64, 32)
    method = JointEmbedding(nn.MLP([64, 128, 64]), head, loss, ImageViews.weak(), temperature=0.2)

    def accuracy():
        seen, unseen = (embed(method, part) for part in digits)
        return knn_accuracy(seen.h, seen.labels, unseen.h, unseen.labels)

    before = accuracy()
    run = fit(method, digits[0], epochs=6, batch_size=128)
    assert accuracy() > max(before, least)
    assert run.history["loss"].tail(5).mean() < run.history["loss"].iloc[0]


def test_equal_seeds_give_bit_identical_weights_and_others_do_not():
    runs = [fit(build(dropout=0.2), seed=seed) for seed in (3, 3, 4)]
    first, again, other = (weights(run.method) for run in runs)
    assert same(first, again)
    assert not same(first, other)
    assert runs[0].history.drop(columns="seconds").equals(runs[1].history.drop(columns="seconds"))
    assert torch.equal(runs[0].snapshots.z, runs[1].snapshots.z)


def test_the_global_random_state_neither_matters_nor_changes():
    method = build(dropout=0.2)
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    fit(method, seed=3)
    assert torch.equal(torch.randn(3), expected)
    assert same(weights(method), weights(fit(build(dropout=0.2), seed=3).method))


def test_watching_does_not_change_the_result():
    plain, watched = build(dropout=0.2), build(dropout=0.2)
    fit(plain, snapshots=0)
    fit(watched, snapshots=10, progress=True)
    assert same(weights(plain), weights(watched))


def test_history_has_a_row_for_each_step():
    history = fit(build(), lr=0.1, warmup_epochs=1).history
    assert list(history.columns) == ["step", "epoch", "loss", "lr", "seconds", "positive"]
    assert history["step"].tolist() == list(range(1, 10))  # 50 samples make 3 whole batches of 16 an epoch
    assert history["epoch"].tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert history["lr"].tolist()[:4] == pytest.approx([0.1 / 3, 0.2 / 3, 0.1, 0.1])
    assert history["seconds"].is_monotonic_increasing
    assert history["loss"].between(0, math.log(31) + 5).all()


def test_snapshots_line_up_with_their_samples():
    dataset = toy()
    chosen = dataset.subset(torch.tensor([40, 3, 17]))
    method = build()
    untrained = embed(method, chosen)
    run = fit(method, dataset, snapshots=4, snapshot_data=chosen)
    shots, trained = run.snapshots, embed(method, chosen)
    assert shots.steps.tolist() == [0, 1, 4, 9]
    assert shots.index.tolist() == [140, 103, 117]
    assert shots.labels.tolist() == [1, 0, 2]
    assert (shots.h.shape, shots.z.shape) == ((4, 3, 8), (4, 3, 4))
    for row, embedding in ((0, untrained), (-1, trained)):
        assert torch.equal(shots.h[row], embedding.h)
        assert torch.equal(shots.z[row], embedding.z)


def test_snapshots_are_of_a_fixed_draw_of_the_data_unless_told():
    dataset = toy(2000)
    first, other = (fit(build(), dataset, epochs=1, batch_size=500, seed=seed).snapshots for seed in (0, 1))
    assert len(first.index) == 1000
    assert torch.equal(first.index, other.index)
    assert torch.equal(first.labels, dataset.labels[first.index - 100])
    assert first.labels.bincount().min() > 250
    none = fit(build(), snapshots=0).snapshots
    assert none.steps.shape == (0,)
    assert len(none.h) == len(none.z) == 0


def test_each_epoch_visits_every_sample_once_in_a_new_order():
    class Witness(Method):
        seen = torch.empty(0, dtype=torch.int64)

        def step(self, batch, generator):
            self.seen = torch.cat([self.seen, batch.index])
            assert torch.equal(batch.labels, (batch.index - 100) % 3)
            return Step(self.project(self(batch.x)).square().mean(), {})

    method = Witness(nn.MLP([6, 4]), nn.MLP([4, 2]), VectorViews())
    fit(method, toy(48), epochs=2)
    first, second = method.seen.split(48)
    assert first.sort().values.tolist() == second.sort().values.tolist() == list(range(100, 148))
    assert not torch.equal(first, second)


def test_after_step_is_called_once_for_each_step_after_the_optimiser():
    class Counting(JointEmbedding):
        moved = 0

        def after_step(self):
            self.moved += not torch.equal(self.head.layers[0].weight, self.before)
            self.before = self.head.layers[0].weight.detach().clone()

    torch.manual_seed(0)
    method = Counting(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1))
    method.before = method.head.layers[0].weight.detach().clone()
    assert len(fit(method).history) == method.moved == 9


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_step(tmp_path):
    class Breaking(JointEmbedding):
        steps = 0

        def step(self, batch, generator):
            self.steps += 1
            loss, metrics = super().step(batch, generator)
            return Step(loss * math.nan if self.steps == 5 else loss, metrics)

    method = Breaking(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1), temperature=0.3)
    message = r"loss became nan at step 5 \(epoch 2, lr 0.0013, knobs: temperature=0.3\).*smaller lr"
    with pytest.raises(FloatingPointError, match=message):
        fit(method, lr=2.2e-3, store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_exploding_learning_rate_is_caught():
    with pytest.raises(FloatingPointError, match=r"loss became nan at step 2 .*larger temperature"):
        fit(build(), lr=1e30, optimizer="sgd")


def test_an_interrupt_keeps_nothing_and_leaves_the_method_usable(tmp_path):
    class Interrupted(JointEmbedding):
        def after_step(self):
            raise KeyboardInterrupt

    method = Interrupted(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", VectorViews(noise=0.1))
    state = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit(method, store=tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not method.training
    assert torch.equal(torch.get_rng_state(), state)


def test_progress_can_be_turned_off(capsys):
    fit(build())
    assert capsys.readouterr() == ("", "")
    fit(build(), progress=True)
    assert "loss=" in capsys.readouterr().err


def test_bfloat16_autocast_trains():
    history = fit(build(), epochs=20, precision="bf16-mixed").history
    assert history["loss"].tail(3).mean() < history["loss"].head(3).mean()


BAD = {
    "epochs": (0, "epochs must be at least 1, got 0"),
    "batch_size": (1, "batch_size must be at least 2, got 1"),
    "lr": (0.0, "lr must be positive and finite, got 0.0"),
    "weight_decay": (-1, "weight_decay must be at least 0"),
    "warmup_epochs": (3, r"warmup_epochs must be from 0 to less than epochs \(3\), got 3"),
    "seed": (-1, "seed must be at least 0, got -1"),
    "snapshots": (-2, "snapshots must be at least 0, got -2"),
    "precision": ("fp8", "precision must be one of .*got 'fp8'"),
    "optimizer": ("lion", "optimizer must be one of adam, sgd, lars, got 'lion'"),
    "device": ("quantum", "device 'quantum' .*cannot be used"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_settings_are_named_before_any_work(name):
    value, message = BAD[name]
    method = build()
    before = weights(method)
    with pytest.raises(ValueError, match=message):
        fit(method, **{name: value})
    assert same(weights(method), before)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="batch_size must be at most the 50 samples of toy, got 64"):
        fit(build(), batch_size=64)
    with pytest.raises(TypeError, match=r"epochs must be a whole number, got 2\.5"):
        fit(build(), epochs=2.5)
    with pytest.raises(TypeError, match=r"method must be .*Method, got Linear"):
        fit(torch.nn.Linear(6, 2))
    with pytest.raises(TypeError, match=r"dataset must be .*Dataset, got list"):
        fit(build(), [1, 2])
