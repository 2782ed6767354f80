"""A person's right to be forgotten (LGPD, article 18, VI): their feedback goes, and what learnt from it is known.

Broken off at any moment, it goes on where it was when it is called again: what is to be done is written down first.
"""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms, known
from galileu_pipeline.feedback.erasure import collected_rows, erase_collected, erase_ingested, ingested_rows
from galileu_pipeline.feedback.ingestion.changes import record_import
from galileu_pipeline.feedback.ingestion.inbox import Inbox
from galileu_pipeline.feedback.ingestion.ingestor import erased_row_digest
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.manifest import utc_now
from galileu_pipeline.lineage.scrubbing import Reach, find_reach, remove_leftovers, require_idle, scrub
from galileu_pipeline.lineage.tombstones import Taint, Tombstone, Tombstones


class Erasure(BaseModel):
    """What was erased, or would be."""

    model_config = ConfigDict(frozen=True)

    person: str = Field(description="the keyed hash")
    collected: dict[str, int] = Field(description="rows in the chatbot's file, by table")
    ingested: dict[str, int] = Field(description="rows in the warehouse, by table")
    artifacts: list[str] = Field(description="whose files with people's texts go")
    tainted: dict[str, Taint] = Field(description="models that learnt from it, by id")
    runs: list[str] = Field(description="Dagster runs that made these artifacts; their pages show people's texts")
    champion_before: str | None = Field(description="in service; None for the base model")
    champion: str | None
    nothing_to_do: bool = False


def erase(
    store: ArtifactStore,
    warehouse: Warehouse,
    user: str,
    *,
    dry_run: bool = False,
    withdraw_champion: bool = True,
) -> Erasure:
    """Erase all feedback of a person: rows, what is derived from them, and files that hold their texts.

    Models' weights stay, marked as tainted; so do manifests, and the records of everybody else's feedback. The same
    rows are refused when they are imported again.

    Args:
        user: an id of the person (user, or session of one who is not known), or the pseudonym.
        dry_run: only say what would go.
        withdraw_champion: take the model in service out of it if it is tainted.

    Raises:
        GalileuError: something is being made of this feedback at the moment, or a file cannot be read or is in use;
            what was done by then stays done, and another call goes on.
    """
    named = known(user)
    if named is None:
        raise InputError("Say whose feedback is to be erased: --user ID. What names nobody is nobody's.")
    pseudonyms = Pseudonyms.of_folder(store.data)
    person = pseudonyms.of(named)
    reach = find_reach(store, person)
    unfinished = Tombstones(store.data).unfinished(person)
    collected = collected_rows(store.data, pseudonyms, person) if store.data.feedback_db.exists() else {}
    with warehouse.open() as connection:
        ingested = ingested_rows(connection, person)
    found = bool(collected or ingested or reach.holding or unfinished)
    serving = ChampionFile(store).read().id
    report = Erasure(
        person=person,
        collected={table: len(rows) for table, rows in collected.items()},
        ingested={table: len(rows) for table, rows in ingested.items()},
        artifacts=reach.artifacts if found else [],
        tainted=reach.tainted,
        runs=_runs(store, reach.artifacts) if found else [],
        champion_before=serving,
        champion=serving,
        nothing_to_do=not found,
    )
    if dry_run or not found:
        return report
    require_idle(store, reach.artifacts)
    ids = {row for rows in collected.values() for row in rows if row}
    ids |= {row for table, rows in ingested.items() if table != "feedback_quarantine" for row in rows}
    refused = {erased_row_digest(pseudonyms, row) for row in ids}
    tombstone = _planned(unfinished or Tombstone(person=person, begun_at=datetime.now(UTC)), report, reach, refused)
    return _carry_out(store, warehouse, pseudonyms, tombstone, report, withdraw_champion=withdraw_champion)


def _planned(before: Tombstone, report: Erasure, reach: Reach, refused: set[str]) -> Tombstone:
    """What is to be done; with what was to be done already where an erasure was broken off."""
    return before.model_copy(
        update={
            "rows": report.ingested | before.rows,
            "refused": sorted(refused.union(before.refused)),
            "tainted": reach.tainted | before.tainted,
            "files": {name: {} for name in reach.artifacts} | before.files,
        }
    )


def _carry_out(
    store: ArtifactStore,
    warehouse: Warehouse,
    pseudonyms: Pseudonyms,
    tombstone: Tombstone,
    report: Erasure,
    *,
    withdraw_champion: bool,
) -> Erasure:
    tombstones, person = Tombstones(store.data), tombstone.person
    tombstones.write(tombstone)
    champion = report.champion_before
    if withdraw_champion and champion is not None and tombstones.tainting(store, champion):
        champion = (
            ChampionFile(store)
            .withdraw(lambda model: bool(tombstones.tainting(store, model)), "learnt from feedback that was erased")
            .id
        )
    for name, done in tombstone.files.items():
        changes = {**done, **scrub(store, name, person)}
        tombstone = tombstone.model_copy(update={"files": {**tombstone.files, name: changes}})
        tombstones.write(tombstone)
    remove_leftovers(store)
    Inbox(store.data.inbox).forget_done()
    if store.data.feedback_db.exists():
        erase_collected(store.data, pseudonyms, person)
    with warehouse.open() as connection:
        if ingested_rows(connection, person):
            erase_ingested(connection, person)
    warehouse.rewrite()
    record_import(store.data)  # the sensor is to see that the feedback is another
    tombstones.write(tombstone.model_copy(update={"done_at": utc_now()}))
    return report.model_copy(update={"champion": champion, "tainted": tombstone.tainted})


def _runs(store: ArtifactStore, artifacts: list[str]) -> list[str]:
    made = (store.find(name) for name in artifacts)
    runs = (artifact.manifest.run for artifact in made if artifact and artifact.manifest.run)
    return sorted({run.dagster_run_id for run in runs})
