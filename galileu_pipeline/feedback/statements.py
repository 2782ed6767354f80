"""The SQL of this package: one purpose a file, in the folder `sql/` beside the code that runs it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The text of a statement: "pairing/merge_pairs" is `pairing/sql/merge_pairs.sql` in this package."""
    folder, _, statement = name.rpartition("/")
    return (files("galileu_pipeline.feedback") / folder / "sql" / f"{statement}.sql").read_text(encoding="utf-8")


def with_constants(statement: str, constants: Mapping[str, object]) -> str:
    """The statement with these values in place of the variables it asks for.

    DuckDB plans a prepared statement that asks for variables anew each time it runs, and one without them once.

    Raises:
        KeyError: it asks for another one.
    """
    return _VARIABLE.sub(lambda found: _literal(constants[found[1]]), statement)


_VARIABLE = re.compile(r"getvariable\('(\w+)'\)")


def _literal(value: object) -> str:
    """As DuckDB writes it. A `datetime` has a time zone, and becomes a TIMESTAMP in UTC."""
    match value:
        case bool() | int():
            return str(value)
        case float():
            return f"'{value!r}'::DOUBLE"  # 0.1 would be a DECIMAL
        case str():
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
        case datetime():
            return f"TIMESTAMP '{value.astimezone(UTC).replace(tzinfo=None)}'"
        case Sequence():
            return f"[{', '.join(map(_literal, value))}]"
        case _:
            raise TypeError(f"{value!r} has no literal")
