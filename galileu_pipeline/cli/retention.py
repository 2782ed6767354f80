"""The command that makes room."""

from typing import Annotated

import typer
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, app, err, open_store, out, print_json, short


@app.command()
def prune(
    keep: Annotated[int, typer.Option(min=1, help="Models of each asset that stay, the newest.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old models, and data, evaluations and rubbish that then nobody needs, of all profiles.

    What is in service, current, being made, or a rollback would bring back stays, with all it was made from.
    """
    from galileu_pipeline.lineage.retention import prune as remove

    with err.status("looking for what nobody needs"):
        found = remove(open_store(), keep, dry_run=dry_run)
    if as_json:
        print_json(found)
        return
    if not found.removed:
        err.print(f"Nothing to remove: all {found.kept:,} artifacts are needed.", highlight=False)
        return
    table = Table()
    for column in ("what", "path", "size"):
        table.add_column(column, overflow="fold", justify="right" if column == "size" else "left")
    for removal in found.removed:
        table.add_row(removal.kind, escape(short(removal.path)), decimal(removal.size))
    out.print(table)
    done = "would free" if dry_run else "freed"
    out.print(f"{done} {decimal(found.freed)} ({found.freed:,} bytes); {found.kept:,} artifacts stay", highlight=False)
