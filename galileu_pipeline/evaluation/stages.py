"""From models to an evaluation, and from an evaluation to the model in service: what the assets of those names call."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from galileu_pipeline.errors import InputError, MissingArtifactError
from galileu_pipeline.evaluation.measures import canaries, general_text
from galileu_pipeline.evaluation.promotion import Decision, decide
from galileu_pipeline.evaluation.results import Evaluation, read_evaluation
from galileu_pipeline.evaluation.settings import EvaluationSettings, EvaluationSpec, PromotionSettings
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile, in_service
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.process import Launch, run_process
from galileu_pipeline.training.talk import choose_model, files_of

CANDIDATES = ("sft_model", "dpo_model", "ppo_model")
DECISION_FILE = "decision.json"


@dataclass(frozen=True)
class Contest:
    """Who is compared with whom, by which judge and on what.

    Attributes:
        models: the candidates, and the base model to compare with; the champion is added where it is none of them.
        champion: whom the others are compared with.
        judge: a reward model.
        dataset: a reward dataset.
    """

    models: Sequence[Artifact]
    champion: Artifact
    judge: Artifact
    dataset: Artifact

    @property
    def everybody(self) -> list[Artifact]:
        """Each model once."""
        return list({model.id: model for model in (*self.models, self.champion)}.values())


def contest_for_service(store: ArtifactStore, judge: Artifact, dataset: Artifact) -> Contest:
    """The base model and the current candidates against the model in service. Candidates not made yet are left out."""
    candidates = [model for asset in CANDIDATES if (model := store.find_current(asset))]
    return Contest([store.current("base_model"), *candidates], in_service(store), judge, dataset)


def contest_of_two(store: ArtifactStore, one: str, other: str) -> Contest:
    """`one` against `other`, each an id or an asset, by the profile's current reward model.

    Raises:
        InputError: they are the same model, or one does not generate text.
        MissingArtifactError: something needed has not been made.
    """
    candidate, champion = choose_model(store, one), choose_model(store, other)
    if candidate.id == champion.id:
        raise InputError(f"{one} and {other} are the same model, {candidate.id}.")
    return Contest([candidate], champion, store.current("reward_model"), store.current("reward_dataset"))


def make_evaluation(
    store: ArtifactStore,
    contest: Contest,
    settings: EvaluationSettings,
    launch: Launch,
    *,
    cpus: int,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Compare the models in a process of its own, or reuse what the same comparison gave before."""
    config = {
        "champion": contest.champion.id,
        "settings": settings.model_dump(mode="json"),
        "system_prompts": {model.id: files_of(store, model).system_prompt for model in contest.everybody},
        "canaries": json_digest([canary.model_dump() for canary in canaries()]),
        "general_text": json_digest(general_text()),
    }

    def write(folder: Path) -> Outcome:
        spec = EvaluationSpec(
            output=folder,
            settings=settings,
            champion=contest.champion.id,
            models=[files_of(store, model) for model in contest.everybody],
            judge=files_of(store, contest.judge),
            dataset=contest.dataset.path,
            cpus=cpus,
        )
        evaluation = run_process(["galileu_pipeline.evaluation"], spec, Evaluation, launch)
        return Outcome(metrics=evaluation.model_dump(mode="json"))

    inputs = [*contest.everybody, contest.judge, contest.dataset]
    return store.make(Plan("model_evaluation", inputs, config), write, run=run, force=force)


def settle(
    store: ArtifactStore, evaluation: Artifact, rule: PromotionSettings, *, run: RunInfo | None = None
) -> tuple[Made, Decision]:
    """Decide by the rule, keep the decision, and put the chosen model into service if the rule may do that.

    Doing it again after it put a model into service changes nothing.

    Raises:
        MissingArtifactError: another model is in service than the one the evaluation compared with.
    """
    service = ChampionFile(store)
    champion, found = service.read(), read_evaluation(evaluation.path)
    rolled_back = sorted(champion.rolled_back & {candidate.id for candidate in found.candidates})
    plan = Plan("promotion_decision", [evaluation], {"rule": rule.model_dump(mode="json"), "rolled_back": rolled_back})
    carried_out = _is_carried_out(store, plan, champion.history[-1].decision if champion.history else None)
    if not carried_out and (serving := in_service(store).id) != found.champion:
        raise MissingArtifactError(
            f"{evaluation.id} compares with {found.champion}, but {serving} is in service now. Materialize "
            "model_evaluation again: dagster asset materialize --select model_evaluation,champion_model."
        )

    def write(folder: Path) -> Outcome:
        decision = decide(found, evaluation.id, rule, rolled_back)
        (folder / DECISION_FILE).write_text(decision.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return Outcome(metrics={"outcome": decision.outcome, "chosen": decision.chosen})

    made = store.make(plan, write, run=run)
    decision = read_decision(made.artifact)
    if decision.outcome == "promoted" and decision.chosen and not carried_out:
        service.promote(store.load(decision.chosen).id, by="rule", in_place_of=champion.id, decision=plan.id)
    store.set_current(made.artifact)
    return made, decision


def _is_carried_out(store: ArtifactStore, plan: Plan, last: str | None) -> bool:
    """The decision that last put a model into service was on the same evaluation by the same rule.

    Also if an earlier version of this code took it: an upgrade does not make it another one.
    """
    if last is None or last == plan.id:
        return last is not None
    earlier = store.find(last)
    return earlier is not None and last == replace(plan, made_by=earlier.manifest.stage_version).id


@dataclass(frozen=True)
class Settled:
    """A decision with the evaluation it was taken on."""

    artifact: Artifact
    decision: Decision
    evaluation: Artifact

    @property
    def rule(self) -> PromotionSettings:
        return PromotionSettings.model_validate(self.artifact.manifest.config["rule"])


def last_settled(store: ArtifactStore) -> Settled:
    """The last decision under the store's profile.

    Raises:
        MissingArtifactError: nothing has been decided yet.
    """
    artifact = store.find_current("promotion_decision")
    if artifact is None:
        raise MissingArtifactError(
            "Nothing has been decided yet: dagster asset materialize --select model_evaluation,champion_model."
        )
    return Settled(artifact, read_decision(artifact), store.load(artifact.manifest.inputs[0].id))


def read_decision(artifact: Artifact) -> Decision:
    return Decision.model_validate_json((artifact.path / DECISION_FILE).read_text(encoding="utf-8"))
