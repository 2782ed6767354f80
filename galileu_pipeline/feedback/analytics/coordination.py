"""Accounts whose votes look coordinated, for a person to look at. Nothing is merged, dropped or set aside for it.

The statement in `sql/select_coordinated_accounts.sql` is the definition. It compares with what everybody else said, so
accounts that only vote on what nobody else has voted on are not found; what they weigh is limited all the same
(`pairing.max_person_share`).
"""

from datetime import UTC

import duckdb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from galileu_pipeline.feedback.statements import sql


class CoordinatedAccounts(BaseModel):
    """Two accounts that vote alike within a minute, time and again, and nearly always against the others' majority."""

    model_config = ConfigDict(frozen=True)

    one: str = Field(description="the keyed hash of an account, by user id or else by session id")
    other: str
    together: int = Field(description="votes that both gave alike on the same thing, at most 60 seconds apart")
    compared: int = Field(description="of these, on what others voted on too, and more one way than the other")
    against: int = Field(description="of these, against the majority of the others")
    first_at: AwareDatetime = Field(description="time of the first of the votes together, UTC")
    last_at: AwareDatetime = Field(description="time of the last one, UTC")


def coordinated_accounts(connection: duckdb.DuckDBPyConnection) -> list[CoordinatedAccounts]:
    """Every such pair of accounts in a warehouse that has its schema, the most contrary first."""
    return [
        CoordinatedAccounts(
            one=one,
            other=other,
            together=together,
            compared=compared,
            against=against,
            first_at=first_at.replace(tzinfo=UTC),
            last_at=last_at.replace(tzinfo=UTC),
        )
        for one, other, together, compared, against, first_at, last_at in connection.execute(
            sql("analytics/select_coordinated_accounts")
        ).fetchall()
    ]
