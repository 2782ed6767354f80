"""`galileu`: the pipeline from the command line.

Results go to stdout (with --json as JSON), all else to stderr. Exit codes: 0 done, 1 failed, 2 bad usage or input.
"""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from galileu_pipeline import __version__
from galileu_pipeline.cli import (  # noqa: F401 (their commands register themselves)
    erasure,
    feedback,
    leaderboard,
    lineage,
    models,
    openlineage,
    operation,
    replay,
    retention,
    suspects,
)
from galileu_pipeline.cli.console import app, err, out
from galileu_pipeline.disk import disk_faults_explained
from galileu_pipeline.errors import GalileuError


def main() -> None:
    """The console script: expected errors become one line and an exit code."""
    try:
        with disk_faults_explained():
            app()
    except GalileuError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit
