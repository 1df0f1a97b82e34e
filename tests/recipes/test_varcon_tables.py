"""VarCon's tables run from one end to the other in miniature, and their measures measure what they say."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cl_explore import data, nn
from cl_explore.data import published
from cl_explore.evaluate import Embedding

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module, with a run store that the tests share, as the tables share their trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "recipes")
        patch.setenv("CL_EXPLORE_RUNS", str(tmp_path_factory.mktemp("runs")))
        yield importlib.import_module("varcon_tables")


@pytest.mark.parametrize("table", ["cifar100", "views", "transfer", "imagenet"])
def test_a_table_is_made_in_miniature(table: str, tables: ModuleType, tmp_path: Path) -> None:
    rows = tables.main([table, "--smoke", "--seed", "1", "--out", str(tmp_path)])
    assert json.loads((tmp_path / f"{table}-1.json").read_text()) == rows
    assert len({(row["method"], row["views"], row["measure"]) for row in rows}) == len(rows)
    assert {row["method"] for row in rows} == {"VarCon", "SupCon"}
    assert {row["views"] for row in rows} == set(tables.EXPERIMENTS[table].strengths)
    assert all(-100 <= row["value"] <= 100 for row in rows)
    lines = (tmp_path / f"{table}-1.md").read_text().splitlines()
    assert lines[0] == "| views | measure | VarCon | SupCon |"
    first, second = rows[0], next(row for row in rows if row["method"] == "SupCon")
    assert lines[2] == f"| {first['views']:g} | {first['measure']} | {first['value']:.2f} | {second['value']:.2f} |"
    assert len(lines) == 2 + len(rows) / 2


def test_its_data_sets_exist_and_take_the_sizes_named(
    tables: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CL_EXPLORE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(published, "CLONE", tmp_path)
    for table, experiment in tables.EXPERIMENTS.items():
        with pytest.raises(FileNotFoundError, match=rf"{experiment.data} \(train\) was not found"):
            tables.main([table])
        assert set(experiment.targets) <= set(data.names())
        assert hasattr(nn, experiment.encoder)


def test_the_stem_for_photographs_divides_the_side_by_four(tables: ModuleType) -> None:
    backbone = nn.resnet18(width=8)
    tables.widen_stem(backbone)
    assert backbone.layers[:4](torch.zeros(2, 3, 64, 64)).shape == (2, 8, 16, 16)
    assert backbone(torch.zeros(2, 3, 64, 64)).shape == (2, backbone.out_features)


def test_clusters_are_compared_with_classes_and_superclasses(tables: ModuleType) -> None:
    """Two superclasses at right angles, of two classes each that lie a little apart."""
    labels = torch.arange(40) % 4
    corner = torch.tensor([[1.0, 0.3, 0.0], [1.0, -0.3, 0.0], [0.0, 0.3, 1.0], [0.0, -0.3, 1.0]])
    h = corner[labels] + 0.01 * torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    test = data.Dataset("tree", h, labels, torch.arange(40), tuple("abcd"), {"superclass": labels // 2})
    found = tables.clusters(Embedding(h, h, labels, test.index), test)
    assert len(found) == 6
    assert list(found.values()) == pytest.approx([100] * 6)


def test_few_labels_are_as_many_as_named(tables: ModuleType) -> None:
    """One class in two places: one label cannot know of both, ten do."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 2
    place = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.1]])[torch.arange(80) % 4]
    h = place + 0.01 * torch.randn(80, 3, generator=generator)
    seen = Embedding(h, h, labels, torch.arange(80))
    found = tables.few_labels(seen, seen, 0)
    assert found["1 labels a class, nearest"] < 90
    assert found["10 labels a class, nearest"] == pytest.approx(100)


def test_every_table_is_in_the_documentation(tables: ModuleType) -> None:
    page = (ROOT / "docs" / "varcon_tables.md").read_text()
    assert [name for name in tables.EXPERIMENTS if f"`python recipes/varcon_tables.py {name}`" not in page] == []
