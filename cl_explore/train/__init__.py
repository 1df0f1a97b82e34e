"""The one training loop, its history and snapshots, and the store of finished runs."""

from cl_explore.train.fit import fit
from cl_explore.train.run import Run, Snapshots, snapshot_steps

__all__ = ["Run", "Snapshots", "fit", "snapshot_steps"]
