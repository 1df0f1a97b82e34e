"""What stands behind a run, in a copy of the package that may be edited."""

import os
import shutil
from pathlib import Path

import pytest
import torch

import cl_explore
from cl_explore import nn, views
from cl_explore.methods import JointEmbedding
from cl_explore.train import imports
from cl_explore.train.key import key

LOOP = "cl_explore.train.loop"


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The folder of the copy; whoever writes to it goes through `write`."""
    root = tmp_path / "cl_explore"
    shutil.copytree(Path(cl_explore.__file__).parent, root, ignore=shutil.ignore_patterns("__pycache__", "*.js"))
    monkeypatch.setattr(imports, "_ROOT", root)
    forget()
    yield root
    forget()


def forget():
    for each in (imports.read, imports._links, imports._home, imports._nodes):
        each.cache_clear()


def write(path, text, seconds=-1000):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (imports._STARTED + seconds,) * 2)
    forget()


def method():
    torch.manual_seed(0)
    return JointEmbedding(nn.MLP([6, 8]), nn.projection_head(8, 8, 4), "nt_xent", views.VectorViews())


def found():
    return key(LOOP, method=method())


USED = (
    "data/dataset", "evaluate/embedding", "losses/catalogue", "losses/infonce", "losses/similarity", "losses/tiles",
    "methods/gather", "methods/joint_embedding", "methods/method", "methods/skeleton", "nn/mlp", "train/feed",
    "train/key", "train/loop", "train/randomness", "train/schedule", "train/settings", "views/base", "views/vectors",
)  # fmt: skip
UNUSED = (
    "__init__", "data/__init__", "data/cifar", "evaluate/retrieval", "geometry/collapse", "losses/__init__",
    "losses/decoupled", "methods/momentum_contrast", "nn/resnet", "train/checkpoints", "train/fit", "train/store",
    "train/sweep", "views/images", "app/**/*", "claims/**/*", "papers/**/*", "plots/**/*", "widgets/**/*",
)  # fmt: skip


def test_an_edit_counts_where_it_is_used_and_nowhere_else(copy):
    before = found()
    assert before.unsure is None
    for path in [path for name in UNUSED for path in copy.glob(f"{name}.py")]:
        write(path, f"{path.read_text()}\nadded = 1\n")
    assert found() == before
    for name in ("losses/tiles", "views/base", "train/schedule"):
        text = (copy / f"{name}.py").read_text()
        write(copy / f"{name}.py", f"{text}\nadded = 1\n")
        assert found() != before, name
        write(copy / f"{name}.py", text)
    assert found() == before


def test_all_that_a_run_uses_stands_behind_it(monkeypatch):
    behind = {}
    monkeypatch.setattr(imports, "behind", lambda modules, real=imports.behind: behind.update(real(modules)) or behind)
    found()
    assert {f"cl_explore.{name.replace('/', '.')}" for name in USED} <= behind.keys()


def test_comments_and_docstrings_count_nowhere(copy):
    before = found()
    for name in USED:
        path = copy / f"{name}.py"
        lines = path.read_text().replace('"""', '"""Now: ', 1).replace("\n    def ", "\n    # a method\n\n    def ")
        write(path, f'# a comment\n{lines}\n\n"""A text."""\n')
    assert found() == before


def test_new_files_and_other_papers_count_nowhere(copy):
    before = found()
    write(copy / "nn" / "new.py", "size = 1\n")
    write(copy / "papers" / "new" / "study.py", "size = 1\n")
    shutil.rmtree(copy / "papers" / "mochi")
    forget()
    assert found() == before


def test_sub_folders_count(copy):
    views_file = copy / "views" / "vectors.py"
    write(views_file, f"from cl_explore.views.deep import size\n{views_file.read_text()}")
    write(copy / "views" / "deep" / "__init__.py", "from cl_explore.views.deep.sizes import size\n")
    write(copy / "views" / "deep" / "sizes.py", "size = 1\n")
    write(copy / "views" / "deep" / "other.py", "size = 1\n")
    before = found()
    write(copy / "views" / "deep" / "other.py", "size = 2\n")
    assert found() == before
    write(copy / "views" / "deep" / "sizes.py", "size = 2\n")
    assert found() != before


WAYS = {
    "from cl_explore import losses\nlosses.dcl": {"losses.decoupled"},
    "from cl_explore import losses as functions\nfunctions.dcl(functions.nt_xent)": {
        "losses.decoupled", "losses.infonce"
    },
    "from cl_explore.losses import dcl": {"losses.decoupled"},
    "from ..losses import dcl as other": {"losses.decoupled"},
    "from ..losses.decoupled import dcl": {"losses.decoupled"},
    "from . import vectors": {"views.vectors"},
    "import cl_explore.losses.decoupled as one\none.dcl": {"losses.decoupled"},
    "import cl_explore.losses as functions\nfunctions.tiles.KEPT": {"losses.tiles"},
    "import cl_explore.losses.decoupled\ncl_explore.losses.decoupled.dcl": {"losses.decoupled", "losses"},
    "import cl_explore\ncl_explore.__version__": {""},
    "from cl_explore import losses\ngetattr(losses, 'dcl')": {"losses"},
    "from cl_explore.losses import *": {"losses"},
    "from cl_explore.losses import catalogue": {"losses.catalogue"},
    "from cl_explore.data import PUBLISHED": {"data"},
    "def late():\n    from cl_explore.losses import dcl": {"losses.decoupled"},
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cl_explore.losses import dcl": set(),
    "import numpy.linalg\nfrom torch import nn": set(),
}  # fmt: skip


@pytest.mark.parametrize("source", WAYS)
def test_every_form_of_import_leads_to_where_a_name_is_written(copy, source):
    write(copy / "views" / "new.py", source)
    module = imports.read("cl_explore.views.new")
    assert module.needs == {f"cl_explore.{name}".rstrip(".") for name in WAYS[source]}


def test_packages_are_listed(copy):
    write(
        copy / "views" / "new.py", "import numpy.linalg as la\nfrom torch.nn import functional\nimport cl_explore.nn\n"
    )
    assert imports.read("cl_explore.views.new").packages == {"numpy", "torch"}


def test_a_file_edited_after_it_was_imported_makes_unsure(copy):
    path = copy / "views" / "vectors.py"
    write(path, path.read_text(), seconds=+1000)
    assert found().unsure == "cl_explore.views.vectors was edited after this session began"
