"""See, touch and measure how contrastive learning works.

The rooms, from the ground up: `losses` and `geometry` (functions of embeddings); `data`, `views` and `nn`; `methods`
and `evaluate`; `train`; `plots` and `widgets`; `claims`; `papers`; `app`. A module imports only from rooms below its
own, and importing the package alone imports none of them: each is imported when it is first asked for.

>>> import cl_explore
>>> cl_explore.losses.get("nt_xent").name
'nt_xent'
"""

import importlib
import pkgutil
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cl_explore import app as app
    from cl_explore import claims as claims
    from cl_explore import data as data
    from cl_explore import evaluate as evaluate
    from cl_explore import geometry as geometry
    from cl_explore import losses as losses
    from cl_explore import methods as methods
    from cl_explore import nn as nn
    from cl_explore import papers as papers
    from cl_explore import plots as plots
    from cl_explore import train as train
    from cl_explore import views as views
    from cl_explore import widgets as widgets

__version__ = "0.1.0"

_ROOMS = {module.name for module in pkgutil.iter_modules(__path__) if module.ispkg}


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
