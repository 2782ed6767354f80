"""Sensors: one run for each state of the data, whatever is repeated, restarted or lost."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.storage.tags import WILL_RETRY_TAG

from galileu_pipeline.automation.news import News, news
from galileu_pipeline.automation.sensors import make_sensors
from galileu_pipeline.automation.triggers import NEWS_TAG
from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.evaluation.statistics import proportion
from galileu_pipeline.feedback.collection.collector import FeedbackCollector
from galileu_pipeline.feedback.ingestion.changes import record_import
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Outcome, Plan
from galileu_pipeline.profiles.automation import AutomationSettings, Threshold
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import StorageResource
from galileu_pipeline_tests.feedback.conftest import PSEUDONYMS

Answer = dg.RunRequest | dg.SkipReason


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Daemon:
    """Does with a sensor's answer what Dagster's daemon does: a run for a new key, none for one it knows."""

    def __init__(self, sensor: str, instance: dg.DagsterInstance, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GALILEU_DATA_DIR", str(data))
        sensors = {
            made.name: made for made in make_sensors(AutomationSettings(dpo=Threshold(first=500, retrain_every=500)))
        }
        self.sensor = sensors[sensor]
        self.instance = instance
        self.storage = StorageResource(profile=ProfileResource(name="tiny"))
        self.keys: set[str] = set()

    def look(self) -> Answer:
        with dg.build_sensor_context(instance=self.instance, resources={"storage": self.storage}) as context:
            answer = self.sensor(context)
        assert isinstance(answer, dg.RunRequest | dg.SkipReason)
        return answer

    def tick(self) -> str:
        """The new run's id, or why there is none."""
        answer = self.look()
        if isinstance(answer, dg.SkipReason):
            return str(answer.skip_message)
        assert answer.run_key is not None
        if answer.run_key in self.keys:
            return "known key"
        self.keys.add(answer.run_key)
        run = DagsterRun(job_name=self.sensor.job_name, tags=dict(answer.tags), status=dg.DagsterRunStatus.STARTED)
        self.instance.add_run(run)
        return run.run_id

    def end(self, run_id: str, status: dg.DagsterRunStatus) -> None:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        event = {
            dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.RUN_SUCCESS,
            dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.RUN_FAILURE,
            dg.DagsterRunStatus.CANCELED: dg.DagsterEventType.RUN_CANCELED,
        }[status]
        from dagster._core.events import DagsterEvent

        self.instance.report_dagster_event(DagsterEvent(event.value, run.job_name), run_id)

    @property
    def runs(self) -> int:
        return len(self.instance.get_runs(dg.RunsFilter(job_name=self.sensor.job_name)))

    def re_execute(self, run_id: str) -> str:
        """What Dagster does at a click, and its daemon after a crash: a run with the tags of the one before."""
        before = self.instance.get_run_by_id(run_id)
        assert before is not None
        run = DagsterRun(
            job_name=before.job_name,
            tags=dict(before.tags),
            status=dg.DagsterRunStatus.STARTED,
            root_run_id=run_id,
            parent_run_id=run_id,
        )
        self.instance.add_run(run)
        return run.run_id


def pairs_now(data: Path, pairs: int, **metrics: Any) -> None:
    store = ArtifactStore(DataFolder(data), "tiny")
    found = {"pairs": pairs, **metrics}
    made = store.make(Plan("preference_pairs", [], found), lambda folder: Outcome(metrics=found))
    store.set_current(made.artifact)


