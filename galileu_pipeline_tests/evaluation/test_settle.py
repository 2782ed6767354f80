"""From an evaluation to the model in service, over a real store."""

from pathlib import Path
from typing import Any, Literal

import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.evaluation.people import PeoplesVerdict
from galileu_pipeline.evaluation.report_pages import comparison_page, decision_page
from galileu_pipeline.evaluation.results import RESULT_FILE, ComparedAnswer, Evaluation
from galileu_pipeline.evaluation.settings import EvaluationSettings, PromotionSettings
from galileu_pipeline.evaluation.stages import (
    contest_for_service,
    contest_of_two,
    make_evaluation,
    read_decision,
    settle,
)
from galileu_pipeline.evaluation.wording import Wording
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage import artifacts
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile, in_service
from galileu_pipeline.lineage.manifest import utc_now
from galileu_pipeline.lineage.stage_versions import StageVersion
from galileu_pipeline.training.settings import Resources
from galileu_pipeline_tests.evaluation.conftest import BASE, DPO, evaluation, figures
from galileu_pipeline_tests.feedback.conftest import import_file, side_by_side
from galileu_pipeline_tests.feedback.test_imports import json_lines

RULE = PromotionSettings()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


def artifact(store: ArtifactStore, asset: str, **config: str) -> Artifact:
    made = store.make(Plan(asset, [], {"profile": "tiny", **config}), lambda folder: Outcome()).artifact
    store.set_current(made)
    return made


@pytest.fixture
def base(store: ArtifactStore) -> Artifact:
    return artifact(store, "base_model")


@pytest.fixture
def dpo(store: ArtifactStore) -> Artifact:
    return artifact(store, "dpo_model")


def evaluated(store: ArtifactStore, found: Evaluation) -> Artifact:
    def write(folder: Path) -> Outcome:
        (folder / RESULT_FILE).write_text(found.model_dump_json())
        return Outcome()

    return store.make(Plan("model_evaluation", [], {"of": found.model_dump(mode="json")}), write).artifact


def against(champion: Artifact, candidate: Artifact, wins: int) -> Evaluation:
    return evaluation(figures(champion.id), figures(candidate.id, wins=wins), champion=champion.id)


