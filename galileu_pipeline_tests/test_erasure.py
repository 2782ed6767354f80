"""A person is forgotten: rows, texts and bytes go, models that learnt from them are known, and nothing comes back."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.erasure import Erasure, erase
from galileu_pipeline.errors import GalileuError, InputError
from galileu_pipeline.feedback import erasure, stages
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.ingestion.ingestor import ledger
from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.tombstones import Tombstones
from galileu_pipeline.lineage.verification import verify

PAIRING = PairingSettings(test_fraction=0.3)
DATASETS = DatasetSettings(system_prompt="")
KEY = "a key for these tests"
MARKED = [f"Segredo da Marta, número {number}: zurbaran" for number in range(20)]


class Chatbot:
    """A data folder in which Marta and others gave feedback, and what was made from it."""

    def __init__(self, root: Path) -> None:
        self.data = DataFolder(root / "data")
        self.warehouse = Warehouse(self.data.warehouse)
        self.store = ArtifactStore(self.data, "tiny")
        self.collector = FeedbackCollector(self.data.feedback_db, Pseudonyms.of_folder(self.data))

    def give(self) -> None:
        for number, secret in enumerate(MARKED):
            common = {"user_id": "marta", "session_id": "s", "feedback_id": f"marta-{number}"}
            if number % 3 == 0:
                self.collector.add_feedback(secret, "Sim.", rating=5, comment=secret, **common)
            elif number % 3 == 1:
                self.collector.add_correction(f"Pergunta {number}?", "Não sei.", secret, **common)
            else:
                self.collector.add_comparison(f"{secret}?", "Sim.", "Não.", "left", reason=secret, **common)
        for number in range(30):
            who = {"user_id": f"user-{number}", "feedback_id": f"other-{number}"}
            self.collector.add_preference(f"O que há no céu {number}?", f"Estrelas {number}.", "Nada.", **who)

    def train(self, *, analyse: bool = False) -> list[Artifact]:
        """Datasets, and models with samples of answers; these learnt nothing, but their lineage is like others'."""
        raw, _ = stages.refresh_raw_feedback(self.store, self.warehouse, self.data, repair_text=True)
        if analyse:
            stages.make_feedback_analytics(self.store, self.warehouse, raw.artifact)
        pairs = stages.make_preference_pairs(self.store, self.warehouse, raw.artifact, PAIRING).artifact
        dpo = stages.make_dpo_dataset(self.store, pairs, DATASETS).artifact
        reward = stages.make_reward_dataset(self.store, pairs, DATASETS).artifact
        sft = stages.make_sft_dataset(
            self.store, pairs, self.data.curated, PAIRING, DATASETS, TextCleaner(True)
        ).artifact
        with self.warehouse.open() as connection:
            questions = [row[0] for row in connection.execute("SELECT prompt FROM queries").fetchall()]

        def learn(folder: Path) -> Outcome:
            (folder / "adapter_model.safetensors").write_bytes(b"weights")
            (folder / "samples.json").write_text(json.dumps(questions, ensure_ascii=False), encoding="utf-8")
            return Outcome()

        config = {"profile": "tiny"}
        sft_model = self.store.make(Plan("sft_model", [sft], config), learn).artifact
        dpo_model = self.store.make(Plan("dpo_model", [sft_model, dpo], config), learn).artifact
        made = [raw.artifact, pairs, dpo, reward, sft, sft_model, dpo_model]
        for artifact in made:
            self.store.set_current(artifact)
        return made

    @property
    def models(self) -> tuple[Artifact, Artifact]:
        """The current SFT model and DPO model."""
        return self.store.current("sft_model"), self.store.current("dpo_model")

    def erase(self, user: str = "marta", *, dry_run: bool = False, withdraw: bool = True) -> Erasure:
        return erase(self.store, self.warehouse, user, dry_run=dry_run, withdraw_champion=withdraw)

    def files(self) -> dict[Path, bytes]:
        """All files, but SQLite's own, which change as it is opened and closed; the rows of that one beside them."""
        found = {path: path.read_bytes() for path in self.data.root.rglob("*") if path.is_file()}
        with closing(sqlite3.connect(self.data.feedback_db)) as connection:
            rows = "".join(connection.iterdump()).encode()
        return {path: data for path, data in found.items() if not path.name.startswith("feedback.db")} | {Path(): rows}

    def bytes_of(self, text: str) -> Iterator[Path]:
        """Files that hold a text, in any way in which one may be written down, compressed or not."""
        forms = {text.encode(), text.lower().encode(), json.dumps(text)[1:-1].encode(), text.encode("utf-16-le")}
        for path in self.data.root.rglob("*"):
            if path.is_file() and any(form in path.read_bytes() + self.unpacked(path) for form in forms):
                yield path

    def unpacked(self, path: Path) -> bytes:
        """The rows of a Parquet file, or of the warehouse."""
        if path.suffix == ".parquet":
            return str(pq.read_table(path).to_pylist()).encode()
        if path != self.data.warehouse:
            return b""
        with self.warehouse.open() as connection:
            tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
            return str([connection.execute(f'FROM "{table}"').fetchall() for table in tables]).encode()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one on whose feedback models were trained; each test has a copy of its own."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GALILEU_PSEUDONYM_KEY", KEY)
        made = Chatbot(tmp_path_factory.mktemp("trained"))
        made.give()
        made.train(analyse=True)
    return made.data.root


