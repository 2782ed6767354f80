"""A candidate that answers some of the people."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from galileu_pipeline.chat.canary import Canary, is_chosen
from galileu_pipeline.chat.handlers import Answers, Chat, ChatSettings
from galileu_pipeline.chat.texts import TEXTS
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.evaluation.sequences import one_sided_ends
from galileu_pipeline.evaluation.statistics import CONFIDENCE
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline_tests.chat.conftest import HERE, make_model
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS

pytestmark = pytest.mark.slow

PEOPLE = [f"browser:{number}" for number in range(600)]


@pytest.fixture
def collector(tmp_path: Path) -> FeedbackCollector:
    return FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    store = ArtifactStore(DataFolder(tmp_path), "tiny")
    make_model(store, "base_model")
    return store


@pytest.fixture
def champion(store: ArtifactStore) -> Artifact:
    return store.current("base_model")


@pytest.fixture
def candidate(store: ArtifactStore) -> Artifact:
    return make_model(store, "dpo_model")


def vote(collector: FeedbackCollector, model: Artifact, *thumbs: bool) -> None:
    """A thumb each of people who have not voted yet, on answers of the model."""
    before = collector.last_vote()
    for number, up in enumerate(thumbs, start=before):
        collector.add_feedback(
            f"Pergunta {number}?",
            f"Resposta de {model.id}.",
            thumbs_up=up,
            user_id=f"voter {number}",
            metadata={"app": "galileu chat", "model": model.id},
        )


def speaking(canary: Canary, champion: Artifact) -> set[str]:
    """The models that answer the first 20 people."""
    return {canary.model_for(person, champion)[0].id for person in PEOPLE[:20]}


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_its_share_of_the_people_is_the_one_asked_for(
    store: ArtifactStore, collector: FeedbackCollector, champion: Artifact, candidate: Artifact, share: float
) -> None:
    canary = Canary(store, collector, share)
    answered = Counter(canary.model_for(person, champion)[0].id for person in PEOPLE)
    low, high = stats.binom.interval(0.999, len(PEOPLE), share)
    assert low <= answered[candidate.id] <= high
    assert answered[champion.id] == len(PEOPLE) - answered[candidate.id]


def test_a_person_stays_with_one_model_and_another_candidate_gets_other_people(
    store: ArtifactStore, collector: FeedbackCollector, champion: Artifact, candidate: Artifact
) -> None:
    canary = Canary(store, collector, 0.1)
    once = [canary.model_for(person, champion)[0].id for person in PEOPLE]
    vote(collector, candidate, True, False)
    assert [Canary(store, collector, 0.1).model_for(person, champion)[0].id for person in PEOPLE] == once
    both = sum(is_chosen(person, "dpo_model-1", 0.1) and is_chosen(person, "dpo_model-2", 0.1) for person in PEOPLE)
    low, high = stats.binom.interval(0.999, len(PEOPLE), 0.01)
    assert low <= both <= high
    # A larger share keeps those whom the smaller one had.
    assert all(is_chosen(person, "m", 0.2) for person in PEOPLE if is_chosen(person, "m", 0.1))


@pytest.mark.parametrize(
    ("of_candidate", "of_champion", "bound", "failed"),
    [
        ([], [], 0.5, False),
        ([False] * 5, [], 0.5, False),  # could be bad luck
        ([False] * 40, [], 0.5, True),
        ([False] * 40, [], 0.0, False),
        ([True, False, False] * 60, [], 0.5, True),
        ([True, False] * 60, [], 0.5, False),
        ([True, False] * 60, [True] * 100, 0.0, True),  # the model in service is liked better
        ([True] * 100, [True, False] * 60, 0.5, False),
        ([False] * 12, [False] * 100, 0.0, False),
        ([True] * 15 + [False] * 80, [], 0.5, True),  # liked at first
    ],
)
def test_it_is_withdrawn_once_people_certainly_like_it_less(
    store: ArtifactStore,
    collector: FeedbackCollector,
    champion: Artifact,
    candidate: Artifact,
    of_candidate: list[bool],
    of_champion: list[bool],
    bound: float,
    failed: bool,
) -> None:
    canary = Canary(store, collector, 0.5, bound)
    assert speaking(canary, champion) == {champion.id, candidate.id}
    vote(collector, candidate, *of_candidate)
    vote(collector, champion, *of_champion)
    standing = canary.standing(champion)
    assert standing is not None
    assert standing.has_failed == failed
    assert (standing.thumbs.count, standing.thumbs.up) == (len(of_candidate), sum(of_candidate))
    assert speaking(canary, champion) == ({champion.id} if failed else {champion.id, candidate.id})


def test_a_good_candidate_is_hardly_ever_withdrawn_however_often_one_looks() -> None:
    thumbs = np.random.default_rng(1).random((400, 300)) < 0.5  # as the bound
    assert np.mean([one_sided_ends(of_one, CONFIDENCE)[1] < 0.5 for of_one in thumbs]) <= 0.05


def test_only_the_last_thumb_of_a_person_on_an_answer_counts(
    store: ArtifactStore, collector: FeedbackCollector, champion: Artifact, candidate: Artifact
) -> None:
    for up in (True, False):
        collector.add_feedback("q", "r", thumbs_up=up, user_id="ana", metadata={"model": candidate.id})
    collector.add_feedback("q", "r", rating=1, user_id="bia", metadata={"model": candidate.id})  # no thumb
    collector.add_feedback("q", "s", thumbs_up=True, user_id="ana", metadata={"note": candidate.id})  # of no model
    collector.add_feedback("q", "t", thumbs_up=True, user_id="ana")
    standing = Canary(store, collector, 0.5).standing(champion)
    assert standing is not None
    assert (standing.thumbs.count, standing.thumbs.up) == (1, 0)


@pytest.mark.parametrize("why", ["no share", "no other model", "rolled back"])
def test_without_a_candidate_the_champion_answers_everybody(
    store: ArtifactStore, collector: FeedbackCollector, champion: Artifact, why: str
) -> None:
    if why != "no other model":
        candidate = make_model(store, "dpo_model")
        if why == "rolled back":
            ChampionFile(store).promote(candidate.id, by="person", in_place_of=None)
            ChampionFile(store).roll_back()
    canary = Canary(store, collector, 0.0 if why == "no share" else 0.5)
    assert canary.standing(champion) is None
    assert speaking(canary, champion) == {champion.id}
    assert canary.model_for("ana", champion)[1] is False


def test_the_page_names_the_model_after_the_vote_and_the_vote_names_it_too(
    store: ArtifactStore,
    collector: FeedbackCollector,
    champion: Artifact,
    candidate: Artifact,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("galileu_pipeline.chat.handlers.gr.Info", lambda *_, **__: None)
    chat = Chat(store, collector, ChatSettings(canary=0.5))

    def speak(model: Artifact, *_: object) -> Iterator[str]:
        yield f"Sou {model.manifest.asset}."

    monkeypatch.setattr(chat.talker, "stream", speak)
    blind = TEXTS["pt"]["blind"]
    assert chat.served_line(HERE) == blind
    spoke = Counter[str]()
    for number in range(40):
        answers: Answers = {}
        said = list(chat.reply([{"role": "user", "content": "Quem é?"}], answers, f"{number}", "1", HERE))
        assert {served for _, served in said} == {blind}
        named = chat.thumb(answers, f"{number}", "1", SimpleNamespace(index=1, liked=True), HERE)  # type: ignore[arg-type]
        assert answers[1].model_id in named
        assert answers[1].response == f"Sou {answers[1].model_id.rsplit('-')[0]}."
        spoke[answers[1].model_id] += 1
    assert spoke.keys() == {champion.id, candidate.id}
    for made in (champion, candidate):
        assert len(collector.thumbs(made.id, 100)) == spoke[made.id]
    assert f"`{candidate.id}`" in chat.statistics(HERE)[0]


def test_without_a_trial_the_page_names_who_serves(
    store: ArtifactStore, collector: FeedbackCollector, champion: Artifact, candidate: Artifact
) -> None:
    assert champion.id in Chat(store, collector, ChatSettings()).served_line(HERE)
    failed = Chat(store, collector, ChatSettings(canary=0.5))
    vote(collector, candidate, *[False] * 40)
    assert champion.id in failed.served_line(HERE)
    assert "Retirado do teste" in failed.statistics(HERE)[0]
