"""The command that tries other settings on the same votes."""

from datetime import datetime
from typing import Annotated, Literal

import typer

from galileu_pipeline.cli.console import AsJson, active_profile, app, open_store, out, print_json, run_here, tell


@app.command()
def replay(
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.FIELD=VALUE", help="A setting; may be repeated.")
    ] = None,
    without_user: Annotated[
        str | None, typer.Option("--without-user", metavar="USER", help="Leave out a person's feedback.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", formats=["%Y-%m-%d"], help="The last day (UTC) whose feedback counts.")
    ] = None,
    to: Annotated[
        Literal["preference_pairs", "dpo_dataset", "sft_model", "dpo_model"], typer.Option(help="How far to go.")
    ] = "dpo_model",
    as_json: AsJson = False,
) -> None:
    """The same votes under other settings, and how what comes of them differs; nothing becomes current by it."""
    from galileu_pipeline.cli.lineage_views import difference_view
    from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
    from galileu_pipeline.feedback.warehouse import Warehouse
    from galileu_pipeline.replay import replay as play_again
    from galileu_pipeline.replay import with_settings

    store = open_store()
    found = play_again(
        store,
        Warehouse(store.data.warehouse),
        with_settings(active_profile(), assignments or []),
        run_here,
        without=None if without_user is None else Pseudonyms.of_folder(store.data).of(without_user),
        until=None if until is None else until.date(),
        to=to,
    )
    if as_json:
        print_json(found)
        return
    for step in found.steps:
        out.print(f"{step.id}  {'was there already' if step.reused else 'made now'}", highlight=False)
    if found.pairs:
        added, removed = len(found.pairs.added), len(found.pairs.removed)
        out.print(f"pairs: {added:,} added, {removed:,} removed, against {found.pairs.old}", highlight=False)
    if found.difference:
        out.print(difference_view(found.difference))
    else:
        tell(f"There is no current {to} to compare with.")
