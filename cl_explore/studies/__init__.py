"""Studies: a paper's mechanism at small scale, its claims fixed beforehand, and what paired seeds say of them."""

from cl_explore.studies.study import Row, Study, get, names
from cl_explore.studies.verdict import Claim, Verdict, judge

__all__ = ["Claim", "Row", "Study", "Verdict", "get", "judge", "names"]
