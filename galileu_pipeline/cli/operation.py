"""Commands that run things: the demo, the chat, a look at the machine."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, active_profile, app, err, open_store, out, print_json, short, tell
from galileu_pipeline.errors import GalileuError


@app.command()
def demo(as_json: AsJson = False) -> None:
    """Run the whole pipeline: sample feedback in, trained models out."""
    from galileu_pipeline.automation.instance import open_instance
    from galileu_pipeline.demo import prepare_feedback, run_job
    from galileu_pipeline.evaluation.results import read_evaluation
    from galileu_pipeline.evaluation.stages import last_settled
    from galileu_pipeline.evaluation.wording import Wording
    from galileu_pipeline.summaries import held_out_results

    store = open_store()
    err.print(f"Profile [bold]{store.profile}[/]: {active_profile().description}", highlight=False)
    prepare_feedback(store.data, tell)
    with err.status("starting Dagster") as status, open_instance()[0] as instance:

        def doing(line: str) -> None:
            status.update(escape(line))
            if not err.is_terminal:
                tell(f"  {line}")

        run_job(instance, tell, doing)
    results = held_out_results(store)
    if as_json:
        print_json(results)
        return
    table = Table(title="Held-out preference accuracy (share of pairs where the chosen answer wins; 95 % interval)")
    for column in ("model", "accuracy", "base model, same pairs", "manifest"):
        table.add_column(column, overflow="fold")
    for row in results:
        table.add_row(row.asset, str(row.accuracy), str(row.base_accuracy or "not measured"), short(row.manifest))
    out.print(table)
    for row in results:
        if row.reward_gain:
            out.print(f"Reward of {row.asset}'s answers to held-out questions, above sft_model's: {row.reward_gain}")
    settled = last_settled(store)
    out.print(Wording(read_evaluation(settled.evaluation.path), "en").outcome(settled.decision))
    err.print("Next: `make chat` to talk to a model and rate it; `make ui` for the graph.")


@app.command()
def chat(
    model: Annotated[str | None, typer.Option(help="Serve this model instead of the champion.")] = None,
    against: Annotated[str | None, typer.Option(help="The candidate, side by side and for --canary.")] = None,
    canary: Annotated[
        float, typer.Option(min=0, max=50, help="Percent of the people whom the candidate answers, unnamed.")
    ] = 0,
    canary_bound: Annotated[
        float, typer.Option(min=0, max=1, help="Withdraw it once its share of thumbs up is certainly below this.")
    ] = 0.5,
    host: Annotated[str, typer.Option(help="Address to listen on; another than this machine's needs a login.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 7860,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 256,
    answers_per_minute: Annotated[int, typer.Option(min=1, help="A person may have at most.")] = 20,
    votes_per_minute: Annotated[int, typer.Option(min=1, help="A person may give at most.")] = 120,
) -> None:
    """Chat with the model in service in the browser, and rate what it says."""
    from galileu_pipeline.chat.serve import (
        launch,
        login_from_environment,
        require_free_port,
        require_safe_address,
    )
    from galileu_pipeline.chat.serving import rival_model, served_model

    store, login = open_store(), login_from_environment()
    require_safe_address(host, login)
    require_free_port(host, port)
    rival_model(store, served_model(store, model), against)  # a wrong name is told before the page opens
    try:
        from galileu_pipeline.chat.handlers import Chat, ChatSettings
        from galileu_pipeline.chat.page import build_app, translations
    except ModuleNotFoundError as error:
        raise GalileuError(
            f"{error.name} is not installed; the chat needs it: pip install -c constraints.txt -e '.[chat]'"
        ) from error
    from galileu_pipeline.feedback.collection.collector import FeedbackCollector
    from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms

    pseudonyms = Pseudonyms.of_folder(store.data)
    settings = ChatSettings(
        model, against, max_new_tokens, answers_per_minute, votes_per_minute, canary / 100, canary_bound
    )
    page = Chat(store, FeedbackCollector(store.data.feedback_db, pseudonyms), settings)
    i18n = translations()
    ui = build_app(page, i18n, pseudonyms.secret("browser state"))
    launch(ui, i18n, host, port, login)
    tell(f"The chat is on http://{f'[{host}]' if ':' in host else host}:{port} (Ctrl-C stops it)")
    try:
        ui.block_thread()
    except KeyboardInterrupt:
        ui.close(verbose=False)


@app.command()
def status(as_json: AsJson = False) -> None:
    """How things stand: the last runs, what waits for what, who is in service, how far the next training is."""
    from galileu_pipeline.automation.instance import open_instance
    from galileu_pipeline.status import look

    store, profile = open_store(), active_profile()
    with open_instance()[0] as instance:
        found = look(store, instance, profile.automation)
    if as_json:
        print_json(found)
        return
    since = f" since {found.champion_since:%F %R} UTC" if found.champion_since else ""
    out.print(f"In service  {found.champion or 'nothing yet'}{since}", highlight=False)
    out.print(f"Candidates  {', '.join(found.candidates) or 'none yet'}", highlight=False)
    for progress in found.progress:
        line = f"{progress.count:,} {progress.what}, the next training at {progress.next_at:,}"
        out.print(f"Feedback    {line}", highlight=False)
    if found.inbox:
        out.print(f"Inbox       {found.inbox} files wait to be imported", highlight=False)
    out.print(f"Disk        {found.disk_free_gb:,} GiB free; the data folder holds {found.data_gb:,}", highlight=False)
    if not (found.unfinished or found.last):
        out.print("Runs        none yet: `galileu demo`, or `dagster dev` and its Automation page", highlight=False)
        return
    table = Table(title="Runs, times in UTC")
    for column in ("run", "job", "state", "started", "ended", "why"):
        table.add_column(column, overflow="fold")
    for run in [*found.unfinished, *found.last]:
        started, ended = (f"{time:%m-%d %R}" if time else "" for time in (run.started, run.ended))
        table.add_row(run.id[:8], run.job, run.status, started, ended, escape(run.cause or ""))
    out.print(table)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """What is installed, what this machine has, and which profile fits it."""
    from galileu_pipeline.doctor import diagnose

    diagnosis = diagnose()
    if as_json:
        print_json(diagnosis)
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
