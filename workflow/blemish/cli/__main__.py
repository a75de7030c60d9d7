"""The command line's entry: what goes wrong for a known reason is one sentence on stderr and exit code 1."""

from __future__ import annotations

import sys
import warnings

import typer

from blemish.cli.corrupt import corrupt
from blemish.cli.detect import detect
from blemish.cli.export import export
from blemish.cli.score import score
from blemish.errors import UserError, explain

app = typer.Typer(
    help="Synthetic artifacts with pixel-level labels, and detectors of artifacts, for your own images.",
    epilog="Exit codes: 0 done, 1 an error that you can fix, said in one sentence, 2 wrong usage.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (corrupt, detect, score, export):
    app.command(no_args_is_help=True)(command)


def main() -> None:
    warnings.simplefilter("ignore")  # libraries' advice to those who program with them
    try:
        app(prog_name="blemish")
    except (UserError, OSError, MemoryError) as error:
        print(f"blemish: {explain(error)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
