"""Runs opened by their names, without building their methods by hand."""

import pytest
import torch

from cl_explore import data, methods, nn, train
from cl_explore.app import cli
from cl_explore.evaluate import embed
from cl_explore.views import VectorViews


def toy(n=40):
    x = torch.randn(n, 6, generator=torch.Generator().manual_seed(1))
    return data.Dataset("toy", x, torch.arange(n) % 2, torch.arange(n), ("a", "b"))


def fit(store, loss="nt_xent", seed=0, augment=None, **knobs):
    torch.manual_seed(seed)
    augment = augment or VectorViews(noise=0.1)
    method = methods.JointEmbedding(nn.MLP([6, 16, 8]), nn.projection_head(8, 8, 4), loss, augment, **knobs)
    return train.fit(method, toy(), epochs=2, batch_size=16, seed=seed, store=store, progress=False, device="cpu")


def test_runs_are_listed_the_newest_first_and_deleted_by_name(tmp_path):
    first, second = fit(tmp_path), fit(tmp_path, seed=1)
    table = train.runs(tmp_path)
    assert set(table.index) == {first.path.name, second.path.name}
    row = table.loc[second.path.name, ["dataset", "method", "epochs", "batch_size", "seed"]]
    assert row.tolist() == ["toy", "JointEmbedding", 2, 16, 1]
    assert table["days"].is_monotonic_increasing
    assert (table["megabytes"] > 0).all()
    train.delete_run(second.path.name, tmp_path)
    assert list(train.runs(tmp_path).index) == [first.path.name]
    assert train.runs(tmp_path / "elsewhere").empty


LEARNED = torch.nn.Parameter(torch.tensor(0.3))


@pytest.mark.parametrize(("loss", "knobs"), [("supcon", {}), ("sogclr", {}), ("nt_xent", {"temperature": LEARNED})])
def test_a_run_is_opened_by_the_beginning_of_its_name(loss, knobs, tmp_path):
    kept = fit(tmp_path, loss, **knobs)
    opened = train.open_run(kept.path.name[:6], tmp_path)
    before, after = (dict(run.method.state_dict(keep_vars=True)) for run in (kept, opened))
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name])
        assert type(value) is type(after[name])
        assert value.requires_grad == after[name].requires_grad
    assert torch.equal(embed(kept.method, toy()).z, embed(opened.method, toy()).z)
    assert torch.equal(opened.encoder()(toy().x), embed(kept.method, toy()).h)
    assert opened.history.equals(kept.history)
    assert (opened.config, opened.path, opened.cached) == (kept.config, kept.path, True)


def test_what_cannot_be_opened_says_why(tmp_path):
    def own(x, generator, n_views):
        return x[:, None].repeat(1, n_views, 1)

    kept = fit(tmp_path, augment=own)
    with pytest.raises(ValueError, match=r"its method could not be pickled\): build its method and call fit again"):
        train.open_run(kept.path.name, tmp_path)
    assert fit(tmp_path, augment=own).cached
    with pytest.raises(ValueError, match="got 'nothing': 0 begin so"):
        train.open_run("nothing", tmp_path)
    other = fit(tmp_path)
    with pytest.raises(ValueError, match="got '': 2 begin so"):
        train.delete_run("", tmp_path)
    (other.path / "method.pickle").write_bytes(b"another")
    with pytest.raises(ValueError, match=r"method\.pickle is not what was written"):
        train.open_run(other.path.name, tmp_path)


def test_the_command_lists_shows_and_deletes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(tmp_path / "store"))
    assert cli.main(["runs"]) == 0
    assert capsys.readouterr().out == "no runs are kept\n"
    names = [fit(True, seed=seed).path.name for seed in range(2)]
    assert cli.main(["runs"]) == 0
    assert all(name in capsys.readouterr().out for name in names[:1])
    assert cli.main(["runs", "show", names[0]]) == 0
    shown = capsys.readouterr().out
    assert "loss=nt_xent" in shown
    assert "batch_size: 16" in shown
    assert cli.main(["runs", "delete"]) == 2
    assert "name one run, or say --days" in capsys.readouterr().err
    assert cli.main(["runs", "delete", "--days", "1"]) == 0
    assert capsys.readouterr().out == "0 of 2 runs deleted\n"
    assert cli.main(["runs", "delete", names[0]]) == 0
    assert cli.main(["runs", "delete", "--days", "0"]) == 0
    assert capsys.readouterr().out == "1 of 2 runs deleted\n1 of 1 runs deleted\n"
