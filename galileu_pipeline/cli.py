"""`galileu`: the pipeline from the command line.

Results go to stdout (with --json as JSON), all else to stderr. Exit codes: 0 done, 1 failed, 2 bad usage or input.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table

from galileu_pipeline import __version__
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.markdown import printable
from galileu_pipeline.profiles.schema import Profile, active_profile_name, load_profile
from galileu_pipeline.summaries import ModelSummary, held_out_results, list_models

app = typer.Typer(
    name="galileu",
    help="People's feedback on a chatbot becomes a better model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def main() -> None:
    """The console script: expected errors become one line and an exit code."""
    try:
        app()
    except GalileuError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(error.exit_code)


@app.callback(invoke_without_command=True)
def options(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        out.print(__version__)
        raise typer.Exit


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Run the whole pipeline: sample feedback in, trained models out."""
    from galileu_pipeline.demo import prepare_feedback, prepare_instance, run_job

    store = _store()
    err.print(f"Profile [bold]{store.profile}[/]: {load_profile(store.profile).description}", highlight=False)
    prepare_feedback(store.data, _tell)
    with prepare_instance() as instance, err.status("starting Dagster") as status:

        def doing(line: str) -> None:
            status.update(escape(line))
            if not err.is_terminal:
                _tell(f"  {line}")

        run_job(instance, _tell, doing)
    results = held_out_results(store)
    if as_json:
        _print_json(results)
        return
    table = Table(title="Held-out preference accuracy (share of pairs where the chosen answer wins; 95 % interval)")
    for column in ("model", "accuracy", "base model, same pairs", "manifest"):
        table.add_column(column, overflow="fold")
    for row in results:
        table.add_row(row.asset, str(row.accuracy), str(row.base_accuracy), _short(row.manifest))
    out.print(table)
    err.print("Next: `make chat` to talk to a model and rate it; `make ui` for the graph.")


@app.command()
def stats(as_json: AsJson = False) -> None:
    """Statistics of the feedback, as of the last materialization of feedback_analytics."""
    from galileu_pipeline.feedback.analytics_report import markdown
    from galileu_pipeline.feedback.stages import read_analytics

    analytics = read_analytics(_store().current("feedback_analytics"))
    if as_json:
        _print_json(analytics)
    else:
        out.print(Markdown(markdown(analytics)))


@app.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="SQLite, JSON lines, JSON or CSV, each also gzipped.")],
    mapping: Annotated[
        list[str], typer.Option("--map", metavar="FIELD=NAME", help="A field that has another name in the files.")
    ] = [],  # noqa: B006 (Typer copies it)
    as_json: AsJson = False,
) -> None:
    """Bring feedback in from files. The same file twice adds nothing; if one file cannot be read, none is imported."""
    from galileu_pipeline.feedback.ingestion import IngestionReport
    from galileu_pipeline.feedback.stages import import_files
    from galileu_pipeline.feedback.warehouse import Warehouse

    data = DataFolder.from_environment()
    with err.status("importing"):
        reports = import_files(
            Warehouse(data.warehouse), data, files, mapping=_mapping(mapping), repair_text=_profile().repair_text
        )
    if as_json:
        _print_json(sum(reports.values(), IngestionReport()))
        return
    table = Table()
    for column in ("file", "rows", "accepted", "duplicates", "quarantined"):
        table.add_column(column, overflow="fold", justify="left" if column == "file" else "right")
    for path, report in reports.items():
        counts = (report.rows, report.accepted, report.duplicates, report.refused)
        table.add_row(escape(_short(path)), *(f"{count:,}" for count in counts))
    out.print(table)
    for path, report in reports.items():
        if report.quarantined:
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in report.quarantined.items())
            _tell(f"{_short(path)}: {reasons}. `galileu quarantine` lists them.")
        if report.rows and not report.accepted and "missing_text" in report.quarantined:
            _tell("If the file has other names for query and response, say so: --map query=NAME --map response=NAME")