@pytest.fixture
def chatbot(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chatbot:
    monkeypatch.setenv("GALILEU_PSEUDONYM_KEY", KEY)
    shutil.copytree(trained, tmp_path / "data")
    return Chatbot(tmp_path)


@pytest.mark.slow
def test_no_byte_of_a_persons_texts_is_left(chatbot: Chatbot) -> None:
    assert any(list(chatbot.bytes_of(text)) for text in MARKED)
    imported = chatbot.data.inbox / "done" / "votes.csv"
    imported.parent.mkdir(parents=True)
    imported.write_text(f"query,response,rating,user_id\n{MARKED[0]},Sim.,5,marta\n")
    erased = chatbot.erase()
    assert erased.collected == {"feedback": 7, "preference_pairs": 13, "comparisons": 6}
    assert erased.ingested == {"feedback": 7, "feedback_choices": 13, "feedback_comparisons": 6}
    for text in [*MARKED, "zurbaran", "Segredo da Marta"]:
        assert list(chatbot.bytes_of(text)) == []
    kept = sqlite3.connect(chatbot.data.feedback_db).execute("SELECT count(*) FROM preference_pairs").fetchone()
    assert kept == (30,)


def test_what_learnt_from_it_is_known_and_what_learns_after_is_not_tainted(chatbot: Chatbot) -> None:
    sft_model, dpo_model = chatbot.models
    chatbot.collector.add_feedback("Outra?", "Sim.", rating=5, user_id="nobody else")
    erased = chatbot.erase()
    assert erased.tainted.keys() == {sft_model.id, dpo_model.id}
    assert erased.tainted[dpo_model.id].items > erased.tainted[sft_model.id].items > 0
    tombstones = Tombstones(chatbot.data)
    assert tombstones.tainting(chatbot.store, dpo_model.id)[0].person == erased.person
    *_, new_sft, new_dpo = chatbot.train()
    assert new_dpo.id != dpo_model.id
    assert tombstones.tainting(chatbot.store, new_sft.id) == tombstones.tainting(chatbot.store, new_dpo.id) == []
    heirs = chatbot.store.make(
        Plan("ppo_model", [dpo_model], {"profile": "tiny"}), lambda folder: Outcome()
    ).artifact  # made after the erasure, of a model that had seen the feedback
    assert tombstones.tainting(chatbot.store, heirs.id)


def test_the_record_names_nobody_and_everything_is_still_as_it_should_be(chatbot: Chatbot) -> None:
    chatbot.erase()
    (tombstone,) = Tombstones(chatbot.data).read()
    assert "marta" not in tombstone.model_dump_json()
    assert tombstone.done_at is not None
    assert len(tombstone.refused) == 20
    assert verify(chatbot.store) == []
    with chatbot.warehouse.open() as connection:
        counts = ledger(connection)
    assert counts["rows_in"] == counts["accepted"] + counts["quarantined"] + counts["duplicates"] == 30


def test_a_second_time_there_is_nothing_to_do(chatbot: Chatbot) -> None:
    chatbot.erase()
    before = chatbot.files()
    again = chatbot.erase()
    assert again.nothing_to_do
    assert before == chatbot.files()
    chatbot.train()
    assert chatbot.erase().nothing_to_do


def test_a_dry_run_changes_nothing(chatbot: Chatbot) -> None:
    before = chatbot.files()
    told = chatbot.erase(dry_run=True)
    assert told.tainted
    assert before == chatbot.files()


def test_the_same_rows_are_refused_and_not_kept(chatbot: Chatbot, tmp_path: Path) -> None:
    exported = tmp_path / "export.jsonl"
    rows = [
        {"feedback_id": f"marta-{number}", "query": secret, "response": "Sim.", "rating": 5, "user_id": "marta"}
        for number, secret in enumerate(MARKED)
    ]
    exported.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    chatbot.erase()
    (report,) = stages.import_files(chatbot.warehouse, chatbot.data, [exported], mapping={}, repair_text=True).values()
    assert (report.accepted, report.quarantined) == (0, {"erased": 20})
    assert list(chatbot.bytes_of("zurbaran")) == []


def test_what_had_not_been_read_yet_is_refused_too(chatbot: Chatbot, tmp_path: Path) -> None:
    chatbot.collector.add_feedback("Nova?", "Sim.", rating=5, user_id="marta", feedback_id="unread")
    assert chatbot.erase().collected["feedback"] == 8
    export = tmp_path / "export.jsonl"
    export.write_text(
        '{"feedback_id": "unread", "query": "Nova?", "response": "Sim.", "rating": 5}\n', encoding="utf-8"
    )
    (report,) = stages.import_files(chatbot.warehouse, chatbot.data, [export], mapping={}, repair_text=True).values()
    assert report.quarantined == {"erased": 1}


def test_new_feedback_of_the_same_person_is_welcome(chatbot: Chatbot) -> None:
    chatbot.erase()
    chatbot.collector.add_feedback("Voltei?", "Sim.", rating=5, user_id="marta", feedback_id="new")
    _, report = stages.refresh_raw_feedback(chatbot.store, chatbot.warehouse, chatbot.data, repair_text=True)
    assert (report.accepted, report.quarantined) == (1, {})
    assert chatbot.erase().collected == {"feedback": 1}
    assert len(Tombstones(chatbot.data).read()) == 2


def test_a_tainted_champion_leaves_and_does_not_come_back(chatbot: Chatbot) -> None:
    sft_model, dpo_model = chatbot.models
    service = ChampionFile(chatbot.store)
    service.promote(sft_model.id, by="person", in_place_of=None)
    service.promote(dpo_model.id, by="person", in_place_of=sft_model.id)
    erased = chatbot.erase()
    assert (erased.champion_before, erased.champion) == (dpo_model.id, None)
    assert service.read().id is None
    for wanted in (sft_model.id, dpo_model.id):
        with pytest.raises(InputError, match="erased at a person's request"):
            service.promote(wanted, by="person", in_place_of=None)


def test_a_tainted_champion_stays_where_that_is_wanted(chatbot: Chatbot) -> None:
    _, dpo_model = chatbot.models
    ChampionFile(chatbot.store).promote(dpo_model.id, by="person", in_place_of=None)
    assert chatbot.erase(withdraw=False).champion == dpo_model.id


def test_broken_off_it_goes_on(chatbot: Chatbot, monkeypatch: pytest.MonkeyPatch) -> None:
    sft_model, dpo_model = chatbot.models

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("galileu_pipeline.erasure.erase_collected", fail)
        with pytest.raises(KeyboardInterrupt):
            chatbot.erase()
    assert chatbot.erase().tainted.keys() == {sft_model.id, dpo_model.id}
    assert list(chatbot.bytes_of("zurbaran")) == []
    (tombstone,) = Tombstones(chatbot.data).read()
    assert tombstone.done_at is not None
    assert verify(chatbot.store) == []
    assert chatbot.erase().nothing_to_do


def test_what_is_being_made_of_it_is_in_the_way(chatbot: Chatbot) -> None:
    _, dpo_model = chatbot.models

    def learn(folder: Path) -> Outcome:
        with pytest.raises(GalileuError, match="is being made of this person's feedback"):
            chatbot.erase()
        return Outcome()

    chatbot.store.make(Plan("ppo_model", [dpo_model], {}), learn)


@pytest.mark.parametrize("column", ["session_id", "sessionId", "user_id", "User ID", "USERID"])
def test_a_file_that_names_people_as_they_are(column: str, tmp_path: Path) -> None:
    data = DataFolder(tmp_path)
    data.feedback_db.parent.mkdir(parents=True)
    with closing(sqlite3.connect(data.feedback_db)) as connection, connection:
        connection.execute(
            f'CREATE TABLE feedback (id INTEGER PRIMARY KEY, "{column}" TEXT, query TEXT, response TEXT)'
        )
        connection.executemany(
            f"""INSERT INTO feedback ("{column}", query, response) VALUES (?, 'q', 'r')""",
            [("ana",), ("bia",), (None,)],
        )
    pseudonyms = Pseudonyms(b"k" * 32)
    erasure.erase_collected(data, pseudonyms, pseudonyms.of("ana"))
    assert erasure.collected_rows(data, pseudonyms, pseudonyms.of("ana")) == {}
    assert erasure.collected_rows(data, pseudonyms, pseudonyms.of("bia")) == {"feedback": [None]}


def test_nobody_is_not_a_person(chatbot: Chatbot) -> None:
    with pytest.raises(InputError, match="Say whose"):
        chatbot.erase("  ")
    assert chatbot.erase("somebody else").nothing_to_do
