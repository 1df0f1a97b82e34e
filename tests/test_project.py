"""pyproject.toml, constraints.txt, environment.yml and the sources ask for the same packages."""

import ast
import re
import shutil
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
CONDA_TO_PIP = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def by_name(requirements: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(requirement.name): requirement.specifier for requirement in parsed}


BASE = by_name(PROJECT["dependencies"])
PINS = by_name([line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")])


def test_environment_yml_asks_for_what_pyproject_asks_for() -> None:
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (from_pip,) = [entry["pip"] for entry in listed if isinstance(entry, dict)]
    conda = by_name([entry for entry in listed if isinstance(entry, str)])
    assert conda.pop("python") == SpecifierSet(PROJECT["requires-python"])
    conda.pop("pip")
    assert from_pip.pop() == "-e ."
    assert {CONDA_TO_PIP.get(name, name): wanted for name, wanted in conda.items()} | by_name(from_pip) == BASE


def test_binder_finds_its_environment_and_installs_the_clone() -> None:
    """It reads environment.yml unless one of these is there, and copies the clone first if pip installs from it."""
    assert not [name for name in ("binder", ".binder", "Dockerfile") if (ROOT / name).exists()]
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert {"pip": ["lightning-fabric>=2.5", "-e ."]} in listed
    assert {"jupyterlab", "ipykernel", "anywidget"} <= {entry.partition(">")[0] for entry in listed[:-1]}


@pytest.mark.parametrize("group", ["base", *EXTRAS])
def test_constraints_pin_every_requirement_within_its_range(group: str) -> None:
    for name, wanted in (BASE if group == "base" else by_name(EXTRAS[group])).items():
        assert name in PINS, f"constraints.txt does not pin {name}"
        (pin,) = PINS[name]
        assert pin.operator == "=="
        assert wanted.contains(pin.version), f"{name}=={pin.version} is outside {wanted}"


def test_constraints_hold_released_versions_only() -> None:
    for name, specifier in PINS.items():
        (pin,) = specifier
        assert re.fullmatch(r"[\d.]+(\.post\d+)?", pin.version), f"{name}=={pin.version}"


def test_every_import_of_the_package_is_declared() -> None:
    providers = metadata.packages_distributions()
    declared = {
        *BASE,
        *(name for extra in ("cluster", "export", "hub") for name in by_name(EXTRAS[extra])),
        "cl-explore",
    }
    for path in (ROOT / "cl_explore").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for top in {name.partition(".")[0] for name in names if name} - sys.stdlib_module_names:
                known = {canonicalize_name(name) for name in providers.get(top, [top])}
                assert known & declared, f"{path.name} imports {top}, which pyproject.toml does not ask for"


def test_citation_names_the_version() -> None:
    import cl_explore

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(cited["version"]) == PROJECT["version"] == cl_explore.__version__
    assert cited["license"] == PROJECT["license"] == "MIT"
    assert "The cl_explore authors" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "SECURITY.md", "SUPPORT.md"])
def test_pages_name_only_what_there_is(page: str) -> None:
    named = re.findall(r"`([^`\n]+)`", (ROOT / page).read_text())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for name in named:
        if name.startswith("make "):
            assert {word for word in name.split()[1:] if "=" not in word} <= targets, name
        elif re.fullmatch(r"[\w./-]+/[\w.-]*|[\w./-]+\.(md|py|txt|toml)", name):
            places = [ROOT, ROOT / "tests", ROOT / "cl_explore" / "losses", ROOT / "cl_explore" / "papers" / "sepclr"]
            assert any((place / name).exists() for place in places), name


@pytest.mark.parametrize("address", ["", "https://github.com/someone/cl_explore"])
def test_a_package_index_shows_the_readme_with_links_that_lead_somewhere(address: str, tmp_path: Path) -> None:
    """As it stands until the project has an address; from then on all links and pictures lead to that."""
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    if address:
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        urls = f'[project.urls]\nRepository = "{address}"\n\n[project.scripts]'
        (tmp_path / "pyproject.toml").write_text(text.replace("[project.scripts]", urls), encoding="utf-8")
    core = ProjectMetadata(str(tmp_path), PluginManager()).core
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    link = r"!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\(([^)]+)\)"
    assert core.readme_content_type == "text/markdown"
    assert "<img" not in readme
    assert "](" not in re.sub(link, "", readme), "a link that this test does not see"
    for old, new in zip(re.findall(link, readme), re.findall(link, core.readme), strict=True):
        if old.startswith(("https://", "http://", "#")) or not address:
            assert new == old
        else:
            assert (ROOT / old.partition("#")[0]).exists(), old
            assert re.fullmatch(rf"{address}/(raw|blob)/main/{re.escape(old)}", new), new
    assert (f"({address}/raw/main/docs/panels.png)" in core.readme) == bool(address)


def test_the_workflow_tries_every_python_that_is_asked_for() -> None:
    job = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["everything"]
    tried = job["strategy"]["matrix"]["python"]
    assert all(version in SpecifierSet(PROJECT["requires-python"]) for version in tried)
    classified = [text.rpartition(" ")[2] for text in PROJECT["classifiers"] if "Python :: 3." in text]
    assert set(classified) <= set(tried)
