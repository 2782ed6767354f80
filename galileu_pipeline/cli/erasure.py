"""The command for those who want to be forgotten."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, active_profile, app, err, open_store, out, print_json, tell

if TYPE_CHECKING:
    from galileu_pipeline.erasure import Erasure


@app.command()
def erase(
    user: Annotated[
        str, typer.Option("--user", metavar="USER", help="An id of theirs as the chatbot knows it, or the pseudonym.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
    retrain: Annotated[
        bool, typer.Option("--retrain/--no-retrain", help="Train everything again without this feedback.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Erase a person's feedback everywhere, mark the models that learnt from it, and train without it.

    Models' weights stay, as tainted; a tainted model in service is taken out of it unless the profile says otherwise.
    The same rows are refused when they are imported again.
    """
    from galileu_pipeline.automation.history import forget_runs
    from galileu_pipeline.automation.instance import open_instance
    from galileu_pipeline.demo import run_job
    from galileu_pipeline.erasure import erase as erase_feedback
    from galileu_pipeline.feedback.warehouse import Warehouse

    store, withdraw = open_store(), active_profile().promotion.tainted_champion == "withdraw"
    warehouse = Warehouse(store.data.warehouse)
    if not dry_run and sys.stdin.isatty() and not as_json:
        _show(erase_feedback(store, warehouse, user, dry_run=True))
        typer.confirm("Erase all this for good?", abort=True, err=True)
    with err.status("erasing"):
        done = erase_feedback(store, warehouse, user, dry_run=dry_run, withdraw_champion=withdraw)
    if as_json:
        print_json(done)
    else:
        _show(done)
    if dry_run or done.nothing_to_do:
        return
    with open_instance()[0] as instance:
        forget_runs(instance, done.runs)
        if retrain:
            err.print("Training again without this feedback.")
            with err.status("starting Dagster") as status:
                run_job(instance, tell, lambda line: status.update(escape(line)))


def _show(erasure: "Erasure") -> None:
    if erasure.nothing_to_do:
        err.print(f"There is no feedback of {erasure.person}.", highlight=False)
        return
    table = Table(title=erasure.person)
    for column in ("what", "how many"):
        table.add_column(column)
    for place, counts in (("chatbot's file", erasure.collected), ("warehouse", erasure.ingested)):
        for name, count in counts.items():
            table.add_row(f"rows of {name} in the {place}", f"{count:,}")
    table.add_row("artifacts whose texts go", f"{len(erasure.artifacts):,}")
    table.add_row("Dagster runs that are forgotten", f"{len(erasure.runs):,}")
    out.print(table)
    for model, taint in erasure.tainted.items():
        out.print(f"tainted: {model} ({taint.items:,} of {taint.of:,} pairs and examples)", highlight=False)
    if erasure.champion != erasure.champion_before:
        out.print(
            f"taken out of service: {erasure.champion_before}; now {erasure.champion or 'the base model'}",
            highlight=False,
        )
