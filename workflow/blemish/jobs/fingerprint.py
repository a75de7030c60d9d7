"""A digest of the code that a job runs: of what computes, not of what speaks.

Snakemake follows neither imported modules nor, by default, the content of a script: a job carries `fingerprint(...)`
as a parameter instead. Left out is what can change no result:

* the modules of `blemish.jobs`, `blemish.errors` and every `settings.py`: the values of settings reach a job as
  parameters of their own. So do those of a corruption method, whose `PARAMETERS` only say what is allowed;
* docstrings, log calls, warnings, what goes to standard error, and what a progress bar shows;
* the words of an error. What is given to an exception that is not of `blemish.errors` counts but for its texts, as it
  may carry a value.

So a message computes nothing that is used later; one with an assignment (`:=`) or a `yield` counts as code.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]
SHOWN = {"desc", "unit", "unit_scale", "mininterval", "postfix"}  # keywords of tqdm
SAFE = {"len", "str", "repr", "sorted", "min", "max", "sum", "round", "map", "join"}  # may be called for a message
COMPUTES = (ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)


def fingerprint(*modules: str) -> str:
    """A digest of the code that the named modules run, without what only speaks, comments and layout.

    Args:
        modules: names inside the package ("corruption.methods.blur") or of a file with its folder
            ("scripts/corrupt.py"). What they import from the package counts as well, transitively. Of a file that is
            not Python (a template) every character counts.

    Returns:
        16 hex digits.

    Raises:
        FileNotFoundError: for a module that does not exist.
    """
    lines = [f"{path.relative_to(ROOT)} {_analyse(path)[0]}" for path in files(*modules)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def files(*modules: str) -> list[Path]:
    """The files that `fingerprint` of these modules reads, sorted.

    Raises:
        FileNotFoundError: for a module that does not exist.
    """
    found: set[Path] = set()
    waiting = [_locate(module) for module in modules]
    while waiting:
        if (path := waiting.pop()) not in found:
            found.add(path)
            waiting.extend(_analyse(path)[1])
    return sorted(found)


def canonical(value):
    """A config value with sorted keys and numbers in one spelling, so that 1e2, 100.0 and 100 are the same."""
    if isinstance(value, dict):
        return {key: canonical(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


@cache
def _analyse(path: Path) -> tuple[str, tuple[Path, ...]]:
    """Digest of what computes in a file, and the package's files that this imports."""
    if path.suffix != ".py":
        return hashlib.sha256(path.read_bytes()).hexdigest(), ()
    tree = ast.parse(path.read_text())
    if path.parent.name == "methods" and "PARAMETERS" not in _loaded(tree):
        tree.body = [node for node in tree.body if not (_is_assignment(node) and node.targets[0].id == "PARAMETERS")]
    tree = silent(tree)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(_followed(tree)))


def silent(tree: ast.Module) -> ast.Module:
    """The tree without what only speaks; changes it."""
    former = _loaded(tree)
    tree = _Silencer(_origins(tree)).visit(tree)
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]:
        _Unused(former - _loaded(function), assignments=True).visit(function)
    return _Unused(former - _loaded(tree), assignments=False).visit(tree)


def _loaded(tree: ast.AST) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}


def _origins(tree: ast.Module) -> dict[str, str]:
    """Name in the file -> what it stands for, of imports and of loggers: "UserError" -> "blemish.errors.UserError"."""
    origins = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            origins |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            origins |= {alias.asname: alias.name for alias in node.names if alias.asname}
    for node in ast.walk(tree):
        if _is_assignment(node) and _origin(node.value, origins) == "logging.getLogger":
            origins[node.targets[0].id] = "logging.getLogger"
    return origins


def _origin(node: ast.AST, origins: dict[str, str]) -> str:
    """The full name of what is called, or of an attribute of it; nothing where it has none."""
    if isinstance(node, ast.Call):
        return _origin(node.func, origins)
    if isinstance(node, ast.Attribute):
        owner = _origin(node.value, origins)
        return owner and f"{owner}.{node.attr}"
    return origins.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def _is_assignment(node: ast.AST) -> bool:
    """Whether it is an assignment to one name."""
    return isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)


