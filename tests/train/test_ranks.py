"""Two processes of `torchrun` on the CPU train as one does."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from two_ranks import build, fit, record, toy

from cl_explore.train.ranks import synchronise_batch_norm
from cl_explore.views import VectorViews


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    script = Path(__file__).with_name("two_ranks.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*command, str(script), str(folder / "store"), str(folder / "result")],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [torch.load(folder / f"result-{rank}") for rank in (0, 1)], done


@pytest.fixture(scope="module")
def found(launched):
    return launched[0]


def same(first, second):
    """Equal in every bit but for the seconds and for whether it was loaded."""
    torch.testing.assert_close(first["weights"], second["weights"], atol=0, rtol=0)
    assert torch.equal(first["z"], second["z"])
    assert {**first["history"], "seconds": None} == {**second["history"], "seconds": None}


@pytest.mark.parametrize("loss", ["nt_xent", "varcon"])
def test_two_processes_end_where_one_does(found, loss):
    alone = record(fit(build(loss=loss)))
    for rank in (0, 1):
        torch.testing.assert_close(found[rank][loss]["weights"], alone["weights"], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(found[rank][loss]["z"], alone["z"], atol=1e-5, rtol=1e-4)
        for name in alone["history"].keys() - {"seconds"}:
            assert found[rank][loss]["history"][name] == pytest.approx(alone["history"][name], abs=1e-5), name


def test_every_process_gets_the_same_run(found):
    for name in ("nt_xent", "whole", "again", "resumed"):
        same(found[0][name], found[1][name])
        assert found[0][name]["history"]["seconds"] == found[1][name]["history"]["seconds"]


def test_the_batch_is_shared_out_in_order(found):
    method = build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2)
    fit(method, seed=3)
    assert [len(each["seen"]) for each in found] == [8, 7]
    assert found[0]["seen"] + found[1]["seen"] == method.seen.tolist()


def test_no_process_is_asked_in_a_step_for_what_all_know(found):
    for each in found:  # embeddings, labels and index, padded to the larger share
        assert each["joined"] == [(8, 2, 4), (8,), (8,)] * (len(each["joined"]) // 3)
        assert len(each["joined"]) == 3 * 12 * 2


def test_each_process_draws_views_of_its_own_by_seed_and_rank(found):
    for rank in (0, 1):
        _, seed, _ = np.random.SeedSequence([3, rank]).generate_state(3).tolist()
        assert torch.equal(found[rank]["generator"], torch.Generator().manual_seed(seed).get_state())
    method = build(VectorViews(noise=0.1))
    fit(method, seed=3)
    assert torch.equal(method.generator_state, found[0]["generator"])


def test_one_run_is_kept_and_loaded_again_by_both(found, tmp_path):
    assert len(found[0]["kept"]) == 1
    assert [each["again"]["cached"] for each in found] == [True, True]
    same(found[0]["whole"], found[0]["again"])
    method = build(VectorViews(noise=0.1), batch_norm=True, dropout=0.2)
    fit(method, store=tmp_path, seed=3)
    assert {path.name for path in tmp_path.iterdir()}.isdisjoint(found[0]["kept"])  # one process is another run


def test_an_interrupt_of_one_process_stops_both_and_the_run_goes_on_in_the_same_bits(found):
    for each in found:
        assert each["interrupt"].startswith("after step 32 of 42. To go on")
        assert each["steps after it"] == 10
        same(each["resumed"], each["straight"])


def test_only_the_first_process_shows_progress(launched):
    _, done = launched
    assert done.stdout.count("goes on after step 32 of 42") == 1


def test_what_cannot_be_done_by_many_is_refused(found):
    for each in found:
        assert each["refusals"][0] == "sync_batchnorm needs GPUs, got device 'cpu'"
        assert each["refusals"][1].endswith("each of the 2 processes has a device of its own, so name only its kind")


def test_a_single_process_takes_all_options():
    plain, synchronised = (record(fit(build(batch_norm=True), sync_batchnorm=on)) for on in (False, True))
    same(plain, synchronised)
    assert len(toy()) == 50
    with pytest.raises(TypeError, match="sync_batchnorm must be True or False, got 1"):
        fit(build(), sync_batchnorm=1)


def test_synchronised_batch_norm_takes_the_place_of_the_local_one():
    method = build(batch_norm=True).eval()
    x, weights = toy().x, dict(method.state_dict())
    before = method(x)
    synchronise_batch_norm(method, SimpleNamespace(world_size=2, device=torch.device("cuda")))
    kinds = [type(module).__name__ for module in method.modules()]
    assert "SyncBatchNorm" in kinds
    assert "BatchNorm1d" not in kinds
    assert torch.equal(method(x), before)
    torch.testing.assert_close(dict(method.state_dict()), weights, atol=0, rtol=0)
