"""Commands about feedback: what it says, in, out."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, active_profile, app, err, open_store, out, print_json, short, tell
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.files import replace_file
from galileu_pipeline.languages import Language
from galileu_pipeline.markdown import printable

if TYPE_CHECKING:
    from galileu_pipeline.lineage.artifacts import ArtifactStore


@app.command()
def stats(as_json: AsJson = False) -> None:
    """Statistics of the feedback, as of the last materialization of feedback_analytics."""
    from rich.markdown import Markdown

    from galileu_pipeline.feedback.analytics.markdown_report import markdown
    from galileu_pipeline.feedback.stages import read_analytics

    analytics = read_analytics(open_store().current("feedback_analytics"))
    if as_json:
        print_json(analytics)
    else:
        out.print(Markdown(markdown(analytics)))


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(help="SQLite, JSON lines, JSON, CSV or Parquet, also compressed, or another program's export."),
    ],
    mapping: Annotated[
        list[str], typer.Option("--map", metavar="FIELD=NAME", help="A field that has another name in the files.")
    ] = [],  # noqa: B006 (Typer copies it)
    scale: Annotated[
        str | None,
        typer.Option(metavar="WORST-BEST|thumbs", help="What ratings mean: 1-5 if nothing is said, 0-10, thumbs."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be read.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring feedback in from files. The same file twice adds nothing; if one file cannot be read, none is imported."""
    from galileu_pipeline.cli.import_preview import show_preview
    from galileu_pipeline.feedback.ingestion.ingestor import IngestionReport
    from galileu_pipeline.feedback.ingestion.scale import Scale
    from galileu_pipeline.feedback.stages import import_files, preview_files
    from galileu_pipeline.feedback.warehouse import Warehouse

    data = DataFolder.from_environment()
    with err.status("reading" if dry_run else "importing"):
        reports = (preview_files if dry_run else import_files)(
            Warehouse(data.warehouse),
            data,
            files,
            mapping=_mapping(mapping),
            repair_text=active_profile().repair_text,
            scale=Scale.parse(scale) if scale is not None else None,
        )
    if dry_run:
        show_preview(reports, as_json=as_json)
        return
    for path, report in reports.items():
        for note in report.summary.notes():
            tell(f"{short(path)}: {note}.")
    if as_json:
        print_json(sum(reports.values(), IngestionReport()))
        return
    table = Table()
    for column in ("file", "rows", "accepted", "duplicates", "quarantined"):
        table.add_column(column, overflow="fold", justify="left" if column == "file" else "right")
    for path, report in reports.items():
        counts = (report.rows, report.accepted, report.duplicates, report.refused)
        table.add_row(escape(short(path)), *(f"{count:,}" for count in counts))
    out.print(table)
    for path, report in reports.items():
        if report.quarantined:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.quarantined.items())
            tell(f"{short(path)}: {reasons}. `galileu quarantine` lists them.")
        if report.rows and not report.accepted and "missing_text" in report.quarantined:
            tell("If the file has other names for query and response, say so: --map query=NAME --map response=NAME")


