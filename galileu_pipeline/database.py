"""Every connection to DuckDB is made here, so that nothing hangs on the time zone of the machine."""

import atexit
from functools import cache

import duckdb


def connect(
    path: str = ":memory:", *, external_access: bool = True, locked: bool = False, memory_limit: str | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection to an engine of its own, whose times are UTC: a time with an offset is the same everywhere.

    Args:
        path: the database file; one in memory where nothing is said.
        external_access: whether SQL may open other files.
        locked: nothing of the configuration can be changed afterwards, by SQL from wherever.
        memory_limit: as DuckDB writes it, such as "512MB".
    """
    config: dict[str, str | bool | int | float | list[str]] = {"enable_external_access": external_access}
    if memory_limit is not None:
        config["memory_limit"] = memory_limit
    connection = duckdb.connect(path, config=config)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")  # a setting of an extension, not known at the time of connecting
    if locked:
        connection.execute("SET GLOBAL lock_configuration = true")
    return connection


def in_memory() -> duckdb.DuckDBPyConnection:
    """A connection in memory, with up to 512 MB for all of them together.

    They share an engine, since starting one takes longer than reading a small file does; views, temporary tables and
    variables are each connection's own. Settings are not: what changes them needs `connect`.
    """
    return _engine().cursor()


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    atexit.register(_engine.cache_clear)  # while there still is an interpreter to take it down
    return connect(locked=True, memory_limit="512MB")
