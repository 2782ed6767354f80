"""How things stand, in one look: what ran, what waits for what, who is in service, how far the next training is."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter
from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.automation.notifications import cause
from galileu_pipeline.automation.triggers import FINISHED, UNFINISHED
from galileu_pipeline.evaluation.stages import CANDIDATES
from galileu_pipeline.feedback.ingestion.inbox import Inbox
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile, in_service
from galileu_pipeline.profiles.automation import AutomationSettings, Threshold

_RUNS = 5
_GIB = 1024**3


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class RunLine(_Record):
    """A run of the chain; `cause` says why it failed."""

    id: str
    job: str
    status: str
    started: datetime | None
    ended: datetime | None
    cause: str | None = None


class Progress(_Record):
    """How far the next training by count is."""

    what: str
    count: int
    next_at: int


class Status(_Record):
    """All of it."""

    profile: str
    champion: str | None = Field(description="None where no model was made yet")
    champion_since: datetime | None
    candidates: list[str] = Field(description="the current models that could serve")
    progress: list[Progress]
    inbox: int = Field(description="files that wait to be imported")
    unfinished: list[RunLine]
    last: list[RunLine]
    disk_free_gb: float
    data_gb: float


def look(store: ArtifactStore, instance: DagsterInstance, automation: AutomationSettings) -> Status:
    """How things stand for the profile of `store`. Reads manifests and Dagster's list of runs, no feedback."""
    champion = ChampionFile(store).read()
    root = store.data.root
    return Status(
        profile=store.profile,
        champion=in_service(store).id if champion.id or store.find_current("base_model") else None,
        champion_since=champion.history[-1].at if champion.history else None,
        candidates=[model.id for asset in CANDIDATES if (model := store.find_current(asset))],
        progress=[
            _progress(store, "preference_pairs", "pairs", automation.dpo),
            _progress(store, "raw_feedback", "interactions", automation.ppo),
        ],
        inbox=len(Inbox(store.data.inbox).waiting()),
        unfinished=_lines(instance, UNFINISHED),
        last=_lines(instance, FINISHED),
        disk_free_gb=round(shutil.disk_usage(root if root.exists() else root.parent).free / _GIB, 1),
        data_gb=round(sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) / _GIB, 2),
    )


def _progress(store: ArtifactStore, asset: str, metric: str, threshold: Threshold) -> Progress:
    artifact = store.find_current(asset)
    count = int(artifact.manifest.metrics.get(metric, 0)) if artifact else 0
    return Progress(what=metric, count=count, next_at=threshold.next_level(count))


def _lines(instance: DagsterInstance, states: Sequence[DagsterRunStatus]) -> list[RunLine]:
    """The latest runs in these states, the latest first."""
    records = instance.get_run_records(RunsFilter(statuses=list(states)), limit=_RUNS)
    return [_line(instance, record) for record in records]


def _line(instance: DagsterInstance, record: RunRecord) -> RunLine:
    run = record.dagster_run
    return RunLine(
        id=run.run_id,
        job="materialization" if run.job_name.startswith("__") else run.job_name,
        status=run.status.value.lower(),
        started=_time(record.start_time),
        ended=_time(record.end_time),
        cause=_cause(instance, run.run_id) if run.status == DagsterRunStatus.FAILURE else None,
    )


def _cause(instance: DagsterInstance, run_id: str) -> str | None:
    """Of the step that failed first; None where the run itself was lost."""
    failures = instance.get_records_for_run(run_id, of_type=DagsterEventType.STEP_FAILURE, limit=1).records
    event = failures[0].event_log_entry.dagster_event if failures else None
    return f"{event.step_key}: {cause(event)}" if event else None


def _time(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
