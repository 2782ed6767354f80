"""The command that tells other systems where artifacts come from."""

import json
from pathlib import Path
from typing import Annotated

import typer

from galileu_pipeline.cli.console import AsJson, app, err, open_store, out, short
from galileu_pipeline.files import replace_file


@app.command()
def openlineage(
    artifact_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An artifact, with all it was made from; all of them without.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE.jsonl", help="Write a file instead of sending.")] = None,
    namespace: Annotated[
        str | None, typer.Option(help="Of the datasets. Without it, `file:` and the path of the data folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell a catalogue of the OpenLineage standard what was made of what.

    Where it is, OpenLineage's own settings say, such as OPENLINEAGE_URL and OPENLINEAGE_API_KEY.
    """
    from galileu_pipeline.lineage.openlineage import as_lines, emit, run_events

    events = run_events(open_store(), artifact_id, namespace=namespace)
    if output is None:
        with err.status("sending"):
            place = emit(events)
    else:
        replace_file(output, as_lines(events))
        place = short(output.resolve())
    if as_json:
        print(json.dumps({"events": len(events), "to": place}))
    else:
        out.print(f"{len(events):,} events to {place}", markup=False, highlight=False, soft_wrap=True)
