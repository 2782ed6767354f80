"""The SQL of this package: one purpose a file, in the folder `sql/` beside the code that runs it."""

from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The text of a statement: "pairing/merge_pairs" is `pairing/sql/merge_pairs.sql` in this package."""
    folder, _, statement = name.rpartition("/")
    return (files("galileu_pipeline.feedback") / folder / "sql" / f"{statement}.sql").read_text(encoding="utf-8")
