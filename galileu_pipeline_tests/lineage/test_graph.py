"""From a model back to the clicks, and from a click forward to the models."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from galileu_pipeline.cli import app, console
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.graph import Graph, Trace, locate
from galileu_pipeline.lineage.origin import origin_of
from galileu_pipeline.lineage.sources import Feedback
from galileu_pipeline_tests.lineage.conftest import Round
from galileu_pipeline_tests.lineage.making import Row, make, make_dataset, person


def forward(trace: Trace) -> tuple[dict[str, tuple[int, int]], set[str]]:
    return {held.id: (held.items, held.rows) for held in trace.held_by}, {node.id for node in trace.made_from}


def galileu(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    monkeypatch.setenv("GALILEU_PROFILE", store.profile)
    monkeypatch.setattr(console.out, "width", 200)  # COLUMNS counts only while the console is made
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_back_to_everything_it_was_made_from(store: ArtifactStore, trained: Round) -> None:
    graph = Graph.read(store)
    back = graph.ancestors(trained.dpo.id)
    assert set(back) == {
        artifact.id
        for artifact in (
            trained.base,
            trained.sft,
            trained.dpo_dataset,
            trained.sft_dataset,
            trained.pairs,
            trained.feedback,
        )
    }
    assert set(back[:3]) == {trained.base.id, trained.sft.id, trained.dpo_dataset.id}  # the nearest first
    assert graph.descendants(trained.dpo.id) == [trained.evaluation.id, trained.decision.id]
    assert graph.nodes[trained.decision.id].chosen == trained.dpo.id


def test_each_row_behind_a_model_counts_once(store: ArtifactStore, trained: Round) -> None:
    """f1 is behind two pairs and an example; f4 is nobody's."""
    origin = origin_of(store, trained.dpo)
    assert origin.feedback == Feedback(rows=5, people=3, items=5)
    assert origin.node(trained.dpo_dataset.id).feedback == Feedback(rows=4, people=2, items=3)
    assert origin.node(trained.sft_dataset.id).feedback == Feedback(rows=2, people=2, items=2)
    assert origin.unrecorded == []
    assert origin_of(store, trained.base).feedback is None
    assert origin_of(store, trained.evaluation).feedback == origin.feedback


def test_down_to_the_items_and_their_rows(store: ArtifactStore, trained: Round) -> None:
    items = origin_of(store, trained.dpo, items=9).items
    assert items is not None
    shown = {
        item.item_id: (item.side, [(row.role, row.feedback_id, row.person) for row in item.sources])
        for found in items.values()
        for item in found
    }
    assert shown == {
        "p1": ("train", [("chosen", "f1", person(1)), ("rejected", "f2", person(2))]),
        "p2": ("train", [("choice", "f3", person(1)), ("context", "f1", person(1))]),
        "p3": ("test", [("chosen", "f4", None)]),
        "e1": ("train", [("answer", "f1", person(1))]),
        "e2": ("train", [("answer", "f5", person(3))]),
    }
    few = origin_of(store, trained.dpo, items=1).items
    assert few is not None
    assert {name: [item.item_id for item in found] for name, found in few.items()} == {
        trained.dpo_dataset.id: ["p1"],
        trained.sft_dataset.id: ["e1"],
    }


def test_pairs_have_sources_of_their_own(store: ArtifactStore) -> None:
    def write(folder: Path) -> Outcome:
        rows = {"pair_id": ["p1", "p1"], "feedback_id": ["f1", "f2"], "person": [person(1)] * 2, "role": ["chosen"] * 2}
        pq.write_table(pa.table(rows), folder / "pair_sources.parquet")
        return Outcome()

    pairs = store.make(Plan("preference_pairs", [], {}), write).artifact
    origin = origin_of(store, pairs, items=9)
    assert origin.feedback == Feedback(rows=2, people=1, items=1)
    assert origin.items is not None
    assert [(item.item_id, item.side, len(item.sources)) for item in origin.items[pairs.id]] == [("p1", None, 2)]