@pytest.fixture
def dpo(instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Daemon:
    return Daemon("dpo_sensor", instance, tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("count", "level"), [(0, None), (499, None), (500, 500), (999, 500), (1000, 1000), (1749, 1500)]
)
def test_levels(count: int, level: int | None) -> None:
    assert Threshold(first=500, retrain_every=500).level(count) == level


def test_it_tells_how_many_are_missing(dpo: Daemon, tmp_path: Path) -> None:
    assert dpo.tick() == "0 of 500 pairs"
    pairs_now(tmp_path, 412)
    assert dpo.tick() == "412 of 500 pairs"
    assert dpo.runs == 0


@pytest.mark.slow
def test_one_run_a_threshold(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    first = dpo.tick()
    assert "is under way" in dpo.tick()
    dpo.end(first, dg.DagsterRunStatus.SUCCESS)
    for pairs in [500] * 100 + [501, 730, 999]:
        pairs_now(tmp_path, pairs)
        assert "1,000 pairs for the next training" in dpo.tick()
    assert dpo.runs == 1
    pairs_now(tmp_path, 1000)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    assert dpo.runs == 2
    pairs_now(tmp_path, 700)  # somebody's feedback was erased
    dpo.tick()
    pairs_now(tmp_path, 1100)
    dpo.tick()
    assert dpo.runs == 2


def test_many_pairs_at_once_are_one_run(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 1749)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    dpo.tick()
    assert dpo.runs == 1


def test_a_crash_before_the_tick_was_recorded_starts_nothing_twice(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    before = dpo.look()
    dpo.tick()
    assert isinstance(before, dg.RunRequest)
    assert before.run_key in dpo.keys  # asked for again, it would be a key that is known
    assert isinstance(dpo.look(), dg.SkipReason)


def test_a_failed_run_is_tried_again_on_other_data_only(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.FAILURE)
    assert "failed. It is tried again with further feedback" in dpo.tick()
    pairs_now(tmp_path, 501)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    dpo.tick()
    assert dpo.runs == 2


def test_an_interrupted_run_is_left_to_dagster(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    killed = dpo.tick()
    dpo.end(killed, dg.DagsterRunStatus.FAILURE)
    dpo.instance.add_run_tags(killed, {WILL_RETRY_TAG: "true"})
    pairs_now(tmp_path, 501)
    assert "Dagster starts it again" in dpo.tick()
    dpo.end(dpo.re_execute(killed), dg.DagsterRunStatus.SUCCESS)
    assert "for the next training" in dpo.tick()
    assert dpo.runs == 2


def test_re_executing_an_older_run_starts_no_threshold_again(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    first = dpo.tick()
    dpo.end(first, dg.DagsterRunStatus.SUCCESS)
    pairs_now(tmp_path, 1000)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    dpo.end(dpo.re_execute(first), dg.DagsterRunStatus.SUCCESS)
    dpo.tick()
    assert dpo.runs == 3


def test_another_data_folder_has_thresholds_of_its_own(
    dpo: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs_now(tmp_path, 2000)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    other = Daemon("dpo_sensor", dpo.instance, tmp_path / "other", monkeypatch)
    pairs_now(tmp_path / "other", 500)
    other.tick()
    assert dpo.runs == 2


def test_whoever_cancels_a_run_is_not_overruled(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500)
    dpo.end(dpo.tick(), dg.DagsterRunStatus.CANCELED)
    pairs_now(tmp_path, 501)
    dpo.tick()
    assert dpo.runs == 1


def test_new_feedback_is_seen_once(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon("feedback_sensor", instance, tmp_path, monkeypatch)
    assert "No feedback yet" in daemon.tick()
    collector = FeedbackCollector(tmp_path / "feedback" / "feedback.db", PSEUDONYMS)
    for number, click in enumerate(
        [
            lambda: collector.add_feedback("q", "r", rating=5),
            lambda: collector.add_preference("q", "a", "b"),
            lambda: collector.add_comparison("q", "a", "b", "tie"),
            lambda: record_import(DataFolder(tmp_path)),
        ],
        start=1,
    ):
        click()
        daemon.end(daemon.tick(), dg.DagsterRunStatus.SUCCESS)
        for _ in range(3):
            assert "Nothing new" in daemon.tick()
        assert daemon.runs == number


def test_clicks_during_a_refresh_wait_for_the_next(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon("feedback_sensor", instance, tmp_path, monkeypatch)
    collector = FeedbackCollector(tmp_path / "feedback" / "feedback.db", PSEUDONYMS)
    collector.add_feedback("q", "r", rating=5)
    first = daemon.tick()
    collector.add_feedback("q", "r", rating=4)
    assert "under way" in daemon.tick()
    daemon.end(first, dg.DagsterRunStatus.SUCCESS)
    daemon.tick()
    assert daemon.runs == 2


def test_a_file_that_is_no_database_is_named(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon("feedback_sensor", instance, tmp_path, monkeypatch)
    (tmp_path / "feedback").mkdir()
    (tmp_path / "feedback" / "feedback.db").write_text("not a database, surely")
    assert "cannot be read as SQLite" in daemon.tick()


def test_a_file_put_in_its_place_is_noticed(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon("feedback_sensor", instance, tmp_path, monkeypatch)
    database = tmp_path / "feedback" / "feedback.db"
    database.parent.mkdir()
    for path in (database, tmp_path / "other.db"):
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE feedback (query TEXT, response TEXT)")
            connection.execute("INSERT INTO feedback VALUES ('q', ?)", (path.name,))
    daemon.end(daemon.tick(), dg.DagsterRunStatus.SUCCESS)
    (tmp_path / "other.db").replace(database)
    daemon.tick()
    assert daemon.runs == 2


def agreement(agreeing: int, compared: int) -> dict[str, int]:
    return {"agreeing": agreeing, "compared": compared}


def test_a_run_says_what_is_new(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500, questions=300, agreement=agreement(90, 100))
    first = dpo.look()
    assert isinstance(first, dg.RunRequest)
    told = first.tags[NEWS_TAG]
    assert told.startswith("500 new pairs, 300 new questions; people who chose between the same answers agree in 0.900")
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    pairs_now(tmp_path, 1000, questions=350, agreement=agreement(90, 100))
    second = dpo.look()
    assert isinstance(second, dg.RunRequest)
    assert second.tags[NEWS_TAG] == "500 new pairs, 50 new questions; no two people chose between the same answers"


def test_where_new_raters_agree_by_chance_it_asks_for_people(dpo: Daemon, tmp_path: Path) -> None:
    pairs_now(tmp_path, 500, questions=300, agreement=agreement(900, 1000))
    dpo.end(dpo.tick(), dg.DagsterRunStatus.SUCCESS)
    pairs_now(tmp_path, 1000, questions=600, agreement=agreement(950, 1100))  # 50 of the new 100
    for _ in range(3):
        assert "people are needed more than a GPU" in dpo.tick()
    assert dpo.runs == 1
    pairs_now(tmp_path, 1010, questions=605, agreement=agreement(1050, 1220))  # 150 of 220
    dpo.tick()
    assert dpo.runs == 2


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [
        ((10, 5, 3, 4), None, (10, 5, 4)),
        ((10, 5, 3, 4), (4, 2, 1, 1), (6, 3, 3)),
        ((4, 2, 1, 1), (10, 5, 3, 4), (4, 2, 1)),  # some was erased: all that is left is news
        ((10, 5, 0, 0), (4, 2, 0, 0), (6, 3, None)),
    ],
)
def test_news(
    tmp_path: Path, now: tuple[int, ...], before: tuple[int, ...] | None, expected: tuple[int, int, int | None]
) -> None:
    def made(counts: tuple[int, ...]) -> Artifact:
        pairs_now(tmp_path, counts[0], questions=counts[1], agreement=agreement(*counts[2:]))
        return ArtifactStore(DataFolder(tmp_path), "tiny").current("preference_pairs")

    found = news(made(now), made(before) if before else None)
    assert (found.pairs, found.questions, found.agreement.n if found.agreement else None) == expected


def test_few_opinions_say_nothing() -> None:
    assert not News(pairs=1, questions=1, agreement=proportion(10, 20)).at_chance(50)
    assert News(pairs=1, questions=1, agreement=proportion(30, 60)).at_chance(50)
    assert not News(pairs=1, questions=1, agreement=proportion(45, 60)).at_chance(50)


def test_ppo_is_off_until_somebody_starts_it() -> None:
    status = {made.name: made.default_status for made in make_sensors(AutomationSettings())}
    assert status.pop("ppo_sensor") == dg.DefaultSensorStatus.STOPPED
    assert set(status.values()) == {dg.DefaultSensorStatus.RUNNING}
    assert json.dumps(AutomationSettings().model_dump())  # what the manifest may keep is plain JSON
