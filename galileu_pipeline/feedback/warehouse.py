"""The DuckDB file: opened for short moments, by one process at a time.

DuckDB lets nobody else open a file that one process writes, not even to read. So every use goes through `open`, which
waits for a lock file, and long-lived readers use the snapshots that assets leave behind instead.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from galileu_pipeline.errors import WarehouseBusyError
from galileu_pipeline.feedback.statements import sql


class Warehouse:
    """DuckDB at `path`. External access is off and the configuration is locked: SQL can reach no other file.

    What does not fit `memory_limit` goes to a temporary folder beside the file.
    """

    def __init__(self, path: Path, lock_timeout_s: float = 60.0, memory_limit: str = "700MB") -> None:
        self.path = path
        self.lock_timeout_s = lock_timeout_s
        self.memory_limit = memory_limit

    @contextmanager
    def open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the whole schema; all writes are committed together at the end, or none is.

        Raises:
            WarehouseBusyError: another process held the file for `lock_timeout_s` seconds.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{self.path}.lock")
        try:
            lock.acquire(timeout=self.lock_timeout_s)
        except Timeout:
            raise WarehouseBusyError(
                f"{self.path} was in use by another process for {self.lock_timeout_s:.0f} s. "
                "Wait for the running materialization to end (see the Runs page of the Dagster UI), then try again."
            ) from None
        try:
            with duckdb.connect(
                str(self.path),
                config={
                    "enable_external_access": "false",
                    "lock_configuration": "true",
                    "memory_limit": self.memory_limit,
                },
            ) as connection:
                connection.begin()
                connection.execute(sql("create_schema"))
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.commit()
        finally:
            lock.release()
