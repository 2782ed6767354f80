"""What taught a model about a question, over datasets that the stages themselves made."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from galileu_pipeline.cli import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.teaching import MEASURE, Teaching, similarity, teaching
from galileu_pipeline_tests.feedback.conftest import ChatbotFile, ingest
from galileu_pipeline_tests.lineage.making import make

DATASETS = DatasetSettings(system_prompt="Responda.")


def vote(number: int, query: str, response: str, rating: int) -> dict[str, object]:
    return {
        "feedback_id": f"f{number}",
        "query": query,
        "response": response,
        "rating": rating,
        "user_id": f"u{number}",
    }


@pytest.fixture
def model(tmp_path: Path, store: ArtifactStore) -> Artifact:
    chatbot, warehouse = ChatbotFile(tmp_path / "feedback.db"), Warehouse(tmp_path / "galileu.duckdb")
    chatbot.votes(
        vote(1, "O que é a Lua?", "Um satélite.", 5),
        vote(2, "o que é a lua", "Um queijo.", 1),
        vote(3, "O que é a luneta?", "Um instrumento.", 5),
        vote(4, "O que é a luneta?", "Um pão.", 1),
        vote(5, "Onde nasceu Galileu?", "Em Pisa.", 5),
        vote(6, "Onde nasceu Galileu?", "Em Roma.", 1),
    )
    ingest(warehouse, chatbot.path)
    data = DataFolder(tmp_path / "data")
    curated = tmp_path / "curated"
    curated.mkdir()
    (curated / "own.jsonl").write_text('{"prompt": "O que é a Lua?", "completion": "A companheira da Terra."}\n')
    raw = stages.refresh_raw_feedback(store, warehouse, data, repair_text=True)[0].artifact
    settings = PairingSettings(test_fraction=0.5)
    pairs = stages.make_preference_pairs(store, warehouse, raw, settings).artifact
    sft = stages.make_sft_dataset(store, pairs, curated, settings, DATASETS, TextCleaner(True)).artifact
    dpo = stages.make_dpo_dataset(store, pairs, DATASETS).artifact
    return make(store, "dpo_model", make(store, "sft_model", sft), dpo)


def test_the_same_question_in_other_words_is_first(store: ArtifactStore, model: Artifact) -> None:
    found = teaching(store, model, "  O QUE É A LUA ")
    first, second = found.near  # the third question has nothing in common with it
    assert (found.model, found.measure) == (model.id, MEASURE)
    assert (first.same, first.similarity) == (True, 1.0)
    assert (second.question, second.same) == ("O que é a luneta?", False)
    assert 0 < second.similarity < 1
    by_answer = {(item.dataset.rsplit("-", 1)[0], item.answer): item for item in first.items}
    pair = by_answer["dpo_dataset", "Um satélite."]
    assert pair.rejected == "Um queijo."
    assert {(source.feedback_id, source.role) for source in pair.votes} == {("f1", "chosen"), ("f2", "rejected")}
    assert all(source.person and source.person.startswith("person-") for source in pair.votes)
    example = by_answer["sft_dataset", "Um satélite."]
    assert {source.feedback_id for source in example.votes if source.role == "answer"} == {"f1"}
    assert by_answer["sft_dataset", "A companheira da Terra."].votes == []
    # The side of the split is the question's, in every dataset.
    assert len({item.split for item in first.items}) == 1


def test_how_many_others(store: ArtifactStore, model: Artifact) -> None:
    assert [near.same for near in teaching(store, model, "o que é a lua", most=0).near] == [True]
    (near,) = teaching(store, model, "Quem nasceu?", most=1).near
    assert (near.same, near.question) == (False, "Onde nasceu Galileu?")
    assert teaching(store, model, "ξξξξ").near == []


def test_a_dataset_that_is_gone_is_named(store: ArtifactStore, model: Artifact) -> None:
    dataset = next(ref.id for ref in model.manifest.inputs if ref.asset == "dpo_dataset")
    shutil.rmtree(store.load(dataset).path)
    found = teaching(store, model, "o que é a lua")
    assert found.unreadable == [dataset]
    assert {item.dataset.rsplit("-", 1)[0] for near in found.near for item in near.items} == {"sft_dataset"}


def test_what_cannot_be_asked(store: ArtifactStore, model: Artifact) -> None:
    with pytest.raises(InputError, match="question is empty"):
        teaching(store, model, " \u200b ")
    with pytest.raises(InputError, match="is no model"):
        teaching(store, store.load(model.manifest.inputs[1].id), "x")


def test_the_measure() -> None:
    assert similarity("lua", "lua") == 1
    assert similarity("lua", "xyz") == 0
    # " lu", "lua", "ua " and " lu", "lua", "uas", "as "
    assert similarity("lua", "luas") == pytest.approx(2 / 5)


def test_the_command(store: ArtifactStore, model: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    monkeypatch.setenv("GALILEU_PROFILE", "tiny")
    printed = CliRunner().invoke(app, ["why", model.id, "o que é a lua", "--json"])
    assert Teaching.model_validate_json(printed.stdout) == teaching(store, model, "o que é a lua")
    shown = CliRunner().invoke(app, ["why", model.id, "o que é a lua", "--nearest", "0"], env={"COLUMNS": "200"})
    for part in ("the same question", "“Um satélite.” rather than “Um queijo.”", "chosen: f1 by person-", "by hand"):
        assert part in shown.stdout
    assert "luneta" not in shown.stdout
    none = CliRunner().invoke(app, ["why", model.id, "ξξξξ"])
    assert (none.exit_code, "Nothing" in none.stdout) == (0, True)