class _Silencer(ast.NodeTransformer):
    """Takes out messages."""

    def __init__(self, origins: dict[str, str]):
        self.origins = origins

    def origin(self, node: ast.AST, *prefixes: str) -> bool:
        return f"{_origin(node, self.origins)}.".startswith(tuple(f"{prefix}." for prefix in prefixes))

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if text or self._speaks(node.value) else self.generic_visit(node)

    def _speaks(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call) or _computes(node):
            return False
        if self.origin(node, "print"):
            return any(key.arg == "file" and self.origin(key.value, "sys.stderr") for key in node.keywords)
        return self.origin(node, "logging", "warnings.warn")

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        logger = _is_assignment(node) and self.origin(node.value, "logging.getLogger")
        return None if logger else self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        if node.msg is not None and not _computes(node.msg):
            node.msg = None
        return self.generic_visit(node)

    def visit_withitem(self, node: ast.withitem) -> ast.AST:
        if isinstance(node.context_expr, ast.Call) and self.origin(node.context_expr, "blemish.jobs"):
            _take_arguments(node.context_expr)
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            _Blank().generic_visit(node.exc)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.origin(node, "blemish.errors"):
            _take_arguments(node)
        elif self.origin(node, "blemish.jobs"):
            _Blank().generic_visit(node)
        elif self.origin(node, "tqdm"):
            node.keywords = [key for key in node.keywords if key.arg not in SHOWN or _computes(key)]
        return self.generic_visit(node)


class _Blank(ast.NodeTransformer):
    """Empties texts."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return node if _computes(node) else ast.Constant("")


class _Unused(ast.NodeTransformer):
    """Takes out imports, or assignments in a function that call nothing, of names that only messages used."""

    def __init__(self, names: set[str], assignments: bool):
        self.names = names
        self.assignments = assignments

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> ast.AST | None:
        if not self.assignments:
            node.names = [a for a in node.names if (a.asname or a.name.partition(".")[0]) not in self.names]
        return node if node.names else None

    visit_ImportFrom = visit_Import

    def visit_Global(self, node: ast.Global | ast.Nonlocal) -> ast.AST:
        self.names = self.names - {*node.names}
        return node

    visit_Nonlocal = visit_Global

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        unused = self.assignments and _is_assignment(node) and node.targets[0].id in self.names
        return None if unused and not _acts(node.value) else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node if self.assignments else self.generic_visit(node)  # what is assigned there is not a local name


def _computes(node: ast.AST) -> bool:
    return any(isinstance(inner, COMPUTES) for inner in ast.walk(node))


def _acts(node: ast.AST) -> bool:
    """Whether an expression may do more than be a value."""
    called = (inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return _computes(node) or any(getattr(f, "id", getattr(f, "attr", None)) not in SAFE for f in called)


def _take_arguments(call: ast.Call) -> None:
    if not any(map(_computes, [*call.args, *call.keywords])):
        call.args, call.keywords = [], []


def _followed(tree: ast.Module) -> set[Path]:
    """The package's files that a file imports and that can change a result."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    found = {_find(name) for name in names if name.split(".")[0] == "blemish"} - {None}
    serve = ("jobs", "errors.py")
    return {path for path in found if path.name != "settings.py" and path.relative_to(PACKAGE).parts[0] not in serve}


def _locate(module: str) -> Path:
    path = ROOT / module if "/" in module else _find(f"blemish.{module}")
    if path is None or not path.is_file():
        raise FileNotFoundError(f"no module or script '{module}' to take a fingerprint of")
    return path


def _find(module: str) -> Path | None:
    """The file of a module of the package by its full name, None for another name (a function's, say)."""
    base = PACKAGE.joinpath(*module.split(".")[1:])
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
