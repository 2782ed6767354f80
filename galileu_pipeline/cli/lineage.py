"""Commands about where artifacts come from."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, app, err, open_store, out, print_json, run_here, short, tell
from galileu_pipeline.errors import InputError
from galileu_pipeline.files import replace_file
from galileu_pipeline.languages import Language

if TYPE_CHECKING:
    from galileu_pipeline.lineage.artifacts import ArtifactStore
    from galileu_pipeline.lineage.origin import Origin
    from galileu_pipeline.lineage.sources import Item

_ARTIFACT = "An id from `galileu models`, an asset, or the path of an artifact's folder."


@app.command()
def lineage(
    artifact: Annotated[str | None, typer.Argument(metavar="[ID|ASSET|PATH]", help=_ARTIFACT)] = None,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="USER", help="What came from a person: an id of theirs, or the pseudonym."),
    ] = None,
    feedback: Annotated[
        str | None, typer.Option("--feedback", metavar="ID", help="What came from one row of feedback.")
    ] = None,
    depth: Annotated[
        Literal["artifacts", "feedback"], typer.Option(help="How far back: also to each row of feedback.")
    ] = "artifacts",
    html: Annotated[Path | None, typer.Option("--html", metavar="OUT.html", help="Write it as a page.")] = None,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Print it as a Mermaid flow chart.")] = False,
    language: Annotated[Literal["pt", "en"], typer.Option(help="Of the page.")] = "pt",
    as_json: AsJson = False,
) -> None:
    """Where a model or a dataset came from, back to the clicks; what was made from it, or from somebody's clicks."""
    if sum(given is not None for given in (artifact, user, feedback)) != 1:
        raise InputError("Give one of these: an artifact (id, asset or path), --user, or --feedback.")
    if sum((as_json, as_mermaid, html is not None)) > 1:
        raise InputError("--json, --mermaid and --html exclude each other.")
    store = open_store()
    if artifact is None:
        if as_mermaid or html is not None or depth == "feedback":
            raise InputError("--mermaid, --html and --depth are for artifacts.")
        _trace(store, user, feedback, as_json=as_json)
    elif as_mermaid or html is not None:
        _draw(store, artifact, html, language)
    else:
        _origin(store, artifact, items=depth == "feedback", as_json=as_json)


@app.command()
def why(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_ARTIFACT)],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="What one would ask the model.")],
    most: Annotated[
        int, typer.Option("--nearest", metavar="N", min=0, help="How many similar questions besides the same one.")
    ] = 3,
    as_json: AsJson = False,
) -> None:
    """The votes that taught a model about a question: the same question, and the nearest ones, in its datasets."""
    from galileu_pipeline.cli.lineage_views import teaching_view
    from galileu_pipeline.lineage.graph import locate
    from galileu_pipeline.lineage.teaching import teaching

    found = teaching(*locate(open_store(), model), question, most=most)
    if as_json:
        print_json(found)
    else:
        out.print(teaching_view(found))
        if found.unreadable:
            tell(f"These are gone, or do not say what they hold: {', '.join(found.unreadable)}.")


@app.command()
def diff(
    one: Annotated[str, typer.Argument(metavar="A", help=_ARTIFACT)],
    other: Annotated[str, typer.Argument(metavar="B", help="What A is compared with: what B has more or less.")],
    as_json: AsJson = False,
) -> None:
    """What differs between two models (or datasets): feedback, settings, code, packages, metrics."""
    from galileu_pipeline.cli.lineage_views import difference_view
    from galileu_pipeline.lineage.difference import difference
    from galileu_pipeline.lineage.graph import locate

    store = open_store()
    found = difference(locate(store, one), locate(store, other))
    if as_json:
        print_json(found)
    else:
        out.print(difference_view(found))
        _tell_unrecorded(found.unrecorded)


