"""The key of a run: a digest of everything that decides it, found by following the objects it is made of.

State counts by value: every plain attribute, tensor, array, hook and closure. Code of the rooms counts module by module
(see `imports`), that of installed packages by their version, all other code function by function, with every name that
a function reads.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from cl_explore.train import imports
from cl_explore.train.code import is_own, version
from cl_explore.train.walk import Walk


@dataclass(frozen=True)
class Key:
    """What decides a run, for its configuration, and why that may not be all.

    parts: "objects", a digest of all state and of the code followed function by function; "source", a digest of the
        modules of the package behind them; "versions" of the other packages behind them, by name.
    unsure: why another run may have the same key, in one line; None if none can.
    """

    parts: dict[str, Any]
    unsure: str | None


def key(*modules: str, tables: bool = False, **things: Any) -> Key:
    """The key of `things` together, and of the code in these modules of the package; equal in every session.

    tables: also of all that stands in the tables of names behind them (losses, data sets, kinds of samples), for things
        that are yet to be found by name.

    >>> key(knobs={"temperature": 0.1}) == key(knobs={"temperature": 0.2})
    False
    """
    walk = Walk()
    walk.modules.update(modules)
    walk.named(things)
    walk.named(_torch_settings())
    seen: set[str] = set()
    behind = imports.behind(walk.modules)
    while new := behind.keys() - seen:
        seen |= new
        for name in sorted(new):
            walk.named(_set_from_outside(name, behind[name]))
            walk.named({table: vars(sys.modules[name])[table] for table in behind[name].tables if tables})
        behind = imports.behind(walk.modules)
    walk.unsure += [f"{name} was edited after this session began" for name, module in behind.items() if module.edited]
    packages = walk.packages.union(*(module.packages for module in behind.values())) | {"torch"}
    source = " ".join(f"{name} {module.digest}" for name, module in behind.items())
    versions = {name: version(name) for name in sorted(packages) if version(name)}
    parts = {
        "objects": walk.hash.hexdigest(),
        "source": hashlib.sha256(source.encode()).hexdigest(),
        "versions": {"python": "{}.{}".format(*sys.version_info), **versions},
    }
    return Key(parts, walk.unsure[0] if walk.unsure else None)


def digest(config: Mapping[str, Any]) -> str:
    """The digest of a configuration; "method" is left out, a text that is there to be read."""
    deciding = {name: value for name, value in config.items() if name != "method"}
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def _set_from_outside(name: str, module: imports.Module) -> dict[str, Any]:
    """What is not in a loaded module's source: other values of its constants, and functions that are not its own."""
    live = vars(sys.modules[name]) if name in sys.modules else {}
    constants = {
        each: live[each] for each, value in module.constants.items() if repr(live.get(each, value)) != repr(value)
    }
    return {**constants, **{each: value for each, value in live.items() if is_own(value)}}


def _torch_settings() -> dict[str, Any]:
    hooks = {name: value for name, value in vars(nn.modules.module).items() if name.startswith("_global_")}
    return {
        "torch": torch.__version__,
        "default_dtype": torch.get_default_dtype(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        **{name: list(value.values()) for name, value in hooks.items() if isinstance(value, dict)},
    }
