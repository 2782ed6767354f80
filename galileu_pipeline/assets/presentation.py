"""Results as Dagster metadata: what a person sees on an asset's page."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from galileu_pipeline.evaluation.curves import plot_curves, read_log
from galileu_pipeline.evaluation.plots import plot_evaluation
from galileu_pipeline.evaluation.promotion import Decision
from galileu_pipeline.evaluation.results import read_answers, read_evaluation
from galileu_pipeline.evaluation.wording import Wording
from galileu_pipeline.feedback.analytics.coordination import CoordinatedAccounts
from galileu_pipeline.feedback.pairing.integrity import PersonWeight
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made
from galileu_pipeline.lineage.digests import code_digest
from galileu_pipeline.lineage.origin import origin_of
from galileu_pipeline.lineage.picture import svg, svg_address
from galileu_pipeline.lineage.wording import LineageWording
from galileu_pipeline.markdown import escape, table
from galileu_pipeline.pages import data_address

_SAMPLE_CHARS = 400
_ANSWERS_SHOWN = 24
_QUESTIONS_SHOWN = 8
_PAIRS_SHOWN = 50

Metadata = dict[str, Any]


def result(made: Made, extra: Mapping[str, Any] | None = None) -> dg.MaterializeResult[Artifact]:
    """The materialization of an artifact: where it lies, whether it is new, and its manifest."""
    artifact = made.artifact
    metadata: Metadata = {
        "artifact": artifact.id,
        "reused": made.reused,
        "path": dg.MetadataValue.path(artifact.path),
        "digest": artifact.manifest.digest,
        **(extra or {}),
        "manifest": dg.MetadataValue.json(artifact.manifest.model_dump(mode="json", by_alias=True)),
    }
    if made.reused:
        metadata["note"] = _reuse_note(artifact)
    return dg.MaterializeResult(
        value=artifact, metadata=metadata, data_version=dg.DataVersion(artifact.manifest.digest)
    )


def lineage_metadata(store: ArtifactStore, artifact: Artifact) -> Metadata:
    """A picture of what a model was made from, back to the feedback, and the command that tells more."""
    origin = origin_of(store, artifact).past
    sentences = [escape(sentence, _SAMPLE_CHARS) for sentence in LineageWording("en").summary(origin)]
    drawn = f"![]({svg_address(svg(origin, 'en'))})"
    return {"lineage": dg.MetadataValue.md("\n\n".join([*sentences, drawn, f"`galileu lineage {artifact.id}`"]))}


def model_metadata(store: ArtifactStore, artifact: Artifact) -> Metadata:
    """Curves, held-out figures, samples and lineage of a trained model."""
    metrics = artifact.manifest.metrics
    metadata: Metadata = {
        "curves": picture(plot_curves(read_log(artifact.path / "training_log.jsonl"), artifact.id)),
        "held-out metrics": dg.MetadataValue.md(metrics_table(metrics)),
        "train_loss": metrics["train_loss"],
        **lineage_metadata(store, artifact),
    }
    if own := metrics.get("preference_accuracy", {}).get(artifact.manifest.asset):
        metadata["preference_accuracy"] = own["value"]
    samples = json.loads((artifact.path / "samples.json").read_text(encoding="utf-8"))
    if samples:
        rows = ([escape(sample[name], _SAMPLE_CHARS) for name in ("prompt", "before", "after")] for sample in samples)
        metadata["samples"] = dg.MetadataValue.md(table(("question", "before training", "after training"), rows))
    answers = artifact.path / "answers.jsonl"
    if answers.is_file():
        metadata["answers while training"] = dg.MetadataValue.md(_answers_table(answers))
    return metadata


def evaluation_metadata(artifact: Artifact) -> Metadata:
    """Figures, plot, and what the models said to the first questions."""
    evaluation = read_evaluation(artifact.path)
    wording = Wording(evaluation, "en")
    names = [model.id for model in evaluation.models]
    answers = read_answers(artifact.path)[: _QUESTIONS_SHOWN * len(names)]
    by_question = [answers[start : start + len(names)] for start in range(0, len(answers), len(names))]
    rows = (
        (
            escape(given[0].prompt, _SAMPLE_CHARS),
            *(f"{escape(answer.answer, _SAMPLE_CHARS)} ({answer.reward:.2f})" for answer in given),
        )
        for given in by_question
    )
    return {
        "compared with": evaluation.champion,
        "figures": dg.MetadataValue.md(table(wording.header(), wording.figures())),
        "judges": dg.MetadataValue.md(table(wording.judges_header(), wording.judges())),
        "plot": picture(plot_evaluation(evaluation, "en")),
        "answers (reward)": dg.MetadataValue.md(table(("question", *names), rows)),
    }


def decision_metadata(made: Made, decision: Decision, evaluation: Artifact, champion: Artifact) -> Metadata:
    """Who is in service, and why."""
    wording = Wording(read_evaluation(evaluation.path), "en")
    criteria = {
        verdict.id: dg.MetadataValue.md(table(("criterion", "found", "limit", "result"), wording.criteria(verdict)))
        for verdict in decision.verdicts
    }
    reasons = "\n\n".join([f"**{wording.outcome(decision)}**", *wording.reasons(decision)])
    return {
        "champion": champion.id,
        "outcome": decision.outcome,
        "decision": dg.MetadataValue.md(reasons),
        "artifact": made.artifact.id,
        "reused": made.reused,
        **criteria,
    }


def set_aside_note(rows_by_person: Mapping[str, int]) -> str:
    """What the limit on one person's weight left out, and what to do if these people are trusted."""
    if not rows_by_person:
        return "No vote is set aside: nobody weighs more than the limit."
    return (
        f"{sum(rows_by_person.values())} votes of {len(rows_by_person)} people are set aside, since one person may "
        "weigh no more than `pairing.max_person_share` of the training data. With few people that you know and trust, "
        "raise it in the profile, or set it to null."
    )


