"""The SQL of this package: one purpose a file, in `sql/`."""

from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The text of `feedback/sql/<name>.sql`."""
    return (files("galileu_pipeline.feedback") / "sql" / f"{name}.sql").read_text(encoding="utf-8")