@app.command()
def verify(
    artifact_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="An artifact, with all it was made from; all of them without.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every file again and compare it with the manifests; ends with 1 if something is not as it was."""
    from galileu_pipeline.lineage.verification import verify as find_faults

    store = open_store()
    with err.status("reading every file"):
        faults = find_faults(store, artifact_id)
    if as_json:
        print_json(faults)
    elif faults:
        table = Table()
        for column in ("artifact", "fault", "what"):
            table.add_column(column, overflow="fold")
        for fault in faults:
            table.add_row(fault.artifact, fault.kind, escape(fault.subject))
        out.print(table)
    else:
        err.print("Everything is as its manifest says.")
    if faults:
        raise typer.Exit(1)


@app.command()
def reproduce(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="A model from `galileu models`, or an asset.")],
    as_json: AsJson = False,
) -> None:
    """Train a model again as its manifest says, in a temporary folder, and compare; ends with 1 if it is another one.

    On a CPU the same code gives the same bytes. GPUs do not promise that.
    """
    from galileu_pipeline.training.reproduction import reproduce as train_again

    store = open_store()
    model = store.load(model_id) if "-" in model_id else store.current(model_id)
    found = train_again(store, model, run_here)
    if as_json:
        print_json(found)
    else:
        for name in found.differing:
            out.print(f"differs: {name}", markup=False, highlight=False)
        sign = "the same files" if found.same else "other files"
        note = "" if found.same_code else " (the code has changed since it was made)"
        out.print(
            f"{model.id}: {sign}, digest {found.digest[:12]} and {model.manifest.digest[:12]}{note}", highlight=False
        )
    if not found.same:
        raise typer.Exit(1)


def _origin(store: "ArtifactStore", name: str, *, items: bool, as_json: bool) -> None:
    from galileu_pipeline.cli.lineage_views import MOST_ITEMS, origin_tree
    from galileu_pipeline.lineage.graph import locate
    from galileu_pipeline.lineage.origin import items_behind, origin_of

    found = locate(store, name)
    if as_json and items:
        _print_origin(origin_of(*found), items_behind(*found))
    elif as_json:
        print_json(origin_of(*found))
    else:
        out.print(origin_tree(origin_of(*found, items=MOST_ITEMS if items else 0)))


def _print_origin(origin: "Origin", items: Iterable[tuple[str, Iterable["Item"]]]) -> None:
    """As JSON, item by item: a model may have a million rows of feedback behind it."""
    print(json.dumps(origin.model_dump(mode="json", exclude={"items"}), ensure_ascii=False, indent=2)[:-2], end="")
    print(',\n  "items": {', end="")
    for place, (dataset, found) in enumerate(items):
        print(f"{',' if place else ''}\n    {json.dumps(dataset)}: [", end="")
        for number, item in enumerate(found):
            print(f"{',' if number else ''}\n      {item.model_dump_json()}", end="")
        print("\n    ]", end="")
    print("\n  }\n}")


def _draw(store: "ArtifactStore", name: str, html: Path | None, language: Language) -> None:
    from galileu_pipeline.lineage.graph import locate
    from galileu_pipeline.lineage.mermaid import mermaid
    from galileu_pipeline.lineage.origin import origin_of

    origin = origin_of(*locate(store, name))
    if html is None:
        print(mermaid(origin), end="")
        return
    from galileu_pipeline.lineage.origin_page import origin_page

    replace_file(html, origin_page(origin, language))
    out.print(short(html.resolve()), markup=False, highlight=False, soft_wrap=True)


def _trace(store: "ArtifactStore", user: str | None, feedback: str | None, *, as_json: bool) -> None:
    from galileu_pipeline.cli.lineage_views import trace_view
    from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
    from galileu_pipeline.lineage.graph import Graph

    graph = Graph.read(store)
    if user is not None:
        trace = graph.of_person(Pseudonyms.of_folder(store.data).of(user))
    else:
        trace = graph.of_feedback(feedback or "")
    if as_json:
        print_json(trace)
    else:
        out.print(trace_view(trace))
        _tell_unrecorded(trace.unrecorded)


def _tell_unrecorded(datasets: list[str]) -> None:
    if datasets:
        tell(f"It is not recorded which feedback these hold: {', '.join(datasets)}.")
