"""An exported encoder gives the same numbers in programs that know nothing of this package."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file

from cl_explore import data, methods, nn, train
from cl_explore.app import cli
from cl_explore.views import ImageViews

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.manual_seed(0)
    method = methods.JointEmbedding(nn.ConvNet(1, width=4), nn.projection_head(16, 8, 4), "nt_xent", ImageViews.weak())
    store = tmp_path_factory.mktemp("store")
    return train.fit(method, data.load("digits"), epochs=1, batch_size=1024, store=store, progress=False, device="cpu")


@pytest.fixture(scope="module")
def x():
    return torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def h(run, x):
    with torch.no_grad():
        return run.encoder()(x)


@pytest.mark.parametrize("ending", [".pt", ".safetensors"])
def test_weights_are_read_by_name(run, tmp_path, ending):
    path = train.export(run, tmp_path / f"encoder{ending}")
    found = torch.load(path, weights_only=True) if ending == ".pt" else load_file(path)
    wanted = run.encoder().state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_program_runs_without_this_package(run, x, h, tmp_path):
    path = train.export(run, tmp_path / "deep" / "encoder.pt2", SHAPE)
    torch.save(x, tmp_path / "x.pt")
    code = f"""if True:
        import sys, torch
        sys.modules["cl_explore"] = None
        network = torch.export.load({str(path)!r}).module()
        torch.save(network(torch.load({str(tmp_path / "x.pt")!r})).detach(), {str(tmp_path / "h.pt")!r})
    """
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    torch.testing.assert_close(torch.load(tmp_path / "h.pt"), h)


def test_onnx_gives_the_same_numbers_for_any_number_of_samples(run, x, h, tmp_path):
    network = ReferenceEvaluator(str(train.export(run, tmp_path / "encoder.onnx", SHAPE)))
    for rows in (slice(0, 1), slice(0, 5)):
        (found,) = network.run(None, {"x": x[rows].numpy()})
        np.testing.assert_allclose(found, h[rows], rtol=1e-4, atol=1e-5)


def test_a_folder_holds_what_a_hub_asks_for(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CL_EXPLORE_RUNS", str(run.path.parent))
    assert cli.main(["runs", "export", run.path.name, str(tmp_path / "published")]) == 0
    folder = tmp_path / "published"
    assert capsys.readouterr().out == f"{folder}\n"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text())["dataset"]["name"] == "digits"
    assert "of digits; all settings are in config.json" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "shape", "error", "text"),
    [
        ("encoder.h5", SHAPE, ValueError, r"path must end in .pt, .safetensors, .pt2, .onnx or be a folder"),
        ("encoder.onnx", None, ValueError, "shape, that of one sample, is needed for .onnx"),
        ("encoder.pt2", (3, 8, 8), ValueError, r"shape must be one that the encoder reads, got \(3, 8, 8\)"),
        ("there.pt", None, FileExistsError, "is there already"),
    ],
)
def test_what_cannot_be_written_is_named_and_leaves_nothing(run, name, shape, error, text, tmp_path):
    (tmp_path / "there.pt").touch()
    with pytest.raises(error, match=text):
        train.export(run, tmp_path / name, shape)
    assert [path.name for path in tmp_path.iterdir()] == ["there.pt"]


def test_a_package_that_is_missing_is_named_with_its_line(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "cl_explore\[export\]"'):
        train.export(run, tmp_path / "published")
    assert list(tmp_path.iterdir()) == []
