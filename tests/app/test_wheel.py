"""The built wheel in an environment without a clone: as pip installs it there, and as Colab's first cell does."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from urllib.request import urlopen
from zipfile import ZipFile

import lessons
import nbformat
import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
ADDRESS = "https://github.com/someone/cl_explore"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    clone = folder / "clone"
    shutil.copytree(ROOT / "cl_explore", clone / "cl_explore", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "notebooks", clone / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "data" / "scorecard", clone / "data" / "scorecard")
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, clone)
    (built,) = WheelBuilder(str(clone)).build(directory=str(folder), versions=["standard"])
    return Path(built)


class Environment:
    """A virtual environment that has every package of this one, but not cl_explore; or only those wanted."""

    def __init__(self, folder: Path, wanted: set[str] | None = None) -> None:
        venv.create(folder, symlinks=True)
        packages = folder / "packages"
        packages.mkdir()
        for entry in Path(sysconfig.get_path("purelib")).iterdir():
            other = not (entry.name.startswith("cl_explore") or entry.suffix == ".pth")
            if other and (wanted is None or entry.name in wanted):
                (packages / entry.name).symlink_to(entry)
        for shared in ("share", "etc"):  # where Jupyter keeps pages and settings of its packages
            if (Path(sys.prefix) / shared).is_dir():
                (folder / shared).symlink_to(Path(sys.prefix) / shared)
        self.python = folder / "bin" / "python"
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "packages.pth").write_text(str(packages))
        kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CL_EXPLORE_DATA")}
        own = {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "CL_EXPLORE_RUNS": str(folder / "runs")}
        self.variables = kept | own

    def run(self, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=self.variables, capture_output=True, text=True, check=False)


def files_of(*packages: str) -> set[str]:
    """The entries of site-packages that belong to these packages and to all that they need."""
    found, waiting, seen = {"pip", "setuptools"}, list(packages), set[str]()
    while waiting:
        package = metadata.distribution(waiting.pop())
        if package.name not in seen:
            seen.add(package.name)
            found |= {path.parts[0] for path in package.files or []}
            needs = map(Requirement, package.requires or [])
            waiting += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which pip has installed the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    environment = Environment(folder)
    done = environment.run("-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return environment


def test_the_wheel_carries_the_course_and_nothing_else_of_the_clone(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = [Path(name) for name in archive.namelist()]
    inside = Path("cl_explore/notebooks")
    carried = {name.relative_to(inside).as_posix() for name in names if name.is_relative_to(inside)}
    notebooks = ROOT / "notebooks"
    wanted = [
        *notebooks.glob("[0-9][0-9]_*.ipynb"),
        *notebooks.glob("exercises/*.py"),
        notebooks / "lessons.txt",
        notebooks / "symbols.toml",
    ]
    assert carried == {path.relative_to(notebooks).as_posix() for path in wanted}
    assert {name.parts[0] for name in names if not name.parts[0].endswith(".dist-info")} == {"cl_explore"}


def answers(server: Path) -> bool:
    """Whether the server of this file answers: JupyterLab writes its port down before it listens there."""
    try:
        socket.create_connection(("localhost", json.loads(server.read_text())["port"]), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True


@pytest.fixture
def lab(installed: Environment, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """The folder in which `cl-explore lab` was started, and the address that it serves."""
    command = [str(installed.python), "-m", "cl_explore", "lab", "--no-browser", "--port", "0"]
    variables = installed.variables | {"JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    with (tmp_path / "log").open("w") as log:
        served = subprocess.Popen(
            [*command, "--ServerApp.allow_root=True"], cwd=tmp_path, env=variables, stdout=log, stderr=log
        )
    try:
        for _ in range(300):
            found = list((tmp_path / "runtime").glob("jpserver-*.json"))
            if served.poll() is not None or (found and answers(found[0])):
                break
            time.sleep(0.1)
        assert found, (tmp_path / "log").read_text()
        server = json.loads(found[0].read_text())
        yield tmp_path, f"{server['url']}{{}}?token={server['token']}"
    finally:
        served.terminate()
        served.wait()


def test_lab_lays_the_course_out_and_serves_it(lab: tuple[Path, str]) -> None:
    folder, address = lab
    assert f"the course is in {folder / 'cl_explore_course'}" in (folder / "log").read_text()
    with urlopen(address.format("api/contents"), timeout=20) as answer:
        listed = {entry["name"] for entry in json.load(answer)["content"]}
    assert listed == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    with urlopen(address.format("lab/tree/00_start_here.ipynb"), timeout=20) as answer:
        assert answer.status == 200


def test_update_says_what_it_does_and_leaves_alone_what_was_edited(installed: Environment, tmp_path: Path) -> None:
    code = """if True:
        import hashlib, json
        from pathlib import Path
        from jupyterlab.labapp import LabApp
        LabApp.launch_instance = lambda *_: None
        from cl_explore.app import cli
        cli.main(["lab"])
        mine = Path("cl_explore_course")
        (mine / "03_temperature.ipynb").write_text("mine")
        (mine / "01_views.ipynb").write_text("as an older wheel laid it out")
        record = json.loads((mine / ".laid_out.json").read_text())
        record["01_views.ipynb"] = hashlib.sha256((mine / "01_views.ipynb").read_bytes()).hexdigest()
        (mine / ".laid_out.json").write_text(json.dumps(record))
        cli.main(["lab"])
        cli.main(["lab", "--update"])
    """
    done = installed.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    mine = tmp_path / "cl_explore_course"
    place = f"the course is in {mine}"
    assert done.stdout.splitlines() == [
        *[place, place],
        "older than the installed course: 01_views.ipynb; `cl-explore lab --update` brings them up to date",
        place,
        "01_views.ipynb: brought up to date",
        "03_temperature.ipynb: kept as you edited it; delete or rename it to get it anew",
    ]
    assert (mine / "03_temperature.ipynb").read_text() == "mine"
    assert (mine / "01_views.ipynb").read_bytes() == (ROOT / "notebooks" / "01_views.ipynb").read_bytes()


def test_course_executes_and_checks_answers(installed: Environment, tmp_path: Path) -> None:
    done = installed.run(
        "-m", "cl_explore", "course", "losses_from_scratch", "--preset", "smoke", "--out", "out", cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "notebooks: 1 passed, 0 failed" in done.stdout
    assert (tmp_path / "out" / "index.html").is_file()


def test_doctor_tells_what_is_there_and_names_nothing_of_a_clone(installed: Environment, tmp_path: Path) -> None:
    done = installed.run("-m", "cl_explore", "doctor", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all that the course needs is there" in done.stdout
    notebooks = len(list((ROOT / "notebooks").glob("*.ipynb")))
    assert re.search(rf"ok  course: {notebooks} notebooks; `cl-explore lab` lays them out", done.stdout)
    for part in ("constraints.txt", "make lab", "data/README.md", "in the clone", str(ROOT)):
        assert part not in done.stdout, part


def test_the_first_cell_installs_what_is_missing_as_on_colab(wheel: Path, tmp_path: Path) -> None:
    """As IPython runs it there, with the wheel in the place of the repository; the second time it does nothing."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T"), nbformat.v4.new_code_cell("1")])
    lessons.open_elsewhere(notebook, "00_start_here", ADDRESS)
    cell = notebook.cells[1].source
    assert f"git+{ADDRESS}" in cell
    code = f"""
from IPython.core.interactiveshell import InteractiveShell
cell = {cell.replace(f"git+{ADDRESS}", wheel.as_uri())!r}
shell = InteractiveShell.instance()
try:
    import cl_explore
except ModuleNotFoundError:
    print("missing")
for _ in range(2):
    shell.run_cell(cell).raise_error()
    print("ran")
shell.run_cell("from cl_explore import losses; print(losses.__file__)").raise_error()
"""
    environment = Environment(tmp_path / "colab")
    done = environment.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    missing, *pip, first, second, place = done.stdout.splitlines()
    assert (missing, first, second) == ("missing", "ran", "ran")
    assert place.startswith(str(tmp_path / "colab")), (pip, place)