def test_forward_from_a_person_and_from_a_click(store: ArtifactStore, trained: Round) -> None:
    graph = Graph.read(store)
    models = {trained.sft.id, trained.dpo.id, trained.evaluation.id, trained.decision.id}
    held, made = forward(graph.of_person(person(1)))
    assert held == {trained.dpo_dataset.id: (2, 2), trained.sft_dataset.id: (1, 1)}
    assert made == models
    held, made = forward(graph.of_feedback("f4"))
    assert held == {trained.dpo_dataset.id: (1, 1)}
    assert made == models - {trained.sft.id}
    assert forward(graph.of_feedback("nobody's")) == ({}, set())


ROWS = ["f1", "f2", "f3"]
DATASETS = st.lists(st.sets(st.sampled_from(ROWS)), min_size=1, max_size=4)
MODELS = st.lists(st.tuples(st.sets(st.integers(0, 3), max_size=2), st.sets(st.integers(0, 4), max_size=2)), max_size=5)


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(contents=DATASETS, plans=MODELS)
def test_forward_and_backward_agree(contents: list[set[str]], plans: list[tuple[set[int], set[int]]]) -> None:
    """A model is among what came from a row exactly if the row is among those behind the model."""
    with TemporaryDirectory() as folder:
        store = ArtifactStore(DataFolder(Path(folder)), "tiny")
        datasets = [
            make_dataset(store, asset, [(f"i{row}", row, None, "answer") for row in sorted(content)], number=number)
            for number, (asset, content) in enumerate(zip(["dpo_dataset", "sft_dataset"] * 2, contents, strict=False))
        ]
        models: list[Artifact] = []
        truth: list[set[str]] = []
        for number, (of_datasets, of_models) in enumerate(plans):
            parents = [index for index in sorted(of_models) if index < len(models)]
            read = [index for index in sorted(of_datasets) if index < len(datasets)]
            truth.append(set().union(*(contents[index] for index in read), *(truth[index] for index in parents)))
            inputs = [*(datasets[index] for index in read), *(models[index] for index in parents)]
            models.append(make(store, "dpo_model", *inputs, number=number))
        graph = Graph.read(store)
        came_from = {row: forward(graph.of_feedback(row)) for row in ROWS}
        for model, rows in zip(models, truth, strict=True):
            assert graph.sources(model.id).count()[0].rows == len(rows)
            assert {row for row in ROWS if model.id in came_from[row][1]} == rows
        for dataset, content in zip(datasets, contents, strict=True):
            assert {row for row in ROWS if dataset.id in came_from[row][0]} == content


def test_a_copy_elsewhere_has_the_same_origin(store: ArtifactStore, trained: Round, tmp_path: Path) -> None:
    copy = tmp_path / "usb [1]" / "my copy"
    shutil.copytree(trained.dpo_dataset.path, copy)
    shutil.rmtree(trained.dpo_dataset.path)
    for path in (copy, copy / "manifest.json"):
        found_store, found = locate(store, str(path))
        origin = origin_of(found_store, found, items=9)
        assert origin.feedback == Feedback(rows=4, people=2, items=3)
        assert origin.node(trained.pairs.id).state == "present"
        assert origin.children(found.id) == [trained.dpo.id]


