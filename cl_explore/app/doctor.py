"""The check-up: what is installed, what is present, and what to do about what is missing."""

import importlib
import platform
import time
from collections.abc import Callable, Iterator
from importlib import metadata

from packaging.requirements import Requirement

from cl_explore.app.layout import IN_CLONE, NOTEBOOKS, find

OK, LACKING, BROKEN = "ok", "--", "!!"
Finding = tuple[str, str]  # one of the three marks, and a line of text
REPAIR = "run `make lab` or `pip install -c constraints.txt -e .` in the clone"


def examine() -> int:
    """Print every finding as it is made; 1 if something is broken that the course needs, else 0."""
    broken = False
    for check in (packages, extras, course, device, umap_cache, data_sets, run_store):
        for mark, text in findings(check):
            print(f"{mark:2}  {text}", flush=True)
            broken |= mark == BROKEN
    print("something is broken (!!)" if broken else "all that the course needs is there")
    return int(broken)


def findings(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What a check finds; a check that fails is a finding too, and the other checks go on."""
    try:
        yield from check()
    except Exception as error:
        yield BROKEN, f"{check.__name__.replace('_', ' ')}: {type(error).__name__}: {error}"


def packages() -> Iterator[Finding]:
    """Python and every required package, against the versions that cl_explore asks for."""
    try:
        about = metadata.metadata("cl_explore")
    except metadata.PackageNotFoundError:
        yield BROKEN, f"cl_explore is not installed: {REPAIR}"
        return
    python, needed = platform.python_version(), about["Requires-Python"]
    fits = Requirement(f"python{needed}").specifier.contains(python, prereleases=True)
    yield OK if fits else BROKEN, f"Python {python} (needs {needed})"
    for requirement in requirements(extra=""):
        installed = version_of(requirement)
        mark = OK if fulfilled(requirement) else BROKEN
        cure = "" if mark == OK else f": {repair(requirement)}"
        yield mark, f"{requirement.name} {installed or 'is not installed'} (needs {requirement.specifier}){cure}"


def extras() -> Iterator[Finding]:
    """The optional groups of packages."""
    for extra in metadata.metadata("cl_explore").get_all("Provides-Extra") or []:
        lacking = [requirement for requirement in requirements(extra) if not fulfilled(requirement)]
        if lacking:
            cure = f"pip install -c constraints.txt -e '.[{extra}]'" if IN_CLONE else repair(*lacking)
            names = ", ".join(requirement.name for requirement in lacking)
            yield LACKING, f"optional [{extra}] lacks {names}: {cure}"
        else:
            yield OK, f"optional [{extra}] is complete"


def repair(*lacking: Requirement) -> str:
    """What to do about packages that are lacking."""
    if IN_CLONE:
        return REPAIR
    return " ".join(["pip install", *(f"'{requirement.name}{requirement.specifier}'" for requirement in lacking)])


def course() -> Iterator[Finding]:
    """Where the notebooks are."""
    place = f"in {NOTEBOOKS}" if IN_CLONE else "`cl-explore lab` lays them out in ./cl_explore_course"
    yield OK, f"course: {len(find())} notebooks; {place}"


def requirements(extra: str) -> list[Requirement]:
    """What cl_explore requires always (extra = "") or in addition for one extra."""
    listed = [Requirement(text) for text in metadata.requires("cl_explore") or []]
    if not extra:
        return [requirement for requirement in listed if requirement.marker is None]
    return [r for r in listed if r.marker is not None and r.marker.evaluate({"extra": extra})]


def version_of(requirement: Requirement) -> str | None:
    """The installed version, None if there is none."""
    try:
        return metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return None


def fulfilled(requirement: Requirement) -> bool:
    """Whether an installed version satisfies the requirement."""
    version = version_of(requirement)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def device() -> Iterator[Finding]:
    """Where networks are trained."""
    import torch

    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        names.append("Apple GPU (mps)")
    threads = f"CPU with {torch.get_num_threads()} threads"
    yield OK, f"device: {', '.join(names) or f'{threads}; no GPU, and the course needs none'}"


def umap_cache() -> Iterator[Finding]:
    """Import UMAP, which the first time in an environment compiles for some 20 seconds and keeps the result."""
    start = time.perf_counter()
    importlib.import_module("umap")
    yield OK, f"UMAP is compiled and cached (its import took {time.perf_counter() - start:.1f} s)"


def data_sets() -> Iterator[Finding]:
    """Every data set that the library knows. Only the generated and bundled ones must be there."""
    from cl_explore import data
    from cl_explore.data.decoded import cache
    from cl_explore.data.published import roots

    yield OK, f"data folders: {', '.join(map(str, roots()))}; decoded images are kept in {cache()}"
    for name in data.names():
        if name not in data.PUBLISHED:
            dataset = data.load(name, split="test")
            yield OK, f"data set {name}: {len(dataset):,} test samples of shape {tuple(dataset.x.shape[1:])}"
            continue
        published = data.PUBLISHED[name]
        try:
            places = {str(published.find(split)[1]) for split in ("train", "test")}
        except FileNotFoundError:
            cure = f"load({name!r}, download=True)" if published.downloads else published.advice
            see = ", or see data/README.md" if IN_CLONE else ""
            yield LACKING, f"data set {name} is not in the data folders: {cure}{see}"
        else:
            yield OK, f"data set {name}: {', '.join(sorted(places))}"


def run_store() -> Iterator[Finding]:
    """Where trained runs are kept."""
    from cl_explore.train import store

    place = store.folder(True, {})
    assert place is not None
    files = [path for path in place.parent.rglob("*") if path.is_file()]
    runs = sum(path.name == "run.json" for path in files)
    size = sum(path.stat().st_size for path in files) / 1e6
    yield OK, f"run store: {place.parent} ({runs} runs, {size:.0f} MB; delete it freely, or set CL_EXPLORE_RUNS)"
