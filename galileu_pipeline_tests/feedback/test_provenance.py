"""The feedback behind a dataset is what it hangs on, and nobody's feedback weighs too much in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing.integrity import ONE_PAIR, heaviest_people
from galileu_pipeline.feedback.pairing.pairs import PairingSettings, PairingStrategy
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.graph import Graph
from galileu_pipeline.lineage.verification import verify
from galileu_pipeline_tests.feedback.conftest import ChatbotFile, Row, empty_warehouse, import_file, ingest
from galileu_pipeline_tests.feedback.test_imports import json_lines

pytestmark = pytest.mark.slow

DATASETS = DatasetSettings(system_prompt="")
QUERIES, ANSWERS = ["Quem é você?", "quem é você", "O que é a Lua?", "Onde nasceu?"], ["a", "b", "c"]
USERS = ["ana", "bia", "caio", None]
VOTE = st.fixed_dictionaries(
    {
        "query": st.sampled_from(QUERIES),
        "response": st.sampled_from(ANSWERS),
        "rating": st.one_of(st.integers(1, 5), st.none()),
        "comment": st.just("c"),
        "user_id": st.sampled_from(USERS),
    }
)
CHOICE = st.builds(
    lambda query, sides, user: {
        "query": query,
        "response_chosen": sides[0],
        "response_rejected": sides[1],
        "user_id": user,
    },
    st.sampled_from(QUERIES),
    st.permutations(ANSWERS),
    st.sampled_from(USERS),
)
HISTORY = st.lists(st.one_of(VOTE, CHOICE), min_size=1, max_size=14)


def with_ids(rows: list[Row]) -> list[Row]:
    return [
        {**row, "feedback_id": f"row-{number}", "timestamp": f"2026-08-01T10:00:{number:02d}Z"}
        for number, row in enumerate(rows)
    ]


@dataclass(frozen=True)
class Made:
    store: ArtifactStore
    pairs: Artifact
    datasets: list[Artifact]

    @property
    def digests(self) -> dict[str, str]:
        """By asset."""
        return {dataset.manifest.asset: dataset.manifest.digest for dataset in self.datasets}

    def lineage_of(self, feedback_id: str) -> set[str]:
        """The datasets that say that they hang on that row."""
        return {dataset.asset for dataset in Graph.read(self.store).of_feedback(feedback_id).held_by}


@contextmanager
def made_of(history: list[Row], pairing: PairingSettings) -> Iterator[Made]:
    """Pairs, and the datasets of DPO, of the reward model and of SFT."""
    with TemporaryDirectory() as root:
        data = DataFolder(Path(root))
        data.feedback_db.parent.mkdir(parents=True)
        chatbot, warehouse = ChatbotFile(data.feedback_db), empty_warehouse(data.warehouse)
        chatbot.votes(*(row for row in history if "response" in row))
        chatbot.choices(*(row for row in history if "response_chosen" in row))
        ingest(warehouse, chatbot.path)
        store = ArtifactStore(data, "tiny")
        raw, _ = stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)
        pairs = stages.make_preference_pairs(store, warehouse, raw.artifact, pairing).artifact
        datasets = [
            stages.make_dpo_dataset(store, pairs, DATASETS).artifact,
            stages.make_reward_dataset(store, pairs, DATASETS).artifact,
            stages.make_sft_dataset(store, pairs, data.curated, pairing, DATASETS, TextCleaner(True)).artifact,
        ]
        yield Made(store, pairs, datasets)


def test_what_is_imported_between_two_steps_is_in_their_lineage(tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    warehouse, store = empty_warehouse(data.warehouse), ArtifactStore(data, "tiny")
    rows = [
        {"feedback_id": f"f{number}", "query": f"q{number // 2}", "response": f"a{number}", "rating": 1 + number % 2}
        for number in range(8)
    ]
    import_file(warehouse, json_lines(tmp_path / "first.jsonl", rows[:4]))
    raw, _ = stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)
    import_file(warehouse, json_lines(tmp_path / "second.jsonl", rows[4:]))
    for made in (
        stages.make_preference_pairs(store, warehouse, raw.artifact, PairingSettings()),
        stages.make_feedback_analytics(store, warehouse, raw.artifact),
    ):
        (ref,) = made.artifact.manifest.inputs
        assert ref.asset == "raw_feedback"
        assert store.load(ref.id).manifest.metrics["accepted"] == 8
    assert raw.artifact.manifest.metrics["accepted"] == 4
    assert verify(store) == []
    again, _ = stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)
    assert again.artifact.id == ref.id


@settings(max_examples=8, deadline=None)
@given(history=HISTORY, strategy=st.sampled_from(PairingStrategy), data=st.data())
def test_a_row_is_in_a_datasets_lineage_exactly_if_without_it_the_dataset_is_another(
    history: list[Row], strategy: PairingStrategy, data: st.DataObject
) -> None:
    pairing = PairingSettings(strategy=strategy, test_fraction=0.4, max_person_share=None)
    rows = with_ids(history)
    removed = data.draw(st.permutations(rows))[:3]
    with made_of(rows, pairing) as whole:
        lineage = [whole.lineage_of(str(row["feedback_id"])) for row in removed]
    for row, datasets in zip(removed, lineage, strict=True):
        with made_of([other for other in rows if other is not row], pairing) as less:
            assert datasets == {asset for asset, digest in less.digests.items() if digest != whole.digests[asset]}


@settings(max_examples=15, deadline=None)
@given(history=HISTORY)
def test_nobody_weighs_more_than_one_pair_where_there_is_little(history: list[Row]) -> None:
    pairing = PairingSettings(test_fraction=0, validation_fraction=0)
    with made_of(with_ids(history), pairing) as made:
        pairs = made.pairs
        people = heaviest_people(pairs.path, pairing)
        assert all(person.weight <= ONE_PAIR + 1e-6 for person in people)
        aside = pq.read_table(pairs.path / "set_aside.parquet")
        behind = set(pq.read_table(pairs.path / "pair_sources.parquet")["feedback_id"].to_pylist())
        assert not behind & set(aside["feedback_id"].to_pylist())
        assert sum(pairs.manifest.metrics["set_aside"].values()) == aside.num_rows


def crowd(people: int, questions_each: int) -> list[Row]:
    """Everybody asks questions of their own and chooses between two answers."""
    return [
        {
            "query": f"Pergunta {question} da pessoa {person}?",
            "response_chosen": "sim",
            "response_rejected": "não",
            "user_id": f"user-{person}",
            "feedback_id": f"choice-{person}-{question}",
        }
        for person in range(people)
        for question in range(questions_each)
    ]


def test_one_who_votes_for_ten_weighs_as_much_as_one_may() -> None:
    zealot = [
        {**row, "query": f"Mais uma: {number}?", "user_id": "zealot", "feedback_id": f"zeal-{number}"}
        for number, row in enumerate(crowd(1, 60))
    ]
    pairing = PairingSettings(test_fraction=0, validation_fraction=0, max_person_share=0.02)
    with made_of([*crowd(100, 2), *zealot], pairing) as made:
        pairs = made.pairs
        (aside,) = pairs.manifest.metrics["set_aside"].items()
        people = heaviest_people(pairs.path, pairing)
    assert aside[1] == 60 - people[0].votes
    assert people[0].person == aside[0]
    assert 0.018 < people[0].weight / people[0].items <= 0.02
    assert not any(person.exceeds(0.02) for person in people)
    assert people[0].exceeds(0.01)


def test_who_is_set_aside_counts_again_once_there_is_more() -> None:
    with TemporaryDirectory() as root:
        data = DataFolder(Path(root))
        data.feedback_db.parent.mkdir(parents=True)
        chatbot, warehouse = ChatbotFile(data.feedback_db), empty_warehouse(data.warehouse)
        store, pairing = ArtifactStore(data, "tiny"), PairingSettings(test_fraction=0, validation_fraction=0)

        def pairs_after(rows: list[Row]) -> dict[str, object]:
            chatbot.choices(*rows)
            ingest(warehouse, chatbot.path)
            raw, _ = stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)
            return stages.make_preference_pairs(store, warehouse, raw.artifact, pairing).artifact.manifest.metrics

        first = pairs_after(crowd(1, 3))
        assert (first["pairs"], len(first["set_aside"])) == (1, 1)  # type: ignore[arg-type]
        later = pairs_after(crowd(801, 1)[1:])
        assert (later["pairs"], later["set_aside"]) == (803, {})


@pytest.mark.parametrize("share", [None, 1.0])
def test_without_a_limit_nothing_is_set_aside(share: float | None) -> None:
    with made_of(crowd(2, 20), PairingSettings(test_fraction=0, validation_fraction=0, max_person_share=share)) as made:
        assert (made.pairs.manifest.metrics["pairs"], made.pairs.manifest.metrics["set_aside"]) == (40, {})


def test_pairs_of_an_earlier_version_are_to_be_made_again() -> None:
    with made_of(crowd(2, 2), PairingSettings(test_fraction=0, validation_fraction=0)) as made:
        path = made.pairs.path / "answers.parquet"
        pq.write_table(pq.read_table(path).drop_columns("feedback_ids"), path)
        with pytest.raises(GalileuError, match="Materialize preference_pairs"):
            heaviest_people(made.pairs.path, PairingSettings())