def test_a_copy_in_another_data_folder_has_its_inputs_there(
    store: ArtifactStore, trained: Round, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(store.data.root, other)
    shutil.rmtree(store.data.root)
    found_store, found = locate(store, str(other / "models" / trained.dpo.id))
    assert found_store.data.root == other.resolve()
    assert origin_of(found_store, found).feedback == Feedback(rows=5, people=3, items=5)


def test_what_a_person_may_call_an_artifact(
    store: ArtifactStore, trained: Round, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.set_current(trained.dpo)
    shutil.copytree(trained.sft.path, tmp_path / "copy-of-sft")
    monkeypatch.chdir(tmp_path)
    ChampionFile(store).promote(trained.sft.id, by="person", in_place_of=None)
    for name, expected in (
        (trained.dpo.id, trained.dpo),
        ("dpo_model", trained.dpo),
        ("champion_model", trained.sft),
        ("copy-of-sft", trained.sft),
        ("./copy-of-sft", trained.sft),
    ):
        assert locate(store, name)[1].id == expected.id
    with pytest.raises(MissingArtifactError, match="`galileu models` lists them"):
        locate(store, "dpo_model-000000000000")
    with pytest.raises(MissingArtifactError, match="--select ppo_model"):
        locate(store, "ppo_model")
    with pytest.raises(InputError, match=r"has no manifest\.json"):
        locate(store, "./data")


def test_a_missing_input_is_named_and_counts_as_unknown(store: ArtifactStore, trained: Round) -> None:
    shutil.rmtree(trained.sft_dataset.path)
    origin = origin_of(store, trained.dpo)
    gone = origin.node(trained.sft_dataset.id)
    assert (gone.state, gone.path, gone.digest) == ("missing", None, trained.sft_dataset.manifest.digest)
    assert (origin.unrecorded, origin.feedback) == ([gone.id], Feedback(rows=4, people=2, items=3))
    assert Graph.read(store).of_feedback("f4").unrecorded == [gone.id]


def test_datasets_of_earlier_versions_have_no_recorded_sources(store: ArtifactStore) -> None:
    def write(folder: Path) -> Outcome:
        pq.write_table(pa.table({"example_id": ["e1"], "feedback_id": ["f1"]}), folder / "sources.parquet")
        return Outcome()

    without = make(store, "dpo_dataset")
    first_version = store.make(Plan("sft_dataset", [], {}), write).artifact
    model = make(store, "dpo_model", without, first_version)
    origin = origin_of(store, model, items=9)
    assert origin.unrecorded == sorted([without.id, first_version.id])
    assert (origin.feedback, origin.items) == (Feedback(rows=0, people=0, items=0), {})
    trace = Graph.read(store).of_feedback("f1")
    assert (trace.held_by, trace.unrecorded) == ([], origin.unrecorded)


def test_one_unreadable_manifest_does_not_hide_the_rest(store: ArtifactStore, trained: Round) -> None:
    (trained.pairs.path / "manifest.json").write_text("{")
    origin = origin_of(store, trained.dpo)
    assert origin.node(trained.pairs.id).state == "unreadable"
    assert origin.feedback == Feedback(rows=5, people=3, items=5)


def test_what_was_made_again_with_other_content_is_marked(store: ArtifactStore, trained: Round) -> None:
    def write(folder: Path) -> Outcome:
        (folder / "README.md").write_text("other weights")
        return Outcome()

    manifest = trained.sft.manifest
    store.make(
        Plan("sft_model", [trained.base, trained.sft_dataset], manifest.config, manifest.seed), write, force=True
    )
    states = {node.asset: node.state for node in origin_of(store, trained.dpo).nodes}
    assert states.pop("sft_model") == "remade"
    assert set(states.values()) == {"present"}


def test_times_in_service(store: ArtifactStore, trained: Round) -> None:
    service = ChampionFile(store)
    service.promote(trained.sft.id, by="person", in_place_of=None)
    service.promote(trained.dpo.id, by="person", in_place_of=trained.sft.id)
    history = service.roll_back().history
    nodes = Graph.read(store).nodes
    assert [(reign.since, reign.until) for reign in nodes[trained.sft.id].in_service] == [
        (history[0].at, history[1].at),
        (history[2].at, None),
    ]
    assert [reign.until for reign in nodes[trained.dpo.id].in_service] == [history[2].at]
    store.data.champion.write_text(json.dumps({"id": trained.dpo.id}))
    (reign,) = Graph.read(store).nodes[trained.dpo.id].in_service
    assert (reign.since, reign.until) == (None, None)


def test_sources_of_other_models_are_not_opened(store: ArtifactStore, trained: Round) -> None:
    """A file that is no Parquet is told only to who needs it."""
    spoilt = make_dataset(store, "dpo_dataset", [("p9", "f9", None, "chosen")])
    model = make(store, "dpo_model", spoilt)
    (spoilt.path / "sources.parquet").write_bytes(b"not Parquet")
    assert origin_of(store, trained.dpo).feedback is not None
    with pytest.raises(GalileuError, match="galileu verify"):
        origin_of(store, model)


def test_a_circle_of_forged_manifests_ends(store: ArtifactStore, trained: Round) -> None:
    path = trained.sft.path / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["inputs"].append(trained.dpo.ref.model_dump())
    path.write_text(json.dumps(manifest))
    graph = Graph.read(store)
    assert trained.dpo.id in graph.ancestors(trained.sft.id)
    assert trained.sft.id not in graph.ancestors(trained.sft.id)


def test_the_tree_in_the_terminal(store: ArtifactStore, trained: Round, monkeypatch: pytest.MonkeyPatch) -> None:
    ChampionFile(store).promote(trained.dpo.id, by="rule", in_place_of=None)
    shown = galileu(store, monkeypatch, "lineage", trained.dpo.id).stdout
    assert "Behind it: 5 rows of feedback by 3 people." in shown
    assert "4 rows of feedback by 2 people · 3 items" in shown
    assert f"promoted: {trained.dpo.id}" in shown
    assert "in service since" in shown
    assert shown.index("made from") < shown.index(trained.feedback.id) < shown.index("went into")


def test_markup_in_names_is_shown_as_it_is(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = "[red]<b>x[/]\x1b[31m"
    rows: list[Row] = [(f"{strange}{number:02}", strange, strange, strange) for number in range(23)]
    model = make(store, "dpo_model", make_dataset(store, "dpo_dataset", rows))
    shown = galileu(store, monkeypatch, "lineage", model.id, "--depth", "feedback").stdout
    assert shown.count("[red]<b>x[/] [31m") == 20 * 4
    assert "… and 3 more" in shown
    whole = json.loads(galileu(store, monkeypatch, "lineage", model.id, "--depth", "feedback", "--json").stdout)
    (items,) = whole["items"].values()
    assert len(items) == 23
    assert items[0]["sources"] == [{"feedback_id": strange, "person": strange, "role": strange}]
    assert "[red]<b>x[/] [31m" in galileu(store, monkeypatch, "lineage", "--feedback", strange).stdout


def test_a_person_is_found_by_their_own_id(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    pseudonym = Pseudonyms.of_folder(store.data).of("ana")
    dataset = make_dataset(store, "dpo_dataset", [("p1", "f1", pseudonym, "chosen")])
    model = make(store, "dpo_model", dataset)
    for who in ("ana", pseudonym):
        found = json.loads(galileu(store, monkeypatch, "lineage", "--user", who, "--json").stdout)
        assert found["of"] == pseudonym
        assert [(held["id"], held["items"], held["rows"]) for held in found["held_by"]] == [(dataset.id, 1, 1)]
        assert [node["id"] for node in found["made_from"]] == [model.id]
    assert "No dataset holds anything" in galileu(store, monkeypatch, "lineage", "--user", "bia").stdout


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dpo_model", "--user", "ana"],
        ["--user", "ana", "--feedback", "f1"],
        ["--user", "ana", "--mermaid"],
        ["--feedback", "f1", "--depth", "feedback"],
        ["dpo_model", "--json", "--mermaid"],
    ],
)
def test_what_does_not_go_together(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    assert isinstance(galileu(store, monkeypatch, "lineage", *arguments).exception, InputError)


def test_a_dataset_of_hand_written_examples_alone(store: ArtifactStore) -> None:
    origin = origin_of(store, make_dataset(store, "sft_dataset", []), items=9)
    assert (origin.feedback, origin.unrecorded) == (Feedback(rows=0, people=0, items=0), [])


def test_questions_about_lineage_start_light() -> None:
    code = (
        "import sys, galileu_pipeline.cli, galileu_pipeline.cli.lineage_views, galileu_pipeline.lineage.origin_page;"
        "heavy = ('numpy', 'scipy', 'pyarrow', 'dagster', 'torch', 'datasets', 'matplotlib');"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
