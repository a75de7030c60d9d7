"""docs/troubleshooting.md quotes messages as the package and Snakemake write them."""

import ast
import re

import pytest

from blemish.config.load import ROOT

PAGE = (ROOT / "docs/troubleshooting.md").read_text()
SEEN = [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")]
QUOTES = [quote for cell in SEEN for quote in re.findall(r"`([^`]+)`", cell)]
SNAKEMAKES = {"LockException", "Nothing to be done"}
COMMANDS = {"blemish corrupt"}
HOLE = "\0"  # what a placeholder is filled with


def texts(tree):
    """Every text of a module but docstrings; placeholders are holes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else HOLE for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"%[\d.]*[a-z]", HOLE, node.value)  # log messages


MESSAGES = {text for path in (ROOT / "workflow/blemish").rglob("*.py") for text in texts(ast.parse(path.read_text()))}


def is_said(quote, text):
    """Whether a text holds the quote; `...` in it stands for one or more words."""
    pieces = [re.escape(piece.strip()) for piece in quote.split("...") if piece.strip()]
    return re.search(".*".join(pieces), text, re.DOTALL) is not None


@pytest.mark.parametrize("quote", sorted({*QUOTES} - SNAKEMAKES - COMMANDS))
def test_a_quoted_message_is_one_that_the_package_writes(quote):
    assert any(is_said(quote, text) for text in MESSAGES)


def test_the_page_quotes_messages_and_the_search_is_not_empty():
    assert len({*QUOTES} - SNAKEMAKES - COMMANDS) > 8
    assert not any(is_said("is no such message of anything", text) for text in MESSAGES)
