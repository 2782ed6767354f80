"""The apostrophe before what a spreadsheet would run as a formula: put by an export, taken off by the import.

A row says in a column of its own in which of its cells there is one, so that nobody else's apostrophe is taken for it.
"""

import pyarrow as pa
import pyarrow.compute as pc

GUARDED_COLUMNS = "guarded_columns"

# OWASP, "CSV Injection".
_FORMULA = "^[=+\\-@\t\r＝＋－＠]"
_GUARD = "'"


def guarded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with guards, and the column that names where they stand."""
    columns, places = dict(zip(batch.schema.names, batch.columns, strict=True)), []
    for name, column in columns.items():
        if pa.types.is_string(column.type):
            dangerous = pc.match_substring_regex(column, _FORMULA).fill_null(False)
            columns[name] = pc.if_else(dangerous, pc.binary_join_element_wise(_GUARD, column, ""), column)
            places.append(pc.if_else(dangerous, name, ""))
    named = pc.utf8_trim_whitespace(pc.binary_join_element_wise(*places, " "))
    return pa.RecordBatch.from_pydict(columns | {GUARDED_COLUMNS: named})


def without_guards(cells: dict[str, str | None]) -> dict[str, str | None]:
    """The cells of a row, by their columns, as they were before `guarded`."""
    for name in (cells.pop(GUARDED_COLUMNS, None) or "").split():
        cell = cells.get(name)
        if cell and cell.startswith(_GUARD):
            cells[name] = cell.removeprefix(_GUARD)
    return cells
