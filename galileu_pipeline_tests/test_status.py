"""One look says how things stand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from typer.testing import CliRunner

from galileu_pipeline.automation import instance as instance_module
from galileu_pipeline.cli import app
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.profiles.automation import AutomationSettings
from galileu_pipeline.status import look


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(DataFolder(tmp_path / "data"), "tiny")


def put(store: ArtifactStore, asset: str, **metrics: object) -> Artifact:
    made = store.make(Plan(asset, [], {"profile": "tiny", **metrics}), lambda folder: Outcome(metrics=metrics)).artifact
    store.set_current(made)
    return made


def test_before_anything_has_happened(store: ArtifactStore, instance: dg.DagsterInstance) -> None:
    found = look(store, instance, AutomationSettings())
    assert (found.champion, found.candidates, found.last, found.unfinished) == (None, [], [], [])
    assert [(one.what, one.count, one.next_at) for one in found.progress] == [
        ("pairs", 0, 500),
        ("interactions", 0, 10_000),
    ]
    assert found.disk_free_gb > 0


@pytest.mark.parametrize(("pairs", "next_at"), [(0, 500), (499, 500), (500, 1000), (999, 1000), (1234, 1500)])
def test_how_far_the_next_training_is(
    store: ArtifactStore, instance: dg.DagsterInstance, pairs: int, next_at: int
) -> None:
    put(store, "preference_pairs", pairs=pairs)
    assert look(store, instance, AutomationSettings()).progress[0].next_at == next_at


def test_who_is_in_service_and_since_when(store: ArtifactStore, instance: dg.DagsterInstance) -> None:
    base = put(store, "base_model")
    found = look(store, instance, AutomationSettings())
    assert (found.champion, found.champion_since) == (base.id, None)
    dpo = put(store, "dpo_model")
    ChampionFile(store).promote(dpo.id, by="person", in_place_of=None)
    found = look(store, instance, AutomationSettings())
    assert (found.champion, found.candidates) == (dpo.id, [dpo.id])
    assert found.champion_since is not None


@dg.op
def wobbly(fails: bool) -> None:
    if fails:
        raise dg.Failure("votes.csv, row 3: no rating. Add one.")


@dg.job
def shaky() -> None:
    wobbly()


def config_of(*, fails: bool) -> dict[str, Any]:
    return {"ops": {"wobbly": {"inputs": {"fails": fails}}}}


def run(instance: dg.DagsterInstance, *, fails: bool) -> Any:
    return shaky.execute_in_process(instance=instance, run_config=config_of(fails=fails), raise_on_error=False)


def test_why_a_run_failed(store: ArtifactStore, instance: dg.DagsterInstance) -> None:
    failed, well = run(instance, fails=True), run(instance, fails=False)
    instance.create_run_for_job(shaky, run_config=config_of(fails=False), status=dg.DagsterRunStatus.STARTED)
    found = look(store, instance, AutomationSettings())
    assert [(line.id, line.status) for line in found.last] == [(well.run_id, "success"), (failed.run_id, "failure")]
    assert [line.cause for line in found.last] == [None, "wobbly: votes.csv, row 3: no rating. Add one."]
    assert [(line.job, line.status) for line in found.unfinished] == [("shaky", "started")]


def test_the_command_says_it_in_one_screen(
    store: ArtifactStore, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(store.data.root))
    monkeypatch.setenv("GALILEU_PROFILE", "tiny")
    monkeypatch.setattr(instance_module, "open_instance", lambda: (instance, []))
    runner = CliRunner()
    assert "none yet: `galileu demo`" in runner.invoke(app, ["status"]).output
    put(store, "base_model")
    put(store, "preference_pairs", pairs=412)
    run(instance, fails=True)
    said = runner.invoke(app, ["status"])
    assert said.exit_code == 0, said.output
    assert "412 pairs, the next training at 500" in said.output
    assert len(said.output.splitlines()) < 25