@app.command()
def quarantine(
    retry: Annotated[bool, typer.Option("--retry", help="Judge the rows again; those that pass leave.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The rows that were refused, and why; or judge them again, as after an update or with another profile."""
    from galileu_pipeline.feedback.ingestion.quarantine import read_quarantine
    from galileu_pipeline.feedback.stages import retry_quarantine
    from galileu_pipeline.feedback.warehouse import Warehouse

    data = DataFolder.from_environment()
    warehouse = Warehouse(data.warehouse)
    if retry:
        report = retry_quarantine(warehouse, data, repair_text=active_profile().repair_text)
        if as_json:
            print_json(report)
        else:
            out.print(f"{report.rows:,} judged again: {report.accepted:,} accepted, {report.refused:,} refused.")
        return
    with warehouse.open() as connection:
        found = read_quarantine(connection, limit)
    if as_json:
        print_json(found)
        return
    if not found.total:
        err.print("The quarantine is empty.")
        return
    table = Table(title=f"{found.total:,} rows: " + ", ".join(f"{name} {n:,}" for name, n in found.by_reason.items()))
    for column in ("source", "line or row", "reason", "what is wrong", "kept whole"):
        table.add_column(column, overflow="fold")
    for row in found.rows:
        table.add_row(
            escape(printable(row.source)),
            str(row.position),
            row.reason,
            escape(printable(row.detail)),
            "yes" if row.can_be_retried else "no",
        )
    out.print(table)


@app.command()
def export(
    kind: Annotated[Literal["training", "pairs", "kto", "feedback"], typer.Argument(help="What to export.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="File ending in .jsonl, .json, .parquet or .csv.")],
    layout: Annotated[
        Literal["trl", "openai", "llama-factory"], typer.Option("--format", help="Whose trainer is to read it.")
    ] = "trl",
    min_rating: Annotated[float, typer.Option(min=1, max=5, help="Of training and kto: least mean rating.")] = 4,
    conversational: Annotated[
        bool, typer.Option("--conversational", help="Texts as TRL's lists of messages, with the system prompt.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write feedback to a file: examples for SFT, pairs for DPO, good and bad answers for KTO, or everything."""
    from galileu_pipeline.feedback.pairing.exports import ExportSettings
    from galileu_pipeline.feedback.pairing.exports import export as write
    from galileu_pipeline.feedback.pairing.layouts import Layout
    from galileu_pipeline.feedback.warehouse import Warehouse

    profile = active_profile()
    settings = ExportSettings(
        kind=kind,
        layout=Layout(layout),
        pairing=profile.pairing,
        min_rating=min_rating,
        conversational=conversational,
        system_prompt=profile.datasets.system_prompt,
    )
    with Warehouse(DataFolder.from_environment().warehouse).open() as connection:
        rows = write(connection, output, settings)
    if as_json:
        print(json.dumps({"path": str(output), "kind": kind, "rows": rows}))
    else:
        out.print(f"{rows:,} rows in {short(output.resolve())}", highlight=False, markup=False)


@app.command()
def report(
    output: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write.")],
    decision: Annotated[
        bool, typer.Option("--decision", help="The last decision about the model in service, and its reasons.")
    ] = False,
    language: Annotated[Literal["pt", "en"], typer.Option(help="Of the page.")] = "pt",
    as_json: AsJson = False,
) -> None:
    """Write what the feedback says, or why which model is in service, as one HTML page to read and to send."""
    store = open_store()
    replace_file(output, _decision_page(store, language) if decision else _feedback_page(store, language))
    if as_json:
        print(json.dumps({"path": str(output), "language": language}))
    else:
        out.print(short(output.resolve()), markup=False, highlight=False, soft_wrap=True)


def _feedback_page(store: "ArtifactStore", language: Language) -> str:
    from galileu_pipeline.feedback.analytics.report_page import feedback_page
    from galileu_pipeline.feedback.stages import read_analytics
    from galileu_pipeline.summaries import held_out_results

    artifact = store.current("feedback_analytics")
    models = [(row.asset, row.accuracy, row.base_accuracy) for row in held_out_results(store)]
    return feedback_page(
        read_analytics(artifact),
        models,
        artifact=artifact.id,
        recorded_at=artifact.manifest.created_at,
        language=language,
    )


def _decision_page(store: "ArtifactStore", language: Language) -> str:
    from galileu_pipeline.evaluation.report_pages import decision_page
    from galileu_pipeline.evaluation.results import read_answers, read_evaluation
    from galileu_pipeline.evaluation.stages import last_settled

    settled = last_settled(store)
    return decision_page(
        settled.decision,
        read_evaluation(settled.evaluation.path),
        read_answers(settled.evaluation.path),
        settled.rule,
        decision_id=settled.artifact.id,
        decided_at=settled.artifact.manifest.created_at,
        language=language,
    )


def _mapping(options: list[str]) -> dict[str, str]:
    """`FIELD=NAME` options as a mapping.

    Raises:
        InputError: one has no `=`.
    """
    pairs = [option.partition("=") for option in options]
    for option, (field, _, name) in zip(options, pairs, strict=True):
        if not (field and name):
            raise InputError(f"--map {option} is not FIELD=NAME, such as query=pergunta.")
    return {field: name for field, _, name in pairs}
