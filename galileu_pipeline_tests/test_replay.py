"""The same votes under other settings: what differs, and what stays untouched."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from galileu_pipeline.cli import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError, SettingsError
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.lineage.digests import folder_digests
from galileu_pipeline.process import RESULT_NAME
from galileu_pipeline.profiles.schema import Profile, load_profile
from galileu_pipeline.replay import Replay, replay, with_settings
from galileu_pipeline.training.settings import StageResult, StageSpec
from galileu_pipeline_tests.feedback.conftest import ChatbotFile

pytestmark = pytest.mark.slow

LOOSE = ["pairing.max_person_share=null", "datasets.min_train_pairs=1", "datasets.min_test_pairs=1"]


class Folder:
    """A data folder with current pairs, datasets and models; training writes what it was told."""

    def __init__(self, root: Path) -> None:
        self.data = DataFolder(root)
        self.store, self.warehouse = ArtifactStore(self.data, "tiny"), Warehouse(self.data.warehouse)
        self.profile = with_settings(load_profile("tiny"), LOOSE)
        self.trained: list[str] = []
        self.data.feedback_db.parent.mkdir(parents=True)
        chatbot = ChatbotFile(self.data.feedback_db)
        for number in range(24):
            # The day, the person and the rating: the best answer is ana's, the worst is caio's.
            for day, person, rating in ((1, "ana", 5), (2, "bia", 3), (3, "caio", 1)):
                chatbot.votes(
                    {
                        "feedback_id": f"{person}-{number}",
                        "timestamp": f"2026-01-0{day}T12:00:00Z",
                        "query": f"Pergunta {number}?",
                        "response": f"Resposta de {person}.",
                        "rating": rating,
                        "user_id": person,
                    }
                )
        raw = stages.refresh_raw_feedback(self.store, self.warehouse, self.data, repair_text=True)[0].artifact
        self.pairs = stages.make_preference_pairs(self.store, self.warehouse, raw, self.profile.pairing).artifact
        self.store.set_current(self.pairs)

    def launch(self, command: list[str]) -> None:
        spec = StageSpec.model_validate_json(Path(command[command.index("--spec") + 1]).read_text())
        self.trained.append(spec.stage)
        (spec.output / "weights").write_text(json.dumps([spec.settings, str(spec.dataset.name)]))
        Path(command[-1]).with_name(RESULT_NAME).write_text(StageResult(metrics={}).model_dump_json())

    def replay(self, *assignments: str, **asked: object) -> Replay:
        profile: Profile = with_settings(self.profile, assignments)
        return replay(self.store, self.warehouse, profile, self.launch, **asked)  # type: ignore[arg-type]

    def untouched(self) -> Callable[[], bool]:
        """Whether pointers, champion and the warehouse's tables are what they were at the time of this call."""

        def state() -> tuple[object, ...]:
            with self.warehouse.open(keep=False) as connection:
                tables = [row[0] for row in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
                rows = {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in sorted(tables)}
            pointers = {str(path): path.read_text() for path in self.data.pointers()}
            return rows, pointers, self.data.champion.exists()

        before = state()
        return lambda: state() == before


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "data")


def test_other_pairs_and_nothing_is_touched(folder: Folder) -> None:
    untouched = folder.untouched()
    found = folder.replay("pairing.strategy=all_pairs", to="preference_pairs")
    assert found.pairs
    assert (found.pairs.old, len(found.pairs.added), found.pairs.removed) == (folder.pairs.id, 48, [])
    assert found.difference
    assert [(change.name, change.old, change.new) for change in found.difference.settings] == [
        ("strategy", "best_vs_worst", "all_pairs")
    ]
    assert untouched()
    raw = folder.store.load(folder.pairs.manifest.inputs[0].id)
    assert stages.make_preference_pairs(folder.store, folder.warehouse, raw, folder.profile.pairing).reused


def test_what_is_the_same_is_there_already(folder: Folder) -> None:
    first = folder.replay()
    assert folder.trained == ["base", "sft", "dpo"]
    assert [step.reused for step in first.steps][:1] == [True]
    assert all(step.reused for step in folder.replay().steps)
    again = folder.replay("dpo.beta=0.77")
    assert folder.trained == ["base", "sft", "dpo", "dpo"]
    assert [step.id.rsplit("-", 1)[0] for step in again.steps if not step.reused] == ["dpo_model"]
    model = folder.store.load(again.steps[-1].id)
    folder.store.set_current(folder.store.load(first.steps[-1].id))
    difference = folder.replay("dpo.beta=0.77").difference
    assert difference
    assert [change.name for change in difference.settings] == ["stage.beta"]
    assert model.manifest.config["stage"]["beta"] == 0.77


def test_without_a_person_or_what_came_later(folder: Folder) -> None:
    untouched = folder.untouched()
    caio = Pseudonyms.of_folder(folder.data).of("caio")
    without = folder.replay(without=caio, to="dpo_dataset")
    earlier = folder.replay(until=date(2026, 1, 2), to="dpo_dataset")
    assert without.steps == [step.model_copy(update={"reused": False}) for step in earlier.steps]
    assert without.pairs
    assert (len(without.pairs.added), len(without.pairs.removed)) == (24, 24)
    assert untouched()
    made = folder.store.load(without.steps[0].id)
    raw = folder.store.load(made.manifest.inputs[0].id)
    assert raw.manifest.config["left_out"] == 24
    # An erased person would be named nowhere.
    assert caio not in (raw.path / "manifest.json").read_text()
    assert folder_digests(raw.path) != {}
    with pytest.raises(InputError, match="No feedback would be left"):
        folder.replay(until=date(2025, 1, 1))
    assert untouched()


def test_too_few_pairs_are_refused_before_training(folder: Folder) -> None:
    with pytest.raises(InputError, match="at least 1000"):
        folder.replay("datasets.min_train_pairs=1000")
    assert folder.trained == []


@pytest.mark.parametrize("wrong", ["pairing.strategy", "evaluation.samples=1", "pairing.nothing=1", "pairing.a.b=1"])
def test_what_is_no_setting(wrong: str) -> None:
    with pytest.raises(InputError):
        with_settings(load_profile("tiny"), [wrong])


def test_what_is_no_value() -> None:
    with pytest.raises(SettingsError, match=r"pairing\.min_margin"):
        with_settings(load_profile("tiny"), ["pairing.min_margin=2"])


def test_the_command(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(folder.data.root))
    monkeypatch.setenv("GALILEU_PROFILE", "tiny")
    options = ["--set", "pairing.strategy=all_pairs", "--set", LOOSE[0], "--to", "preference_pairs"]
    told = CliRunner().invoke(app, ["replay", *options, "--until", "2026-01-02", "--json"])
    assert len(json.loads(told.stdout)["pairs"]["added"]) == 24
    shown = CliRunner().invoke(app, ["replay", *options])
    assert shown.exit_code == 0
    assert f"pairs: 48 added, 0 removed, against {folder.pairs.id}" in shown.stdout.replace("\n", " ")
