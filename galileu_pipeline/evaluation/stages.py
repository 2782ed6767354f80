"""From models to an evaluation, and from an evaluation to the model in service: what the assets of those names call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galileu_pipeline.errors import InputError, MissingArtifactError
from galileu_pipeline.evaluation.estimates import Proportion
from galileu_pipeline.evaluation.measures import canaries, general_text, question_groups
from galileu_pipeline.evaluation.people import PeoplesVerdict, peoples_verdict
from galileu_pipeline.evaluation.promotion import Decision, confidence_of, decide
from galileu_pipeline.evaluation.results import Evaluation, read_evaluation
from galileu_pipeline.evaluation.settings import EvaluationSettings, EvaluationSpec, PromotionSettings
from galileu_pipeline.evaluation.statistics import proportion
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile, in_service
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.lineage.wholeness import require_whole
from galileu_pipeline.process import Launch, run_process
from galileu_pipeline.training.settings import Resources
from galileu_pipeline.training.talk import choose_model, files_of

CANDIDATES = ("sft_model", "dpo_model", "ppo_model")
DECISION_FILE = "decision.json"


@dataclass(frozen=True)
class Contest:
    """Who is compared with whom, by which judge and on what.

    Attributes:
        models: the candidates, and the base model to compare with; the champion is added where it is none of them.
        champion: whom the others are compared with.
        judge: a reward model from which none of them has learnt.
        teacher: the one from which PPO models have learnt.
        dataset: a reward dataset.
    """

    models: Sequence[Artifact]
    champion: Artifact
    judge: Artifact
    teacher: Artifact
    dataset: Artifact

    @property
    def everybody(self) -> list[Artifact]:
        """Each model once."""
        return list({model.id: model for model in (*self.models, self.champion)}.values())


def contest_for_service(store: ArtifactStore, judge: Artifact, teacher: Artifact, dataset: Artifact) -> Contest:
    """The base model and the current candidates against the model in service. Candidates not made yet are left out."""
    candidates = [model for asset in CANDIDATES if (model := store.find_current(asset))]
    return Contest([store.current("base_model"), *candidates], in_service(store), judge, teacher, dataset)


def contest_of_two(store: ArtifactStore, one: str, other: str) -> Contest:
    """`one` against `other`, each an id or an asset, by the profile's current reward models.

    Raises:
        InputError: they are the same model, or one does not generate text.
        MissingArtifactError: something needed has not been made.
    """
    candidate, champion = choose_model(store, one), choose_model(store, other)
    if candidate.id == champion.id:
        raise InputError(f"{one} and {other} are the same model, {candidate.id}.")
    judge, teacher, dataset = map(store.current, ("control_reward_model", "reward_model", "reward_dataset"))
    return Contest([candidate], champion, judge, teacher, dataset)


def make_evaluation(
    store: ArtifactStore,
    contest: Contest,
    settings: EvaluationSettings,
    launch: Launch,
    *,
    resources: Resources,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Compare the models in a process of its own, or reuse what the same comparison gave before.

    Raises:
        GalileuError: the files of one of them are not those it was made with.
    """
    for model in (*contest.everybody, contest.judge, contest.teacher):
        require_whole(store, model)
    raters = raters_of(store, contest.dataset)
    config = {
        "champion": contest.champion.id,
        "settings": settings.model_dump(mode="json"),
        "system_prompts": {model.id: files_of(store, model).system_prompt for model in contest.everybody},
        "canaries": json_digest([canary.model_dump() for canary in canaries()]),
        "question_groups": json_digest([group.model_dump() for group in question_groups()]),
        "general_text": json_digest(general_text()),
        "raters": raters.model_dump() if raters else None,
    }

    def write(folder: Path) -> Outcome:
        spec = EvaluationSpec(
            output=folder,
            settings=settings,
            champion=contest.champion.id,
            models=[files_of(store, model) for model in contest.everybody],
            judge=files_of(store, contest.judge),
            teacher=files_of(store, contest.teacher),
            raters=raters,
            dataset=contest.dataset.path,
            resources=resources,
        )
        evaluation = run_process(["galileu_pipeline.evaluation"], spec, Evaluation, launch)
        return Outcome(metrics=evaluation.model_dump(mode="json"))

    inputs = [*contest.everybody, contest.judge, contest.teacher, contest.dataset]
    return store.make(Plan("model_evaluation", inputs, config), write, run=run, force=force)