def test_losses_need_nothing_but_torch_and_numpy(wheel: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "light", files_of("torch", "numpy"))
    done = environment.run("-m", "pip", "install", "--quiet", "--no-deps", wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    code = """if True:
        import torch
        import cl_explore
        from cl_explore import geometry, losses, nn, views
        pictures = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
        seen = views.ImageViews.weak()(pictures, torch.Generator().manual_seed(0))
        z = nn.ConvNet(1, width=8)(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
        losses.nt_xent(z, temperature=0.2).backward()
        print(geometry.uniformity(z[:, 0].detach()) <= 0)
        for room in ("data", "methods", "evaluate", "train"):
            try:
                getattr(cl_explore, room)
            except ModuleNotFoundError as error:
                print(error)
    """
    done = environment.run("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    fits, *refused = done.stdout.splitlines()
    assert fits == "tensor(True)"
    images = "needs pillow, tqdm beside torch and numpy. Missing here: pip install pillow tqdm"
    training = "pillow, tqdm, pandas, joblib, lightning-fabric"
    assert refused == [
        *(f"cl_explore.{room} {images}" for room in ("data", "methods", "evaluate")),
        f"cl_explore.train needs {training} beside torch and numpy. "
        f"Missing here: pip install {training.replace(',', '')}",
    ]
