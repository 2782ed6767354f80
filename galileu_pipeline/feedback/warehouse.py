"""The DuckDB file: opened for short moments, by one process at a time.

DuckDB lets nobody else open a file that one process writes, not even to read. So every use goes through `open`, which
waits for a lock file, and long-lived readers use the snapshots that assets leave behind instead.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from filelock import FileLock, Timeout

from galileu_pipeline.database import connect
from galileu_pipeline.errors import GalileuError, WarehouseBusyError
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.files import staged


class Warehouse:
    """DuckDB at `path`. External access is off and the configuration is locked: SQL can reach no other file.

    What does not fit `memory_limit` goes to a temporary folder beside the file.
    """

    def __init__(self, path: Path, lock_timeout_s: float = 60.0, memory_limit: str = "700MB") -> None:
        self.path = path
        self.lock_timeout_s = lock_timeout_s
        self.memory_limit = memory_limit

    @contextmanager
    def open(self, *, keep: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the whole schema; all writes are committed together at the end, or none is.

        Args:
            keep: False undoes all writes at the end, to see what they would do.

        Raises:
            WarehouseBusyError: another process held the file for `lock_timeout_s` seconds.
            GalileuError: the file was made by a version that is too old.
        """
        with (
            self._turn(),
            connect(str(self.path), external_access=False, locked=True, memory_limit=self.memory_limit) as connection,
        ):
            schema = sql("create_schema")
            made_by, digest = _made_by(connection), hashlib.sha256(schema.encode()).hexdigest()
            connection.begin()
            if made_by != digest:
                self._bring_up_to_date(connection, schema, digest)
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            if keep:
                connection.commit()
            else:
                connection.rollback()

    def rewrite(self) -> None:
        """Copy all that is in the file into a new one, which takes its place.

        DuckDB keeps the bytes of deleted rows in the file until others are written over them; here they are gone.

        Raises:
            WarehouseBusyError: as `open`.
        """
        with (
            self._turn(),
            staged(self.path) as copy,
            connect(memory_limit=self.memory_limit) as both,
        ):
            both.execute(f"ATTACH '{_quoted(self.path)}' AS old")  # to write, so that its log is emptied
            both.execute(f"ATTACH '{_quoted(copy)}' AS new")
            both.execute("COPY FROM DATABASE old TO new")
            both.execute("DETACH new")
            both.execute("DETACH old")

    def _bring_up_to_date(self, connection: duckdb.DuckDBPyConnection, schema: str, digest: str) -> None:
        """Create what `schema` names, in a new file or in one that was made by another text."""
        types = {(table, name): kind for table, name, kind in connection.execute(sql("select_columns")).fetchall()}
        if types.get(("feedback", "query_key")) == "VARCHAR":
            if ("feedback_comparisons", "response_left_digest") not in types:
                raise GalileuError(
                    f"{self.path} was made by a version that is too old to be read. Move it away, materialize "
                    "raw_feedback, and import your files again; the chatbot's file and these hold all that was in it."
                )
            connection.execute(sql("migrate_text_keys"))
        if types.get(("feedback", "row_digest")) == "VARCHAR":
            connection.execute(sql("migrate_row_digests"))
        connection.execute(schema)
        connection.execute("DELETE FROM schema_text")
        connection.execute("INSERT INTO schema_text VALUES ($digest)", {"digest": digest})

    @contextmanager
    def _turn(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self.path}.lock", timeout=self.lock_timeout_s):
                yield
        except Timeout:
            raise WarehouseBusyError(
                f"{self.path} was in use by another process for {self.lock_timeout_s:.0f} s. "
                "Wait for the running materialization to end (see the Runs page of the Dagster UI), then try again."
            ) from None
        except duckdb.IOException as error:
            # Programs that know nothing of the lock file, such as the DuckDB shell.
            if "Could not set lock" not in str(error):
                raise
            raise WarehouseBusyError(
                f"{self.path} is busy: another program, such as the DuckDB shell, has it open. Close it there, then "
                "try again."
            ) from error


def _made_by(connection: duckdb.DuckDBPyConnection) -> str | None:
    """The digest of the text that the file was made by; None of a new file, or one of before there were digests."""
    try:  # to look for it in the catalog takes twenty times as long, since that works out every view
        rows = connection.execute("FROM schema_text").fetchall()
    except duckdb.CatalogException:
        return None
    return str(rows[0][0]) if rows else None


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
