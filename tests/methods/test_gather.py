"""Two processes that train together do what one does with the joined batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from every_loss import CASES

from cl_explore.methods import gather

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gather")
    commands = [
        [sys.executable, str(SCRIPT), str(rank), str(folder / "meeting"), str(folder / "result")] for rank in (0, 1)
    ]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return json.loads((folder / "result").read_text())


@pytest.mark.parametrize("case", CASES)
def test_loss_gradients_and_state_are_those_of_one_process(found, case):
    distance = found[f"{case}, 7 samples"]
    assert distance["to one process"] < 1e-10
    assert distance["between ranks"] == 0


@pytest.mark.parametrize("samples", [8, 7], ids=["even", "uneven"])
def test_a_method_written_by_a_reader(found, samples):
    distance = found[f"SigLIP by a reader's own method, {samples} samples"]
    assert distance["to one process"] < 1e-10
    assert distance["between ranks"] == 0


def test_rows_come_in_the_order_of_ranks(found):
    assert found["order"] == [[0, 1, 2, 0, 1, 2, 3], [0, 1, 2, 10, 11, 12, 13]]


def test_a_single_process_gets_its_own_tensors_back():
    z, labels = torch.randn(3, 2, 4), torch.arange(3)
    joined = gather(z, labels)
    assert joined[0] is z
    assert joined[1] is labels
