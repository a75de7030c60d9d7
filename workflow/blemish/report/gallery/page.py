"""The gallery's page: a template, its style and its script joined with the content into one file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from blemish.data.files import write_text

TEMPLATES = Path(__file__).parent


def write(path: str | PathLike, content: dict, threshold: float) -> None:
    """Writes the page; it asks the network for nothing.

    Args:
        path: the HTML file.
        content: what `content.collect` returns.
        threshold: on the predictions' probability, in [0, 1], to be told.
    """
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("page.html").render(content=content, threshold=threshold)
    write_text(path, page)