def test_the_winner_comes_into_service_once(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    found = evaluated(store, against(base, dpo, 150))
    assert in_service(store).id == base.id
    made, decision = settle(store, found, RULE)
    assert (decision.outcome, in_service(store).id) == ("promoted", dpo.id)
    again, _ = settle(store, found, RULE)
    assert (again.reused, again.artifact.id) == (True, made.artifact.id)
    (change,) = ChampionFile(store).read().history
    assert (change.by, change.decision) == ("rule", made.artifact.id)


def test_an_upgrade_does_not_put_it_into_service_a_second_time(
    store: ArtifactStore, base: Artifact, dpo: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluated(store, against(base, dpo, 150))
    made, _ = settle(store, found, RULE)
    with monkeypatch.context() as patched:
        patched.setattr(artifacts, "stage_version", lambda asset: StageVersion(version=99))
        again, decision = settle(store, found, RULE)
    assert again.artifact.id != made.artifact.id
    assert (decision.outcome, in_service(store).id) == ("promoted", dpo.id)
    assert len(ChampionFile(store).read().history) == 1


def test_people_decide_and_later_votes_change_nothing(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    def vote(numbers: range, verdict: str) -> None:
        rows = [side_by_side(number, verdict, dpo.id, base.id) for number in numbers]
        import_file(Warehouse(store.data.warehouse), json_lines(store.data.root / f"{numbers}.jsonl", rows))

    found = evaluated(store, against(base, dpo, 100))
    vote(range(40), "left")
    _, decision = settle(store, found, RULE)
    assert decision.outcome == "kept"  # too few people yet, and the judge sees no difference
    vote(range(40, 60), "left")
    made, decision = settle(store, found, RULE)
    assert (decision.outcome, in_service(store).id) == ("promoted", dpo.id)
    assert decision.verdicts[0].people is not None
    assert decision.verdicts[0].people.votes == 60
    vote(range(60, 100), "right")
    again, _ = settle(store, found, RULE)
    assert (again.reused, again.artifact.id, in_service(store).id) == (True, made.artifact.id, dpo.id)


def test_the_loser_does_not(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    made, decision = settle(store, evaluated(store, against(base, dpo, 60)), RULE)
    assert (decision.outcome, in_service(store).id) == ("kept", base.id)
    assert read_decision(made.artifact) == decision
    assert not ChampionFile(store).read().history


def test_a_decision_that_was_not_carried_out_is_carried_out_later(
    store: ArtifactStore, base: Artifact, dpo: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluated(store, against(base, dpo, 150))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ChampionFile, "promote", killed)
        with pytest.raises(KeyboardInterrupt):
            settle(store, found, RULE)
    assert in_service(store).id == base.id
    made, _ = settle(store, found, RULE)
    assert made.reused
    assert in_service(store).id == dpo.id


def test_an_evaluation_against_somebody_who_has_left_decides_nothing(
    store: ArtifactStore, base: Artifact, dpo: Artifact
) -> None:
    found = evaluated(store, against(base, dpo, 150))
    other = artifact(store, "sft_model")
    ChampionFile(store).promote(other.id, by="person", in_place_of=None)
    with pytest.raises(MissingArtifactError, match=f"{other.id} is in service now"):
        settle(store, found, RULE)


def test_after_a_rollback_the_rule_does_not_bring_it_back(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    found = evaluated(store, against(base, dpo, 150))
    settle(store, found, RULE)
    ChampionFile(store).roll_back()
    _, decision = settle(store, found, RULE)
    assert (decision.outcome, in_service(store).id) == ("kept", base.id)
    ChampionFile(store).promote(dpo.id, by="person", in_place_of=None)
    assert in_service(store).id == dpo.id


def test_a_decision_is_not_repeated_after_a_person_decided_otherwise(
    store: ArtifactStore, base: Artifact, dpo: Artifact
) -> None:
    found = evaluated(store, against(base, dpo, 150))
    settle(store, found, RULE)
    sft = artifact(store, "sft_model")
    ChampionFile(store).promote(sft.id, by="person", in_place_of=dpo.id)
    with pytest.raises(MissingArtifactError, match=f"{sft.id} is in service now"):
        settle(store, found, RULE)
    assert in_service(store).id == sft.id


def test_with_manual_approval_a_person_has_the_last_word(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    _, decision = settle(store, evaluated(store, against(base, dpo, 150)), PromotionSettings(approval="manual"))
    assert (decision.outcome, in_service(store).id) == ("awaiting_approval", base.id)


def test_who_is_compared(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    arbiters = [artifact(store, name) for name in ("control_reward_model", "reward_model", "reward_dataset")]
    contest = contest_for_service(store, *arbiters)
    assert ([model.id for model in contest.everybody], contest.champion.id) == ([base.id, dpo.id], base.id)
    earlier = artifact(store, "dpo_model", pairs="others")
    store.set_current(dpo)
    ChampionFile(store).promote(earlier.id, by="person", in_place_of=None)
    contest = contest_for_service(store, *arbiters)
    assert [model.id for model in contest.everybody] == [base.id, dpo.id, earlier.id]
    two = contest_of_two(store, "dpo_model", "base_model")
    assert [model.id for model in two.everybody] == [dpo.id, base.id]
    assert [two.judge, two.teacher, two.dataset] == arbiters
    with pytest.raises(InputError, match="are the same model"):
        contest_of_two(store, dpo.id, "dpo_model")


@pytest.mark.parametrize("damaged", ["dpo_model", "base_model", "control_reward_model"])
def test_what_is_not_what_its_manifest_says_is_not_compared(
    store: ArtifactStore, base: Artifact, dpo: Artifact, damaged: str
) -> None:
    arbiters = [artifact(store, name) for name in ("control_reward_model", "reward_model", "reward_dataset")]
    contest = contest_for_service(store, *arbiters)
    (store.current(damaged).path / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(GalileuError, match=f"{damaged}.* is not what its manifest says"):
        make_evaluation(store, contest, EvaluationSettings(), not_to_be_launched, resources=Resources())


def test_a_winner_that_was_damaged_since_is_not_promoted(store: ArtifactStore, base: Artifact, dpo: Artifact) -> None:
    found = evaluated(store, against(base, dpo, 150))
    (dpo.path / "adapter_model.safetensors").write_bytes(b"x")
    with pytest.raises(GalileuError, match=f"{dpo.id} is not what its manifest says"):
        settle(store, found, RULE)
    assert in_service(store).id == base.id


def not_to_be_launched(*_: object, **__: object) -> Any:
    raise AssertionError("the comparison was started")


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_page_says_why_and_shows_text_as_text(
    store: ArtifactStore, base: Artifact, dpo: Artifact, language: str
) -> None:
    found = against(base, dpo, 60)
    made, decision = settle(store, evaluated(store, found), RULE)
    said = "<script>alert(1)</script>"
    answers = [
        ComparedAnswer(model=model.id, prompt="Quem é <b>você</b>?", answer=text, tokens=3, ended=True, reward=1.5)
        for model, text in ((base, said), (dpo, ""))
    ]
    page = decision_page(
        decision,
        found,
        answers,
        RULE,
        decision_id=made.artifact.id,
        decided_at=made.artifact.manifest.created_at,
        language=language,  # type: ignore[arg-type]
    )
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Quem é &lt;b&gt;você&lt;/b&gt;?" in page
    for expected in {
        "pt": (
            f"{base.id} continua em serviço",
            f"{dpo.id} não foi promovido, porque tem 60 vitórias, 0 empates e 140 derrotas",
            "(nada)",
        ),
        "en": (
            f"{base.id} stays in service",
            f"{dpo.id} was not promoted, because it has 60 wins, 0 ties and 140 losses",
            "(nothing)",
        ),
    }[language]:
        assert expected in page


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("pt", ("comparado com", "vence em 30,0\u00a0% [", "60 vitórias, 0 empates e 140 derrotas", "Cerca de ")),
        ("en", ("compared with", "wins on 30.0\u00a0% [", "60 wins, 0 ties and 140 losses", "more votes decide")),
    ],
)
def test_a_comparison_is_a_page_too(
    base: Artifact, dpo: Artifact, language: Literal["pt", "en"], expected: tuple[str, ...]
) -> None:
    found = against(base, dpo, 60)
    said = ComparedAnswer(model=dpo.id, prompt="Quem?", answer="<b>Eu</b>", tokens=3, ended=True, reward=1.5)
    votes = {"votes": 9, "wins": 6, "losses": 2, "ties": 0, "both_bad": 1, "win_rate": 0.72, "low": 0.3, "high": 0.9}
    people = PeoplesVerdict(one=dpo.id, other=base.id, more_votes=30, **votes)
    page = comparison_page(
        found, [said], people, evaluation_id="model_evaluation-0", evaluated_at=utc_now(), language=language
    )
    for words in (*expected, dpo.id, base.id, "&lt;b&gt;Eu&lt;/b&gt;"):
        assert words in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"win_rate": None}, "nobody has compared the two yet"),
        ({"low": 0.6}, f"They prefer {DPO}."),
        ({"high": 0.4}, f"They prefer {BASE}."),
        ({"more_votes": None}, "would not for very many votes"),
        ({"more_votes": 1_200}, "About 1,200 more votes decide"),
    ],
)
def test_what_people_say_in_words(better: Evaluation, changes: dict[str, Any], expected: str) -> None:
    votes = {"votes": 9, "wins": 6, "losses": 2, "ties": 0, "both_bad": 1, "win_rate": 0.72, "low": 0.3, "high": 0.9}
    people = PeoplesVerdict.model_validate({"one": DPO, "other": BASE, "more_votes": 3, **votes, **changes})
    assert expected in Wording(better, "en").people(people)
    assert "{" not in Wording(better, "pt").people(people)