def raters_of(store: ArtifactStore, dataset: Artifact) -> Proportion | None:
    """How often one person orders two answers as the others do, in the feedback behind a reward dataset.

    None where no two people looked at the same answers, or the pairs are gone, or older than this figure.
    """
    pairs = next((found for ref in dataset.manifest.inputs if (found := store.find(ref.id))), None)
    counted = pairs.manifest.metrics.get("raters") if pairs else None
    return proportion(counted["agreeing"], counted["compared"]) if counted and counted["compared"] else None


def settle(
    store: ArtifactStore, evaluation: Artifact, rule: PromotionSettings, *, run: RunInfo | None = None
) -> tuple[Made, Decision]:
    """Decide by the rule, keep the decision, and put the chosen model into service if the rule may do that.

    Doing it again after it put a model into service changes nothing, also if people have voted since.

    Raises:
        MissingArtifactError: another model is in service than the one the evaluation compared with.
    """
    service = ChampionFile(store)
    champion, found = service.read(), read_evaluation(evaluation.path)
    rolled_back = sorted(champion.rolled_back & {candidate.id for candidate in found.candidates})
    config = {"rule": rule.model_dump(mode="json"), "rolled_back": rolled_back}
    taken = _carried_out(store, evaluation, config, champion.history[-1].decision if champion.history else None)
    if taken is None:
        said = [verdict.model_dump(mode="json") for verdict in said_by_people(store, found, rule)]
    else:
        said = taken.manifest.config.get("people", [])
    plan = Plan("promotion_decision", [evaluation], {**config, "people": said})
    if taken is None and (serving := in_service(store).id) != found.champion:
        raise MissingArtifactError(
            f"{evaluation.id} compares with {found.champion}, but {serving} is in service now. Materialize "
            "model_evaluation again: dagster asset materialize --select model_evaluation,champion_model."
        )

    def write(folder: Path) -> Outcome:
        decision = decide(
            found, evaluation.id, rule, rolled_back, [PeoplesVerdict.model_validate(verdict) for verdict in said]
        )
        (folder / DECISION_FILE).write_text(decision.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return Outcome(metrics={"outcome": decision.outcome, "chosen": decision.chosen})

    made = store.make(plan, write, run=run)
    decision = read_decision(made.artifact)
    if decision.outcome == "promoted" and decision.chosen and taken is None:
        service.promote(store.load(decision.chosen).id, by="rule", in_place_of=champion.id, decision=plan.id)
    store.set_current(made.artifact)
    return made, decision


def said_by_people(store: ArtifactStore, evaluation: Evaluation, rule: PromotionSettings) -> list[PeoplesVerdict]:
    """Of every candidate that people have compared with the champion, at the confidence that the rule asks for."""
    if not store.data.warehouse.is_file():
        return []
    confidence = confidence_of(evaluation, rule)
    with Warehouse(store.data.warehouse).open() as connection:
        found = [
            peoples_verdict(connection, candidate.id, evaluation.champion, confidence)
            for candidate in evaluation.candidates
        ]
    return [said for said in found if said.votes]


def _carried_out(
    store: ArtifactStore, evaluation: Artifact, config: Mapping[str, Any], last: str | None
) -> Artifact | None:
    """The decision that last put a model into service, if it was on this evaluation by this rule.

    Also if an earlier version of this code took it: an upgrade does not make it another one.
    """
    taken = store.find(last) if last else None
    if taken is None or [ref.id for ref in taken.manifest.inputs] != [evaluation.id]:
        return None
    return taken if all(taken.manifest.config.get(name) == value for name, value in config.items()) else None


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
