"""The one training loop, its history, snapshots and checkpoints, and the store of finished runs."""

from cl_explore.train.fit import fit
from cl_explore.train.health import CollapseWarning
from cl_explore.train.lars import LARS
from cl_explore.train.loop import Loop, Progress
from cl_explore.train.run import Run, Snapshots, snapshot_steps

__all__ = ["LARS", "CollapseWarning", "Loop", "Progress", "Run", "Snapshots", "fit", "snapshot_steps"]
