"""What Dagster remembers of runs: the pages of assets show samples and tables, in which people's texts may stand."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from dagster import DagsterInstance
from dagster._core.storage.event_log import SqliteEventLogStorage


def forget_runs(instance: DagsterInstance, run_ids: Iterable[str]) -> list[str]:
    """Delete runs that are over: their events, the metadata that asset pages show of them, and their logs.

    Where events are kept in SQLite, no byte of them is left.

    Returns: the ids of those runs.
    """
    runs = [run for run_id in run_ids if (run := instance.get_run_by_id(run_id)) and run.is_finished]
    for run in runs:
        instance.delete_run(run.run_id)
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
    storage = instance.event_log_storage
    if runs and isinstance(storage, SqliteEventLogStorage):
        index = Path(storage.path_for_shard("index"))
        for run in runs:
            for path in index.parent.glob(f"{run.run_id}.db*"):
                path.unlink()
        with closing(sqlite3.connect(index, timeout=60)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return [run.run_id for run in runs]
