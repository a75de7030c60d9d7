"""What a job's result depends on, as values that Snakemake can compare: code and configuration.

Snakemake follows neither imported modules nor, by default, the content of a script: a job carries
`fingerprint(...)` as a parameter instead. And it forgets the parameters of finished jobs when `.snakemake` is
lost: a job takes the file of its `note(...)` as an input as well.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]


def fingerprint(*modules: str) -> str:
    """A digest of the code that the named modules run, without comments, docstrings and layout.

    Args:
        modules: names inside the package ("pipeline", "corruptions.blur") or of a file with its folder
            ("scripts/corrupt.py"). What they import from the package counts as well, transitively. Of a file that is
            not Python (a template) every character counts.

    Returns:
        16 hex digits.

    Raises:
        FileNotFoundError: for a module that does not exist.
    """
    sources: dict[Path, str] = {}
    for module in modules:
        _collect(_locate(module), sources)
    lines = [f"{path.relative_to(ROOT)} {digest}" for path, digest in sorted(sources.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def canonical(value):
    """A config value with sorted keys and numbers in one spelling, so that 1e2, 100.0 and 100 are the same."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _collect(path: Path, sources: dict[Path, str]) -> None:
    if path in sources:
        return
    digest, imports = _analyse(path)
    sources[path] = digest
    for imported in imports:
        _collect(imported, sources)


@cache
def _analyse(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Digest of a file's syntax tree without docstrings, and the package's files it imports."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest(), ()
    tree = ast.parse(path.read_text())
    imports: set[Path] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "blemish":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "blemish"]
        else:
            names = []
        imports.update(found for name in names if (found := _find(name.removeprefix("blemish").lstrip("."))))
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(imports))


def _locate(module: str) -> Path:
    path = ROOT / module if "/" in module else _find(module)
    if path is None or not path.is_file():
        raise FileNotFoundError(f"no module or script '{module}' to take a fingerprint of")
    return path


def _find(module: str) -> Path | None:
    """The file of a module of the package, None for a name that is no module (a function, say)."""
    base = PACKAGE.joinpath(*module.split(".")) if module else PACKAGE
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
