"""Commands about models: which there are, what they say, which is in service."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from galileu_pipeline.cli.console import AsJson, active_profile, app, err, open_store, out, print_json, run_here, short
from galileu_pipeline.files import replace_file
from galileu_pipeline.markdown import printable

if TYPE_CHECKING:
    from galileu_pipeline.lineage.champion import Champion
    from galileu_pipeline.summaries import ModelSummary

Reason = Annotated[str | None, typer.Option("--reason", help="Kept in the history.")]


@app.command()
def models(as_json: AsJson = False) -> None:
    """Every model, oldest first: what it is, how good, whether it is the current one."""
    from galileu_pipeline.summaries import list_models

    found = list_models(open_store())
    if as_json:
        print_json(found)
        return
    if not found:
        err.print("No models yet. `galileu demo` makes the first ones.")
        return
    table = Table()
    for column in ("id", "made (UTC)", "profile", "accuracy", "current", "in service", "tainted"):
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
    from galileu_pipeline.loading import loading
    from galileu_pipeline.training.talk import answer, choose_model

    store = open_store()
    choose_model(store, model_id)  # a wrong name is told at once
    with err.status(f"loading {escape(model_id)}"):
        with loading():
            from galileu_pipeline.training import backbone, generation  # noqa: F401 (with them come the libraries)
        text, used = answer(store, model_id, prompt, max_new_tokens)
    if as_json:
        print_json({"model": used, "prompt": prompt, "answer": text})
    else:
        out.print(text, markup=False, highlight=False)


@app.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="An id from `galileu models`, or an asset.")],
    other: Annotated[str, typer.Argument(metavar="B", help="The model that A is compared with.")],
    questions: Annotated[int, typer.Option(min=0, help="Answers to show side by side.")] = 3,
    html: Annotated[Path | None, typer.Option(metavar="OUT.html", help="Write a page to read and to send.")] = None,
    language: Annotated[Literal["pt", "en"], typer.Option(help="Of the page.")] = "pt",
    as_json: AsJson = False,
) -> None:
    """Compare two models on held-out questions: who wins, by how much, what else changed, and what people say."""
    from galileu_pipeline.evaluation.people import peoples_verdict
    from galileu_pipeline.evaluation.report_pages import comparison_page
    from galileu_pipeline.evaluation.results import read_answers, read_evaluation
    from galileu_pipeline.evaluation.stages import contest_of_two, make_evaluation
    from galileu_pipeline.evaluation.wording import Wording
    from galileu_pipeline.feedback.warehouse import Warehouse

    store, profile = open_store(), active_profile()
    made = make_evaluation(
        store,
        contest_of_two(store, one, other),
        profile.evaluation,
        run_here,
        resources=profile.resources_of("model_evaluation"),
    )
    evaluation = read_evaluation(made.artifact.path)
    (candidate,) = (model.id for model in evaluation.models if model.id != evaluation.champion)
    with Warehouse(store.data.warehouse).open() as connection:
        people = peoples_verdict(connection, candidate, evaluation.champion)
    if html is not None:
        page = comparison_page(
            evaluation,
            read_answers(made.artifact.path),
            people,
            evaluation_id=made.artifact.id,
            evaluated_at=made.artifact.manifest.created_at,
            language=language,
        )
        replace_file(html, page)
        err.print(f"Written: {short(html.resolve())}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json({**evaluation.model_dump(mode="json"), "people": people.model_dump(mode="json")})
        return
    wording = Wording(evaluation, "en")
    table = Table(title=f"{evaluation.prompts} held-out questions; 95 % intervals. Judge: {evaluation.judge.id}")
    for column in wording.header("compared_with"):
        table.add_column(column, overflow="fold")
    for row in wording.figures():
        table.add_row(*row)
    out.print(table)
    judges = Table()
    for column in wording.judges_header():
        judges.add_column(column, overflow="fold")
    for row in wording.judges():
        judges.add_row(*row)
    out.print(judges)
    p = evaluation.model(candidate).preference_p
    if p is not None:
        out.print(f"Preference accuracy on the same pairs: p = {p:.3f} (McNemar).", highlight=False)
    out.print(wording.people(people), highlight=False)
    for answer in read_answers(made.artifact.path)[: 2 * questions]:
        if answer.model == evaluation.models[0].id:
            out.print(f"\n{printable(answer.prompt)}", style="bold", markup=False, highlight=False)
        out.print(f"{answer.model} ({answer.reward:.2f}): {printable(answer.answer)}", markup=False, highlight=False)


@app.command()
def champion(
    history: Annotated[bool, typer.Option("--history", help="And how that came to be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Which model is in service."""
    from galileu_pipeline.lineage.champion import ChampionFile

    found = ChampionFile(open_store()).read()
    if as_json:
        print_json(found)
        return
    out.print(f"In service: {found.id or 'the base model'}", highlight=False)
    if not history:
        return
    table = Table()
    for column in ("when (UTC)", "what", "by", "in place of", "decision or reason"):
        table.add_column(column, overflow="fold")
    for change in found.history:
        what = f"{'promoted' if change.how == 'promoted' else 'rolled back to'} {change.id or 'the base model'}"
        why = " ".join(filter(None, (change.decision, change.reason)))
        when = f"{change.at:%Y-%m-%d %H:%M}"
        table.add_row(when, what, change.by, change.replaced or "the base model", escape(why))
    if found.history:
        out.print(table)


@app.command()
def promote(
    model_id: Annotated[str, typer.Argument(metavar="ID", help="An id from `galileu models`, or an asset.")],
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Put a model into service, whatever the rule says. The chat speaks with it from the next answer on."""
    from galileu_pipeline.lineage.champion import ChampionFile
    from galileu_pipeline.training.talk import choose_model

    store = open_store()
    model, service = choose_model(store, model_id), ChampionFile(store)
    _tell_champion(service.promote(model.id, by="person", in_place_of=service.read().id, reason=reason), as_json)


@app.command()
def rollback(reason: Reason = None, as_json: AsJson = False) -> None:
    """Bring back the model that was in service before; only a person can promote the present one again."""
    from galileu_pipeline.lineage.champion import ChampionFile

    _tell_champion(ChampionFile(open_store()).roll_back(reason), as_json)


def _tell_champion(found: "Champion", as_json: bool) -> None:
    if as_json:
        print_json(found)
    else:
        out.print(f"In service: {found.id or 'the base model'}", highlight=False)


def _model_row(model: "ModelSummary") -> tuple[str, ...]:
    accuracy = str(model.accuracy) if model.accuracy else "–"
    marks = ("yes" if mark else "" for mark in (model.current, model.in_service, model.tainted))
    return (model.id, f"{model.created_at:%Y-%m-%d %H:%M}", model.profile, accuracy, *marks)
