"""See, touch and measure how contrastive learning works.

The rooms, from the ground up: `losses` and `geometry` (functions of embeddings); `data`, `views` and `nn`; `methods`
and `evaluate`; `train`; `plots` and `widgets`; `claims`; `papers`; `app`. A module imports only from rooms below its
own, and importing the package alone imports none of them.

>>> from cl_explore import losses, geometry, data
"""

__version__ = "0.1.0"
