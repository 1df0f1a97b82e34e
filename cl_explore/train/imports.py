"""Which modules of the package stand behind a run: read from their import statements, not from what is loaded."""

import ast
import hashlib
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = "cl_explore"
ROOMS = ("data", "evaluate", "geometry", "losses", "methods", "nn", "train", "views")
"""What is written here counts module by module; a key follows all other code function by function."""
BELOW = ("disk", "given", "names", "needed", "takes")
"""The files that rooms stand on, which count as theirs: followed, they lead to all variables of the environment."""

_ROOT = Path(__file__).parent.parent
_STARTED = time.time()
_PLAIN = (ast.Constant, ast.Tuple, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)


class Module(NamedTuple):
    """A file of the package as its reader needs it.

    digest: of its syntax tree, without comments and docstrings.
    needs: modules of the package that it uses.
    packages: other top-level packages that it imports.
    constants: the plain values that it gives names to.
    tables: the names that it gives to empty dictionaries, for others to fill.
    edited: whether the file is newer than this process, which may then run an older one.
    """

    digest: str
    needs: frozenset[str]
    packages: frozenset[str]
    constants: dict[str, Any]
    tables: tuple[str, ...]
    edited: bool


def in_room(module: str) -> bool:
    """Whether a module, by its full name, lies in a room."""
    parts = module.split(".")
    return parts[0] == PACKAGE and parts[1:2] != [] and parts[1] in (*ROOMS, *BELOW)


def behind(modules: Iterable[str]) -> dict[str, Module]:
    """These modules and all that they use, directly or through others, in the order of their names.

    A name that a package's `__init__` takes from elsewhere leads to the module where it is written: to use
    `losses.get` is to use `losses/catalogue.py`, not every loss.
    """
    found: dict[str, Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = read(name)
            waiting += found[name].needs
    return dict(sorted(found.items()))


@cache
def read(name: str) -> Module:
    """The module called `name`, as it is when it is first asked for: later edits are not what this process runs."""
    nodes, links = _nodes(name), _links(name)
    uses = _uses(nodes)
    tree = _without_texts(nodes)
    return Module(
        digest=hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        needs=frozenset(each for link in links if link.module for each in _used(link, uses)) - {name},
        packages=frozenset(link.package for link in links) - {PACKAGE},
        constants=dict(_constants(tree)),
        tables=tuple(_tables(tree)),
        edited=_file(name).stat().st_mtime > _STARTED,
    )


class _Link(NamedTuple):
    """An import of one thing: `name` stands for `attribute` of `module`, or for the module if that is None."""

    name: str
    package: str
    module: str | None  # None outside the package
    attribute: str | None


@cache
def _links(name: str) -> list[_Link]:
    found = []
    nodes = _nodes(name)
    blocks = [node for node in nodes if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    typing_only = {id(node) for block in blocks for node in block.body}
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name.split(".")[0]
                module = alias.name if package == PACKAGE else None
                found.append(_Link(alias.asname or "", package, module, None))
                if alias.asname is None:
                    found.append(_Link(package, package, module and PACKAGE, None))
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node, name)
            package = source.split(".")[0]
            module = source if package == PACKAGE else None
            found += [_Link(alias.asname or alias.name, package, module, alias.name) for alias in node.names]
    return found


def _absolute(node: ast.ImportFrom, name: str) -> str:
    if not node.level:
        return str(node.module)
    parts = name.split(".") if _is_package(name) else name.split(".")[:-1]
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _uses(nodes: list[ast.AST]) -> dict[str, set[str | None]]:
    """For each name: the attributes it is asked for, and None if it is also used as it is."""
    uses: dict[str, set[str | None]] = {}
    owners = set()
    for node in nodes:  # each comes before those inside it
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owners.add(id(node.value))
            uses.setdefault(node.value.id, set()).add(node.attr)
        elif isinstance(node, ast.Name) and id(node) not in owners:
            uses.setdefault(node.id, set()).add(None)
    return uses


def _used(link: _Link, uses: dict[str, set[str | None]]) -> set[str]:
    """The modules that are used through an import; a package handed on as it is may give anything of it."""
    assert link.module is not None
    if link.attribute is None:
        target, is_module = link.module, True
    else:
        target = _home(link.module, link.attribute)
        is_module = target == f"{link.module}.{link.attribute}"
    if not (is_module and _is_package(target)) or not link.name:
        return {target}
    return {target if attribute is None else _home(target, attribute) for attribute in uses.get(link.name, set())}


@cache
def _home(module: str, attribute: str) -> str:
    """The module where `module.attribute` is written."""
    if not _is_package(module):
        return module
    for link in _links(module):
        if link.name == attribute and link.module and link.attribute:
            return _home(link.module, link.attribute)
    inside = f"{module}.{attribute}"
    return inside if _file(inside).exists() else module


def _file(name: str) -> Path:
    path = _ROOT.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_name(f"{path.name}.py")


def _is_package(name: str) -> bool:
    return _file(name).name == "__init__.py"


@cache
def _nodes(name: str) -> list[ast.AST]:
    """The syntax tree of a module, and all nodes in it."""
    return list(ast.walk(ast.parse(_file(name).read_bytes())))


def _without_texts(nodes: list[ast.AST]) -> ast.Module:
    """The tree without the texts that stand for themselves: docstrings of modules, classes, functions, attributes."""
    for node in nodes:
        for block in ("body", "orelse", "finalbody"):
            if isinstance(statements := getattr(node, block, None), list):
                setattr(node, block, [each for each in statements if not _is_text(each)])
    tree = nodes[0]
    assert isinstance(tree, ast.Module)
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _constants(tree: ast.Module) -> Iterable[tuple[str, Any]]:
    """Names that a module gives to numbers and texts, and to sums and tuples of such."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and all(isinstance(each, _PLAIN) for each in ast.walk(node.value)):
            value = eval(compile(ast.Expression(node.value), "constant", "eval"))
            yield from ((target.id, value) for target in node.targets if isinstance(target, ast.Name))


def _tables(tree: ast.Module) -> Iterable[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict) and not node.value.keys:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name))
