"""The lineage as OpenLineage events."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import pytest
from openlineage.client.event_v2 import RunEvent
from typer.testing import CliRunner

from galileu_pipeline.cli.console import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import GalileuError, MissingArtifactError, SettingsError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.lineage.openlineage import as_lines, emit, run_events

RUN = RunInfo(dagster_run_id="6c1c5d1c-8a4b-4f0e-9d4e-0f2f7d9b7a11", job="train_dpo")
SECRET = "hf_thisIsNoRealToken0123456789"
ACCURACY = {"value": 0.625, "low": 0.503, "high": 0.736, "n": 72}


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path / "home" / "galileu-data"), "tiny")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Also afterwards: the client writes some of what it read under other names into the environment."""
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("OPENLINEAGE")}
    with mock.patch.dict(os.environ, elsewhere, clear=True):
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        yield
        monkeypatch.undo()


def make(store: ArtifactStore, asset: str, *inputs: Artifact, run: RunInfo | None = RUN, **metrics: object) -> Artifact:
    config = {"path": "/home/somebody/weights", "token": SECRET, "system_prompt": "Você é Galileu."}
    return store.make(Plan(asset, inputs, config, 7), lambda folder: Outcome(metrics=metrics), run=run).artifact


@pytest.fixture
def chain(store: ArtifactStore) -> list[Artifact]:
    """All made within a second or two, so that their times alone do not order them."""
    pairs = make(store, "preference_pairs", train=80, test=20, set_aside={"a1b2c3person": 4})
    dataset = make(store, "dpo_dataset", pairs, train=80, test=20)
    base = make(store, "base_model", run=RunInfo(dagster_run_id="by hand", job="j"), parameters=135)
    model = make(store, "dpo_model", base, dataset, preference_accuracy={"dpo_model": ACCURACY}, kl_target=None)
    make(store, "feedback_analytics")
    return [pairs, dataset, base, model]


def as_json(events: list[RunEvent]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in as_lines(events).splitlines()]


def artifact_of(event: dict[str, Any]) -> str:
    return event["run"]["facets"]["galileu_record"]["artifact"]


def test_one_with_all_it_was_made_from_the_oldest_first(store: ArtifactStore, chain: list[Artifact]) -> None:
    events = as_json(run_events(store, chain[-1].id))
    ids = [artifact_of(event) for event in events]
    assert sorted(ids) == sorted(artifact.id for artifact in chain)
    seen: set[str] = set()
    for event in events:
        inputs = {item["facets"]["galileu_artifact"]["artifact"] for item in event["inputs"]}
        assert inputs <= seen
        seen.add(artifact_of(event))
    times = [event["eventTime"] for event in events]
    assert times == sorted(times)
    assert len(run_events(store)) == 5


