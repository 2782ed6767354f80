"""The command that lists accounts whose votes look coordinated."""

from rich.table import Table

from galileu_pipeline.cli.console import AsJson, app, err, out, print_json, tell
from galileu_pipeline.data_folder import DataFolder


@app.command()
def suspects(as_json: AsJson = False) -> None:
    """Accounts that vote alike within a minute, time and again, and nearly always against everybody else.

    They are only listed: their votes count like all others.
    """
    from galileu_pipeline.feedback.analytics.coordination import coordinated_accounts
    from galileu_pipeline.feedback.warehouse import Warehouse

    with Warehouse(DataFolder.from_environment().warehouse).open() as connection:
        found = coordinated_accounts(connection)
    if as_json:
        print_json(found)
        return
    if not found:
        err.print("No accounts vote alike, at the same time and against everybody else.")
        return
    table = Table()
    for column in ("account", "account", "votes together", "compared", "against", "first", "last"):
        table.add_column(column, overflow="fold", justify="left" if column == "account" else "right")
    for pair in found:
        counts = (f"{count:,}" for count in (pair.together, pair.compared, pair.against))
        table.add_row(pair.one, pair.other, *counts, f"{pair.first_at:%F %R}", f"{pair.last_at:%F %R}")
    out.print(table)
    tell(
        "They may be one person's, or just of one mind. `galileu lineage --user ACCOUNT` shows what came of their "
        "votes; `galileu erase --user ACCOUNT` removes an account's feedback."
    )