@app.command()
def quarantine(
    retry: Annotated[bool, typer.Option("--retry", help="Judge the rows again; those that pass leave.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """The rows that were refused, and why; or judge them again, as after an update or with another profile."""
    from galileu_pipeline.feedback.quarantine import read_quarantine
    from galileu_pipeline.feedback.stages import retry_quarantine
    from galileu_pipeline.feedback.warehouse import Warehouse

    data = DataFolder.from_environment()
    warehouse = Warehouse(data.warehouse)
    if retry:
        report = retry_quarantine(warehouse, data, repair_text=_profile().repair_text)
        if as_json:
            _print_json(report)
        else:
            out.print(f"{report.rows:,} judged again: {report.accepted:,} accepted, {report.refused:,} refused.")
        return
    with warehouse.open() as connection:
        found = read_quarantine(connection, limit)
    if as_json:
        _print_json(found)
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
    kind: Annotated[Literal["training", "pairs", "feedback"], typer.Argument(help="What to export.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="File ending in .jsonl, .json, .parquet or .csv.")],
    min_rating: Annotated[float, typer.Option(min=1, max=5, help="Of training: least mean rating.")] = 4,
    conversational: Annotated[
        bool, typer.Option("--conversational", help="Texts as TRL's lists of messages, with the system prompt.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write feedback to a file: examples for SFT, preference pairs for DPO, or everything."""
    from galileu_pipeline.feedback.exports import ExportSettings
    from galileu_pipeline.feedback.exports import export as write
    from galileu_pipeline.feedback.warehouse import Warehouse

    profile = _profile()
    settings = ExportSettings(
        kind=kind,
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
        out.print(f"{rows:,} rows in {_short(output.resolve())}", highlight=False, markup=False)


@app.command()
def report(
    output: Annotated[Path, typer.Argument(metavar="OUT.html", help="The page to write.")],
    language: Annotated[Literal["pt", "en"], typer.Option(help="Of the page.")] = "pt",
    as_json: AsJson = False,
) -> None:
    """Write what the feedback says as one self-contained HTML page, to read and to send."""
    from galileu_pipeline.feedback.report_page import feedback_page
    from galileu_pipeline.feedback.stages import read_analytics

    store = _store()
    artifact = store.current("feedback_analytics")
    try:
        models = [(row.asset, row.accuracy, row.base_accuracy) for row in held_out_results(store)]
    except MissingArtifactError:
        models = []
    page = feedback_page(
        read_analytics(artifact),
        models,
        artifact=artifact.id,
        recorded_at=artifact.manifest.created_at,
        language=language,
    )
    replace_file(output, page)
    if as_json:
        print(json.dumps({"path": str(output), "language": language}))
    else:
        out.print(_short(output.resolve()), markup=False, highlight=False, soft_wrap=True)


@app.command()
def models(as_json: AsJson = False) -> None:
    """Every model, oldest first: what it is, how good, whether it is the current one."""
    found = list_models(_store())
    if as_json:
        _print_json(found)
        return
    if not found:
        err.print("No models yet. `galileu demo` makes the first ones.")
        return
    table = Table()
    for column in ("id", "made (UTC)", "profile", "accuracy", "current"):
        table.add_column(column, overflow="fold")
    for model in found:
        table.add_row(*_model_row(model))
    out.print(table)


@app.command()
def generate(
    model_id: Annotated[str, typer.Argument(help="An id from `galileu models`, or an asset such as dpo_model.")],
    prompt: Annotated[str, typer.Argument(help="The question.")],
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of the answer, in tokens.")] = 128,
    as_json: AsJson = False,
) -> None:
    """Ask a model a question. The answer is the most likely one, so the same question gives the same answer."""
    from galileu_pipeline.training.talk import answer

    with err.status(f"loading {escape(model_id)}"):
        text, used = answer(_store(), model_id, prompt, max_new_tokens)
    if as_json:
        _print_json({"model": used, "prompt": prompt, "answer": text})
    else:
        out.print(text, markup=False, highlight=False)


@app.command()
def chat(
    model: Annotated[str | None, typer.Option(help="Serve this model instead of the champion.")] = None,
    against: Annotated[str | None, typer.Option(help="Side by side, compare with this model.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's needs a login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 7860,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    answers_per_minute: Annotated[int, typer.Option(min=1, help="A person may have at most.")] = 20,
    votes_per_minute: Annotated[int, typer.Option(min=1, help="A person may give at most.")] = 120,
) -> None:
    """Chat with the model in service in the browser, and rate what it says."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when Gradio is imported
    from galileu_pipeline.chat.serve import (
        launch,
        login_from_environment,
        require_free_port,
        require_safe_address,
    )
    from galileu_pipeline.chat.serving import rival_model, served_model

    store, login = _store(), login_from_environment()
    require_safe_address(host, login)
    require_free_port(host, port)
    rival_model(store, served_model(store, model), against)  # a wrong name is told before the page opens
    try:
        from galileu_pipeline.chat.app import Chat, ChatSettings, build_app, translations
    except ModuleNotFoundError as error:
        raise GalileuError(
            f"{error.name} is not installed; the chat needs it: pip install -c constraints.txt -e '.[chat]'"
        ) from error
    from galileu_pipeline.feedback.collector import FeedbackCollector
    from galileu_pipeline.feedback.pseudonyms import Pseudonyms

    pseudonyms = Pseudonyms.of_folder(store.data)
    settings = ChatSettings(model, against, max_new_tokens, answers_per_minute, votes_per_minute)
    page = Chat(store, FeedbackCollector(store.data.feedback_db, pseudonyms), settings)
    i18n = translations()
    ui = build_app(page, i18n, pseudonyms.secret("browser state"))
    launch(ui, i18n, host, port, login)
    _tell(f"The chat is on http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C stops it)")
    try:
        ui.block_thread()
    except KeyboardInterrupt:
        ui.close(verbose=False)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What is installed, what this machine has, and which profile fits it."""
    from galileu_pipeline.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        _print_json(diagnosis)
    else:
        machine = diagnosis.machine
        gpus = ", ".join(f"{gpu.name} ({gpu.memory_gb:g} GiB)" for gpu in machine.gpus) or "no GPU"
        out.print(f"machine   {machine.cpus} cores, {machine.memory_gb:g} GiB, {gpus}", highlight=False)
        for name, version in diagnosis.packages.items():
            out.print(f"{name:<14}{version or '[red]not installed[/]'}", highlight=False)
        out.print(f"data      {diagnosis.data_folder}", highlight=False, soft_wrap=True)
        for fit in diagnosis.profiles:
            active = " (active)" if fit.profile == diagnosis.active_profile else ""
            sign = "[green]fits[/]" if fit.fits else "[red]does not fit[/]"
            out.print(f"profile   [bold]{fit.profile}[/]{active}: {sign}. {fit.description}", highlight=False)
            for line in [*fit.problems, *fit.notes]:
                out.print(f"          - {escape(line)}", highlight=False)
    if not diagnosis.healthy:
        raise typer.Exit(1)


def _profile() -> Profile:
    return load_profile(active_profile_name())


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


def _store() -> ArtifactStore:
    return ArtifactStore(DataFolder.from_environment(), load_profile(active_profile_name()).name)


def _short(path: Path) -> str:
    """`path` as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _tell(line: str) -> None:
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_json(value: Any) -> None:
    plain = value
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json")
    elif isinstance(value, list):
        plain = [item.model_dump(mode="json") for item in value]
    print(json.dumps(plain, ensure_ascii=False, indent=2))


def _model_row(model: ModelSummary) -> tuple[str, ...]:
    accuracy = str(model.accuracy) if model.accuracy else "–"
    return model.id, f"{model.created_at:%Y-%m-%d %H:%M}", model.profile, accuracy, "yes" if model.current else ""
