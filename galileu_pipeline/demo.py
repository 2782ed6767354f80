"""The demonstration: sample feedback if there is none, then the whole job, watched while it runs."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from dagster import DagsterEventType, DagsterInstance, EventLogEntry, RunsFilter

from galileu_pipeline.automation.notifications import cause
from galileu_pipeline.data_folder import PROJECT_ROOT, DataFolder
from galileu_pipeline.errors import GalileuError

JOB = "retrain_all"
POLL_S = 0.5
_TAG = "galileu/demo"

Say = Callable[[str], None]


def prepare_feedback(data: DataFolder, say: Say) -> None:
    """Build the sample where there is no feedback yet; what people clicked, or what was imported, is used as it is."""
    if data.feedback_db.exists() or data.warehouse.exists():
        say(f"Using the feedback in {data.root}")
        return
    builder = PROJECT_ROOT / "data" / "sample" / "build_feedback.py"
    if not builder.is_file():
        raise GalileuError(f"The sample's builder is not at {builder}; run the demo from a clone of the repository.")
    done = subprocess.run([sys.executable, builder, data.feedback_db], check=True, capture_output=True, text=True)
    say(done.stdout.strip())


def run_job(instance: DagsterInstance, done: Say, doing: Say) -> None:
    """Run the job through Dagster's command line and tell what happens.

    Args:
        instance: where the run is recorded.
        done: told of every finished asset and check.
        doing: told what is going on at the moment.

    Raises:
        GalileuError: the run failed; names the step and its error.
    """
    mark = uuid.uuid4().hex
    log = Path(os.environ["GALILEU_DAGSTER_STATE"]) / "demo.log"
    command = [
        *(sys.executable, "-m", "dagster", "job", "execute", "--module-name", "galileu_pipeline.definitions"),
        *("--job", JOB, "--tags", f'{{"{_TAG}": "{mark}"}}'),
    ]
    failures = []
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            for entry in _events(instance, mark, process):
                if line := _finished(entry):
                    done(line)
                elif entry.dagster_event_type == DagsterEventType.STEP_FAILURE:
                    failures.append(_failure(entry))
                elif entry.dagster_event is None and entry.step_key and not entry.user_message.startswith("[pipes]"):
                    doing(entry.user_message)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode != 0:
        raise GalileuError("\n".join([*failures, f"The run failed. Its whole log: {log}"]))


def _events(instance: DagsterInstance, mark: str, process: subprocess.Popen[bytes]) -> Iterator[EventLogEntry]:
    """The events of the run with our tag, as they come, until the process has ended and all are read."""
    run_id, cursor = None, None
    while True:
        ended = process.poll() is not None
        if run_id is None:
            runs = instance.get_runs(RunsFilter(tags={_TAG: mark}), limit=1)
            run_id = runs[0].run_id if runs else None
        if run_id is not None:
            page = instance.get_records_for_run(run_id, cursor=cursor)
            cursor = page.cursor
            yield from (record.event_log_entry for record in page.records)
        if ended:
            return
        time.sleep(POLL_S)


def _finished(entry: EventLogEntry) -> str | None:
    if entry.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION:
        materialization = entry.asset_materialization
        assert materialization is not None
        metadata = {name: value.value for name, value in materialization.metadata.items()}
        note = " (reused: nothing changed)" if metadata.get("reused") else ""
        return f"✓ {materialization.asset_key.to_user_string():<19} {metadata.get('artifact', '')}{note}"
    if entry.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION:
        assert entry.dagster_event is not None
        check = entry.dagster_event.asset_check_evaluation_data
        sign = "✓" if check.passed else "✗" if check.blocking else "!"
        return f"  {sign} {check.check_name}{f': {check.description}' if check.description else ''}"
    return None


def _failure(entry: EventLogEntry) -> str:
    assert entry.dagster_event is not None
    return f"{entry.step_key}: {cause(entry.dagster_event)}"
