"""The one training loop, its history, snapshots and checkpoints, the store of finished runs, and sweeps over many."""

# ruff: noqa: E402

from cl_explore.needed import needed as _needed

_needed(
    "cl_explore.train", PIL="pillow", tqdm="tqdm", pandas="pandas", joblib="joblib", lightning_fabric="lightning-fabric"
)

from cl_explore.train.export import export
from cl_explore.train.fit import fit
from cl_explore.train.health import CollapseWarning
from cl_explore.train.kept import delete_run, open_run, runs
from cl_explore.train.lars import LARS
from cl_explore.train.loop import Loop
from cl_explore.train.run import Progress, Run, Snapshots, snapshot_steps
from cl_explore.train.sweep import Result, Sweep, sweep

__all__ = [
    "LARS",
    "CollapseWarning",
    "Loop",
    "Progress",
    "Result",
    "Run",
    "Snapshots",
    "Sweep",
    "delete_run",
    "export",
    "fit",
    "open_run",
    "runs",
    "snapshot_steps",
    "sweep",
]