def test_what_an_event_says(store: ArtifactStore, chain: list[Artifact]) -> None:
    event = as_json(run_events(store, chain[-1].id))[-1]
    model, dataset = chain[-1].manifest, chain[1].manifest
    assert (event["eventType"], event["job"]["namespace"], event["job"]["name"]) == ("COMPLETE", "galileu", "dpo_model")
    (output,) = event["outputs"]
    assert (output["namespace"], output["name"]) == (f"file:{store.data.root}", "models/dpo_model")
    assert output["facets"]["version"]["datasetVersion"] == model.digest
    given = {item["name"]: item["facets"]["version"]["datasetVersion"] for item in event["inputs"]}
    assert given["datasets/dpo_dataset"] == dataset.digest
    record = event["run"]["facets"]["galileu_record"]
    assert record["metrics"]["preference_accuracy.dpo_model.value"] == 0.625
    assert "kl_target" not in record["metrics"]
    assert (record["seed"], record["code"]) == (7, model.code.digest)
    parent = event["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["job"]["name"]) == (RUN.dagster_run_id, "train_dpo")
    if model.code.git_commit:
        assert event["job"]["facets"]["sourceCodeLocation"]["version"] == model.code.git_commit


def test_rows_of_datasets(store: ArtifactStore, chain: list[Artifact]) -> None:
    rows = {
        event["job"]["name"]: event["outputs"][0].get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
        for event in as_json(run_events(store))
    }
    assert rows == {
        "preference_pairs": 100,
        "dpo_dataset": 100,
        "base_model": None,
        "dpo_model": None,
        "feedback_analytics": None,
    }


def test_run_ids_are_stable_and_each_its_own(store: ArtifactStore, chain: list[Artifact]) -> None:
    """One Dagster run makes several artifacts; as runs of jobs they must differ."""
    ids = [UUID(event["run"]["runId"]) for event in as_json(run_events(store))]
    assert len(set(ids)) == 5
    assert as_lines(run_events(store)) == as_lines(run_events(store))
    by_hand = next(event for event in as_json(run_events(store)) if event["job"]["name"] == "base_model")
    assert "parent" not in by_hand["run"]["facets"]


def test_every_facet_says_where_its_schema_is(store: ArtifactStore, chain: list[Artifact]) -> None:
    def facets(value: object) -> list[dict[str, Any]]:
        if isinstance(value, list):
            return [facet for item in value for facet in facets(item)]
        if not isinstance(value, dict):
            return []
        own = [value] if "_producer" in value else []
        return own + [facet for item in value.values() for facet in facets(item)]

    events = as_json(run_events(store))
    found = [facet for event in events for facet in facets(event)]
    assert len(found) > 20
    assert {facet["_producer"] for facet in found} == {event["producer"] for event in events}
    assert all(facet["_schemaURL"].startswith("https://openlineage.io/spec/") for facet in found)


def test_no_text_secret_person_or_path_goes_along(store: ArtifactStore, chain: list[Artifact], tmp_path: Path) -> None:
    told = as_lines(run_events(store, namespace="galileu-production"))
    for private in (SECRET, "/home/somebody", "Você", "a1b2c3person", str(tmp_path), str(Path.home())):
        assert private not in told
    assert '"namespace": "galileu-production"' in told


def test_an_unknown_artifact(store: ArtifactStore) -> None:
    with pytest.raises(MissingArtifactError):
        run_events(store, "dpo_model-000000000000")
    assert run_events(store) == []


def test_ancestors_that_are_gone_and_one_that_cannot_be_read(store: ArtifactStore, chain: list[Artifact]) -> None:
    pairs, dataset, _, model = chain
    shutil.rmtree(pairs.path)
    assert len(run_events(store, model.id)) == 3
    assert len(run_events(store)) == 4
    (dataset.path / "manifest.json").write_text("{")
    for artifact_id in (model.id, None):
        with pytest.raises(GalileuError, match=dataset.id):
            run_events(store, artifact_id)


def test_emission_through_the_clients_file_transport(
    store: ArtifactStore, chain: list[Artifact], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "events.jsonl"
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "file")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__LOG_FILE_PATH", str(log))
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__APPEND", "true")
    events = run_events(store)
    assert emit(events) == "file"
    sent = [json.loads(line) for line in log.read_text().splitlines()]
    assert [artifact_of(event) for event in sent] == [artifact_of(event) for event in as_json(events)]


@pytest.fixture
def receiver() -> Iterator[ThreadingHTTPServer]:
    """Answers 401 where the key is not `good`; keeps the artifacts of the events, in order, as `heard`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            allowed = self.path == "/api/v1/lineage" and self.headers["Authorization"] == "Bearer good"
            if allowed:
                heard.append(artifact_of(event))
            self.send_response(201 if allowed else 401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    heard: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.heard = heard  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("key", ["good", SECRET])
def test_a_receiver_over_http(
    store: ArtifactStore,
    chain: list[Artifact],
    monkeypatch: pytest.MonkeyPatch,
    receiver: ThreadingHTTPServer,
    key: str,
) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{receiver.server_port}")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", key)
    done = CliRunner().invoke(app, ["openlineage", chain[-1].id, "--json"])
    if key == "good":
        assert json.loads(done.stdout) == {"events": 4, "to": "http"}
        assert receiver.heard[-1] == chain[-1].id  # type: ignore[attr-defined]
        assert len(receiver.heard) == 4  # type: ignore[attr-defined]
    else:
        assert isinstance(done.exception, GalileuError)
        assert "took 0 of 4" in str(done.exception)
        assert SECRET not in done.output + str(done.exception)


def test_without_a_receiver(store: ArtifactStore, chain: list[Artifact], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"OPENLINEAGE_URL.*--output"):
        emit(run_events(store))
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENLINEAGE_DISABLED", "true")
    with pytest.raises(SettingsError, match="OPENLINEAGE_DISABLED"):
        emit(run_events(store))


def test_a_receiver_that_does_not_answer(
    store: ArtifactStore, chain: list[Artifact], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", f"http://user:{SECRET}@127.0.0.1:9")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
    with pytest.raises(GalileuError, match="took 0 of 5") as caught:
        emit(run_events(store))
    assert SECRET not in str(caught.value)
    assert SECRET not in "".join(capfd.readouterr())


def test_the_command_writes_a_file(
    store: ArtifactStore, chain: list[Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    done = CliRunner().invoke(app, ["openlineage", chain[-1].id, "--output", "events.jsonl", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"events": 4, "to": "events.jsonl"}
    assert len(Path("events.jsonl").read_text().splitlines()) == 4
