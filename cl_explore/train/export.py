"""What is left of a run for other programs: its encoder's weights, or the encoder itself, in formats that many read."""

import copy
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cl_explore.disk import whole
from cl_explore.takes import Count, takes
from cl_explore.train.run import Run


@takes
def export(run: Run, path: str | Path, shape: Sequence[Count] | None = None) -> Path:
    """Write the trained encoder to `path`, in the format that its ending names, and return the path.

    ".pt" and ".safetensors" hold the weights by name; ".pt2" (torch.export) and ".onnx" hold the network, for any
    number of samples. A name without an ending is a folder to be published: model.safetensors, config.json with all
    settings of the run, and a README.md to be completed.
    shape: of one sample, such as (3, 32, 32), of float32; needed for ".pt2" and ".onnx".
    Raises: ValueError for another ending, for a missing shape and for one that the encoder cannot read; FileExistsError
        if there is something already; ModuleNotFoundError, with the line that installs what is missing. Nothing is left
        half-written.
    """
    path = Path(path)
    writers = {".pt": _weights, ".safetensors": _safetensors, ".pt2": _program, ".onnx": _onnx, "": _folder}
    if path.suffix not in writers:
        raise ValueError(f"path must end in {', '.join(filter(None, writers))} or be a folder's, got {path.name!r}")
    if path.exists():
        raise FileExistsError(f"{path} is there already: name another path, or delete it")
    encoder = copy.deepcopy(run.encoder()).cpu()
    sample = _sample(encoder, shape, path.suffix) if path.suffix in (".pt2", ".onnx") else torch.empty(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with whole(path) as new:
            writers[path.suffix](new, encoder, run, sample)
    except ModuleNotFoundError as error:
        text = f'{path.name} needs {error.name}, which is not installed: pip install "cl_explore[export]"'
        raise ModuleNotFoundError(text, name=error.name) from error
    return path


def _sample(encoder: nn.Module, shape: Sequence[int] | None, ending: str) -> Tensor:
    if shape is None:
        raise ValueError(f"shape, that of one sample, is needed for {ending}")
    sample = torch.zeros(2, *shape)
    try:
        with torch.no_grad():
            encoder(sample)
    except Exception as error:
        raise ValueError(f"shape must be one that the encoder reads, got {tuple(shape)}: {error}") from error
    return sample


def _plain(encoder: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous().clone() for name, value in encoder.state_dict().items()}


def _weights(path: Path, encoder: nn.Module, run: Run, sample: Tensor) -> None:
    torch.save(_plain(encoder), path)


def _safetensors(path: Path, encoder: nn.Module, run: Run, sample: Tensor) -> None:
    from safetensors.torch import save_file

    save_file(_plain(encoder), path, {"cl_explore": json.dumps(run.config)})


def _program(path: Path, encoder: nn.Module, run: Run, sample: Tensor) -> None:
    batch = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(encoder, (sample,), dynamic_shapes=batch), path)


def _onnx(path: Path, encoder: nn.Module, run: Run, sample: Tensor) -> None:
    import onnxscript  # noqa: F401  # named here where it is missing, rather than by torch

    batch = ({0: torch.export.Dim("batch")},)
    program = torch.onnx.export(
        encoder, (sample,), input_names=["x"], output_names=["h"], dynamic_shapes=batch, dynamo=True, verbose=False
    )
    assert program is not None
    program.save(path)


def _folder(path: Path, encoder: nn.Module, run: Run, sample: Tensor) -> None:
    import safetensors  # noqa: F401  # before the folder is made

    path.mkdir()
    _safetensors(path / "model.safetensors", encoder, run, sample)
    (path / "config.json").write_text(json.dumps(run.config, indent=1), encoding="utf-8")
    data, steps = run.config["dataset"], len(run.history)
    (path / "README.md").write_text(
        f"# An encoder trained with contrastive learning\n\n"
        f"{steps:,} steps on {data['samples']:,} samples of {data['name']}; all settings are in config.json.\n\n"
        f"```\n{encoder}\n```\n\nTo be completed: what it is for, what it was measured on, licence.\n",
        encoding="utf-8",
    )
