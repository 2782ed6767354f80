"""The chat's parts without a browser."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path
from threading import Barrier
from types import SimpleNamespace

import pytest

from galileu_pipeline.chat.handlers import Answers, Chat, ChatSettings
from galileu_pipeline.chat.limits import RateLimits
from galileu_pipeline.chat.serve import login_from_environment, require_free_port, require_safe_address
from galileu_pipeline.chat.serving import rival_model, served_model
from galileu_pipeline.chat.texts import TEXTS, language_of
from galileu_pipeline.chat.votes import ComparedAnswers, Person, RatedAnswer, VoteBox, shuffled
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.feedback.analytics.analysis import analyse
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import ArtifactStore, Outcome, Plan
from galileu_pipeline_tests.chat.conftest import HERE, make_model
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS, import_file, side_by_side
from galileu_pipeline_tests.feedback.test_imports import json_lines

ANA = Person("browser:ana", "session:1")
ANSWER = RatedAnswer("Quem é você?", "Sou Galileu.", "base_model-0123456789ab")


@pytest.fixture
def box(tmp_path: Path) -> VoteBox:
    return VoteBox(FeedbackCollector(tmp_path / "feedback.db", PSEUDONYMS))


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path), "tiny")


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["pt"].keys() == TEXTS["en"].keys()


@pytest.mark.parametrize(
    ("header", "language"),
    [("pt-BR,pt;q=0.9,en;q=0.8", "pt"), ("en-US,en;q=0.9", "en"), ("de,en;q=0.5", "en"), ("fr", "pt"), (None, "pt")],
)
def test_the_browsers_language_decides(header: str | None, language: str) -> None:
    assert language_of(header) == language


def test_each_click_carries_all_that_the_person_said(box: VoteBox) -> None:
    answer = ANSWER.with_vote(thumbs_up=True)
    box.vote(answer, ANA)
    answer = answer.with_vote(rating=4)
    box.vote(answer, ANA)
    box.vote(answer.with_vote(comment="boa"), ANA)
    stats = box.collector.get_feedback_stats()
    assert (stats["events"], stats["total_feedback"]) == (3, 1)
    assert (stats["thumbs_up"], stats["average_rating"], stats["comments"]) == (1, 4.0, 1)


def test_a_double_click_is_one_event(box: VoteBox) -> None:
    answer = ANSWER.with_vote(rating=5)
    assert answer.with_vote(rating=5) is answer
    box.vote(answer, ANA)
    box.vote(answer, ANA)
    box.correct(answer, "Sou Galileu Galilei.", ANA)
    box.correct(answer, "Sou Galileu Galilei.", ANA)
    stats = box.collector.get_feedback_stats()
    assert (stats["events"], stats["preference_pairs"]) == (1, 1)


def test_a_comparison_is_stored_once_with_its_models(box: VoteBox) -> None:
    compared = ComparedAnswers("q", ANSWER, RatedAnswer("q", "Ninguém.", "dpo_model-0123456789ab"))
    box.compare(compared, "right", ANA)
    box.compare(compared, "right", ANA)
    stats = box.collector.get_feedback_stats()
    assert (stats["comparisons"], stats["preference_pairs"], stats["verdicts"]["right"]) == (1, 1, 1)


def test_sides_are_left_to_chance() -> None:
    assert {shuffled("one", "other") for _ in range(100)} == {("one", "other"), ("other", "one")}


def test_limits_are_each_persons_own() -> None:
    limits = RateLimits(answers_per_minute=2, votes_per_minute=1)
    assert [limits.allow_answer("ana") for _ in range(3)] == [True, True, False]
    assert limits.allow_answer("bia")
    assert [limits.allow_vote("ana") for _ in range(2)] == [True, False]


def test_an_address_that_others_reach_needs_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for safe in ("127.0.0.1", "localhost", "::1"):
        require_safe_address(safe, None)
    for open_to_others in ("0.0.0.0", "192.168.0.10", "example"):
        with pytest.raises(InputError, match="GALILEU_CHAT_LOGIN"):
            require_safe_address(open_to_others, None)
    monkeypatch.setenv("GALILEU_CHAT_LOGIN", "ana:uma senha longa,bia:outra senha")
    login = login_from_environment()
    assert login is not None
    require_safe_address("0.0.0.0", login)
    assert login("ana", "uma senha longa")
    assert not login("ana", "outra senha")
    assert not login("nobody", "")


@pytest.mark.parametrize("value", ["ana", "ana:curta", ":uma senha longa", "ana:uma senha longa,bia"])
def test_a_bad_login_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GALILEU_CHAT_LOGIN", value)
    with pytest.raises(InputError, match="at least 8") as refused:
        login_from_environment()
    assert "senha" not in str(refused.value)


def test_a_port_in_use_is_told() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="--port"):
            require_free_port("127.0.0.1", taken.getsockname()[1])


def test_the_base_serves_until_there_is_a_champion(store: ArtifactStore) -> None:
    with pytest.raises(MissingArtifactError, match="base_model"):
        served_model(store)
    base, dpo = make_model(store, "base_model"), make_model(store, "dpo_model")
    assert served_model(store).id == base.id
    store.data.champion.write_text(f'{{"id": "{dpo.id}"}}')
    assert served_model(store).id == dpo.id
    assert served_model(store, "base_model").id == base.id
    store.data.champion.write_text("{")
    with pytest.raises(GalileuError, match="does not name a model"):
        served_model(store)


def test_a_stopped_answer_ends_where_it_is_and_can_be_rated(
    store: ArtifactStore, box: VoteBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, closed = make_model(store, "base_model"), []

    def endless(*_: object) -> Iterator[str]:
        try:
            for words in count(1):
                yield "e " * words
        finally:
            closed.append(True)

    chat = Chat(store, box.collector, ChatSettings())
    monkeypatch.setattr(chat.talker, "stream", endless)
    answers: Answers = {}
    replies = chat.reply([{"role": "user", "content": "q"}], answers, "ana", "session", HERE)
    for _ in range(3):
        next(replies)
        assert not answers
    chat.stop("session")
    *_, (conversation, _) = replies
    assert closed == [True]
    answer = answers[len(conversation) - 1]
    assert (answer.query, answer.response, answer.model_id) == ("q", "e e e", base.id)
    assert conversation[-1]["content"] == "e e e"


def test_an_answer_can_be_rated_as_soon_as_it_is_seen_whole(
    store: ArtifactStore, box: VoteBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(store, "base_model")
    chat, answers = Chat(store, box.collector, ChatSettings()), {}  # type: ignore[var-annotated]
    monkeypatch.setattr(chat.talker, "stream", lambda *_: (words for words in ("Sou", "Sou Galileu.")))
    seen = []
    for conversation, _ in chat.reply([{"role": "user", "content": "q"}], answers, "ana", "session", HERE):
        seen.append((conversation[-1]["content"], 1 in answers))
    assert seen == [("Sou", False), ("Sou Galileu.", False), ("Sou Galileu.", True)]


def test_clicks_at_once_are_all_kept(store: ArtifactStore, box: VoteBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("galileu_pipeline.chat.handlers.gr.Info", lambda *_, **__: None)
    chat = Chat(store, box.collector, ChatSettings())
    history = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    for _ in range(10):
        answers, start = {1: RatedAnswer("q", "a", "base_model-0123456789ab")}, Barrier(3)

        def at_once(click: Callable[[], object], start: Barrier = start) -> None:
            start.wait()
            click()

        thumb = partial(chat.thumb, answers, "ana", "1", SimpleNamespace(index=1, liked=True), HERE)
        rate = partial(chat.rate, 4, history, answers, "ana", "1", HERE)
        comment = partial(chat.comment, "boa", history, answers, "ana", "1", HERE)
        with ThreadPoolExecutor() as people:
            list(people.map(at_once, (thumb, rate, comment)))
        said = answers[1]
        assert (said.events, said.thumbs_up, said.rating, said.comment) == (3, True, 4, "boa")
    stats = box.collector.get_feedback_stats()
    assert stats["events"] == 30


@pytest.mark.parametrize("words", ["Sou Galileu.", ""])
def test_a_vote_on_a_growing_answer_is_one_on_the_whole(
    store: ArtifactStore, box: VoteBox, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr("galileu_pipeline.chat.handlers.gr.Info", lambda text, **_: told.append(text))
    monkeypatch.setattr("galileu_pipeline.chat.handlers.gr.Warning", lambda text, **_: told.append(text))
    make_model(store, "base_model")
    chat, answers = Chat(store, box.collector, ChatSettings()), {}  # type: ignore[var-annotated]
    monkeypatch.setattr(chat.talker, "stream", lambda *_: (grown for grown in (words[:3], words)))
    replies = chat.reply([{"role": "user", "content": "q"}], answers, "ana", "1", HERE)
    next(replies)
    with ThreadPoolExecutor() as people:
        vote = people.submit(chat.thumb, answers, "ana", "1", SimpleNamespace(index=1, liked=True), HERE)
        assert not told
        list(replies)
        vote.result(timeout=60)
    if words:
        assert (answers[1].response, answers[1].thumbs_up) == (words, True)
        assert told == [TEXTS["pt"]["thanks"]]
    else:
        assert told[-1] == TEXTS["pt"]["no_answer"]


def test_a_reward_model_does_not_talk(store: ArtifactStore) -> None:
    reward = make_model(store, "reward_model")
    with pytest.raises(InputError, match="does not generate text"):
        served_model(store, reward.id)


def test_the_rival_is_the_newest_other_candidate(store: ArtifactStore) -> None:
    base = make_model(store, "base_model")
    assert rival_model(store, base).id == base.id
    sft = make_model(store, "sft_model")
    assert rival_model(store, base).id == sft.id
    dpo = make_model(store, "dpo_model")
    assert rival_model(store, base).id == dpo.id
    assert rival_model(store, dpo).id == sft.id
    assert rival_model(store, dpo, "base_model").id == base.id


def test_the_statistics_show_the_leaderboard_once_there_is_one(store: ArtifactStore, box: VoteBox) -> None:
    chat = Chat(store, box.collector, ChatSettings())
    assert not chat.statistics(HERE)[-1].visible

    warehouse = Warehouse(store.data.warehouse)
    votes = [side_by_side(number, "right", "old", "new") for number in range(8)]
    import_file(warehouse, json_lines(store.data.root / "votes.jsonl", votes))
    with warehouse.open() as connection:
        text = analyse(connection).model_dump_json()

    def write(folder: Path) -> Outcome:
        (folder / "analytics.json").write_text(text)
        return Outcome()

    store.set_current(store.make(Plan("feedback_analytics", [], {}), write).artifact)
    board = chat.statistics(HERE)[-1]
    assert board.visible
    assert [row[0] for row in board.value["data"]] == ["new", "old"]