def coordination_note(found: Sequence[CoordinatedAccounts]) -> str:
    """Which accounts look coordinated, and what a person can do about it."""
    if not found:
        return "No accounts vote alike, at the same time and against everybody else."
    accounts = {account for pair in found for account in (pair.one, pair.other)}
    return (
        f"{len(accounts)} accounts vote alike, at the same time and against everybody else. They may be one person's, "
        "or just of one mind, so all their votes count. `galileu suspects` lists them all; `galileu lineage --user "
        "ACCOUNT` shows what came of their votes. If they are not honest, `galileu erase --user ACCOUNT` removes an "
        "account's feedback and trains without it; a lower `pairing.max_person_share` lets each weigh less."
    )


def coordinated_table(found: Sequence[CoordinatedAccounts]) -> dg.MarkdownMetadataValue:
    """The accounts, pair by pair, the most contrary first."""
    rows = (
        (
            pair.one,
            pair.other,
            pair.together,
            pair.compared,
            pair.against,
            f"{pair.first_at:%F %R}",
            f"{pair.last_at:%F %R}",
        )
        for pair in found[:_PAIRS_SHOWN]
    )
    header = ("account", "account", "votes together", "compared", "against the others", "first (UTC)", "last (UTC)")
    return dg.MetadataValue.md(table(header, rows))


def people_table(people: Iterable[PersonWeight]) -> dg.MarkdownMetadataValue:
    """The people who weigh most."""
    rows = ((one.person, f"{one.weight:.2f}", f"{one.weight / one.items:.2%}", str(one.votes)) for one in people)
    return dg.MetadataValue.md(table(("person", "items", "share", "votes"), rows))


def metrics_table(metrics: Mapping[str, Any]) -> str:
    """Every metric, a row each; a proportion with its 95 % interval and number of pairs."""
    return table(("metric", "value"), ((name, text) for name, text in _flatten(metrics)))


def picture(png: bytes) -> dg.MarkdownMetadataValue:
    """A PNG inside the page itself: nothing is served from elsewhere."""
    return dg.MetadataValue.md(f"![]({data_address(png)})")


def _answers_table(path: Path) -> str:
    """Some of the answers PPO learnt from, evenly over the training, with what the reward model said of each."""
    with path.open(encoding="utf-8") as lines:
        answers = [json.loads(line) for line in lines]
    shown = answers[:: -(-len(answers) // _ANSWERS_SHOWN)]
    rows = (
        (
            str(answer["step"]),
            escape(answer["prompt"], _SAMPLE_CHARS),
            escape(answer["answer"], _SAMPLE_CHARS),
            f"{answer['reward']:.2f}",
            f"{answer['kl']:.2f}",
        )
        for answer in shown
    )
    return table(("step", "question", "answer", "reward", "KL (nats)"), rows)


def _flatten(metrics: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping) and "low" in value:
            interval = f"{value['value']:.3f} (95 %: {value['low']:.3f} to {value['high']:.3f}, n = {value['n']})"
            yield prefix + name, interval
        elif isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}: ")
        else:
            yield prefix + name, f"{value:.4g}" if isinstance(value, float) else str(value)


def _reuse_note(artifact: Artifact) -> str:
    note = "Nothing changed since this was made, so it was reused. Set `force: true` in the run config to make it anew."
    if artifact.manifest.code.digest != code_digest():
        note += " Code has changed since, but not the version of this stage."
    return note
