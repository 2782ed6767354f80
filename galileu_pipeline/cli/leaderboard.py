"""The command that ranks models by what people said of them side by side."""

from rich.table import Table

from galileu_pipeline.cli.console import AsJson, app, err, out, print_json, tell
from galileu_pipeline.data_folder import DataFolder


@app.command()
def leaderboard(as_json: AsJson = False) -> None:
    """Every model that people compared with another, the strongest first, by all side-by-side votes."""
    from galileu_pipeline.feedback.analytics.leaderboard import leaderboard as rank_all
    from galileu_pipeline.feedback.warehouse import Warehouse

    with Warehouse(DataFolder.from_environment().warehouse).open() as connection:
        found = rank_all(connection)
    if found is None:
        err.print("Nobody has compared two models yet. `galileu chat` puts them side by side.")
        return
    if as_json:
        print_json(found)
        return
    table = Table(title=f"{found.votes:,} votes of {found.people:,} people; 95 % intervals")
    for column in ("model", "rating", "votes", "wins", "losses", "ties", "both bad"):
        table.add_column(column, overflow="fold", justify="left" if column == "model" else "right")
    for standing in found.standings:
        rating = standing.rating
        counts = (standing.votes, standing.wins, standing.losses, standing.ties, standing.both_bad)
        table.add_row(
            standing.model,
            f"{rating.value:.0f} [{rating.low:.0f}, {rating.high:.0f}]",
            *(f"{count:,}" for count in counts),
        )
    out.print(table)
    for text, share in (
        ("The left one of two equal answers wins", found.left_wins),
        ("One that is twice as long wins", found.longer_wins),
    ):
        out.print(
            f"{text} {share.value:.1%} [{share.low:.1%}, {share.high:.1%}] of the votes that decide.", highlight=False
        )
    for outlier in found.outliers:
        tell(f"Left out: {outlier.votes:,} votes of {outlier.person}, {outlier.why}.")
    for person in found.capped:
        tell(f"{person} gave so many votes that each counts for less.")
