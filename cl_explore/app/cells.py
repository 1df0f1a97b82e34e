"""The cells of an executed notebook as HTML: what is shown, what is folded and what is left out."""

import ast
import re
from collections.abc import Callable

import nbformat
from jinja2 import Environment, PackageLoader
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from plotly import io as plotly_io

from cl_explore.app import markdown

PLOTLY_MIME = "application/vnd.plotly.v1+json"
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"
LOADER = PackageLoader("cl_explore.app")
TEMPLATES = Environment(loader=LOADER, autoescape=True, trim_blocks=True)
OPENING = re.compile(r"# (?:(?P<number>\d\d) · )?(?P<title>.+)(?:\n\n\*\*(?P<question>.+\?)\*\*)?\s*")
LOCAL_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(?:#[^)\s]*)?\)")
SETTING_UP = {"install", "parameters", "injected-parameters"}
IMPORTS = re.compile(r"(import|from) \w")


def pictures(notebook: NotebookNode) -> list[str]:
    """The pictures that a notebook shows, in order, as base64."""
    shown = (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    return [data["image/png"] for data in shown if "image/png" in data]


def html(notebook: NotebookNode, leads_on: Callable[[str], bool] = bool) -> str:
    """The cells of a notebook as HTML that needs neither a kernel nor the web, without heading and question.

    leads_on: whether a file that is linked to belongs to the site; a link to another becomes its text.
    """
    kept: list[NotebookNode] = []
    for cell in notebook.cells:
        if cell.get("id") == "next" or "papermill-error-cell-tag" in cell.metadata.get("tags", []):
            continue  # the frame says what comes next, and what failed
        if cell.cell_type == "markdown":
            cell.source = OPENING.sub("", cell.source, count=1) if OPENING.match(cell.source) else cell.source
            cell.source = LOCAL_LINK.sub(lambda link: link[0] if leads_on(link[2]) else link[1], cell.source)
        for output in cell.get("outputs", []):
            if figure := output.get("data", {}).pop(PLOTLY_MIME, None):
                output.data["text/html"] = plotly_io.to_html(figure, include_plotlyjs="directory", full_html=False)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET_MIME not in output.get("data", {})]
        if cell.cell_type == "code" and kept and is_setup(cell) and is_setup(kept[-1]):
            kept[-1].source += f"\n\n{cell.source}"
        else:
            kept.append(cell)
    exporter = HTMLExporter(
        template_name="basic",
        extra_loaders=[LOADER],
        template_file="cells.html.j2",
        filters={"prose": markdown.html, "fold": fold},
    )
    return exporter.from_notebook_node(nbformat.from_dict({**notebook, "cells": kept}))[0]


def is_setup(cell: NotebookNode) -> bool:
    """Whether a cell sets up what follows, and shows nothing."""
    return cell.cell_type == "code" and not cell.outputs and fold(cell) == "Parameters and imports"


def fold(cell: NotebookNode) -> str:
    """The words under which a cell's code is folded; "" for code that is to be read.

    Folded are cells that hide their source and those that only set up, bet or plot: what is visible is the idea.
    """
    if SETTING_UP & set(cell.metadata.get("tags", [])) or IMPORTS.match(cell.source):
        return "Parameters and imports"
    if re.match(r"\w+ = bet\(", cell.source):
        return "Code of this bet"
    return "Code of this picture" if cell.metadata.get("jupyter", {}).get("source_hidden") or plots(cell) else ""


def plots(cell: NotebookNode) -> bool:
    """Whether all that a cell does is to draw."""
    try:
        statements = ast.parse(cell.source).body
    except SyntaxError:
        return False
    return bool(statements) and all(re.search(r"\b(plots|figure|axes)\.", ast.unparse(each)) for each in statements)
