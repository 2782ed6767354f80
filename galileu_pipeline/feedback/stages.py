"""From raw feedback to datasets: each function makes one artifact, and is what the asset of that name calls."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import InputError
from galileu_pipeline.feedback import snapshots
from galileu_pipeline.feedback.collection.pseudonyms import Pseudonyms
from galileu_pipeline.feedback.ingestion.changes import record_import
from galileu_pipeline.feedback.ingestion.cleaning import TextCleaner
from galileu_pipeline.feedback.ingestion.imports import FileImport, import_file, preview_file
from galileu_pipeline.feedback.ingestion.inbox import Delivery, Inbox
from galileu_pipeline.feedback.ingestion.ingestor import (
    IngestionReport,
    Ingestor,
    content_digest,
    ledger,
    masked_by_kind,
)
from galileu_pipeline.feedback.ingestion.preparation import RowPreparer
from galileu_pipeline.feedback.ingestion.scale import Scale
from galileu_pipeline.feedback.ingestion.sources.files import FeedbackFile
from galileu_pipeline.feedback.ingestion.sources.sqlite_rows import SqliteFeedback
from galileu_pipeline.feedback.pairing import datasets, provenance
from galileu_pipeline.feedback.pairing import pairs as pairing
from galileu_pipeline.feedback.pairing.datasets import DatasetSettings
from galileu_pipeline.feedback.pairing.pairs import PairingSettings
from galileu_pipeline.feedback.statements import sql
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import RunInfo
from galileu_pipeline.lineage.tombstones import Tombstones

if TYPE_CHECKING:
    from galileu_pipeline.feedback.analytics.analysis import FeedbackAnalytics


def refresh_raw_feedback(
    store: ArtifactStore, warehouse: Warehouse, data: DataFolder, *, repair_text: bool, run: RunInfo | None = None
) -> tuple[Made, IngestionReport]:
    """Bring new rows of the chatbot's file into the warehouse, and record its state as an artifact.

    Raises:
        InputError: the chatbot has written nothing, and nothing was imported either.
    """
    ingestor_of = ingestor(data, repair_text=repair_text)
    with warehouse.open() as connection:
        report = IngestionReport()
        if data.feedback_db.exists() or not ledger(connection)["rows_in"]:
            report = ingestor_of(connection).sqlite(SqliteFeedback(data.feedback_db))
        return _record(store, connection, repair_text=repair_text, run=run), report


def empty_inbox(warehouse: Warehouse, data: DataFolder, *, repair_text: bool) -> list[Delivery]:
    """Import each file of the inbox by itself: one that cannot be read keeps no other out."""
    return Inbox(data.inbox).empty(
        lambda path: import_files(warehouse, data, [path], mapping={}, repair_text=repair_text)
    )


def import_files(
    warehouse: Warehouse,
    data: DataFolder,
    files: Sequence[Path],
    *,
    mapping: Mapping[str, str],
    repair_text: bool,
    scale: Scale | None = None,
) -> dict[Path, FileImport]:
    """Bring files of any supported format into the warehouse: all of them, or none if one cannot be read.

    Args:
        mapping: for fields of the guide, the name each has in these files.
        scale: of the ratings in these files, where it is not 1 to 5.

    Raises:
        InputError: a file is none that can be imported, breaks off, lacks a column, or is on another scale.
    """
    recognised = [FeedbackFile.recognise(path) for path in files]
    with warehouse.open() as connection:
        ingest = ingestor(data, repair_text=repair_text)(connection)
        reports = {file.path: import_file(ingest, file, mapping, scale) for file in recognised}
    record_import(data)
    return reports


def preview_files(
    warehouse: Warehouse,
    data: DataFolder,
    files: Sequence[Path],
    *,
    mapping: Mapping[str, str],
    repair_text: bool,
    scale: Scale | None = None,
) -> dict[Path, FileImport]:
    """What `import_files` would do with each file by itself, without doing it.

    Raises:
        InputError: a file is none that can be imported.
    """
    recognised = [FeedbackFile.recognise(path) for path in files]
    with tempfile.TemporaryDirectory(prefix="galileu-preview-") as folder:
        if not warehouse.path.exists():  # then none is left behind either
            data, warehouse = DataFolder(Path(folder)), Warehouse(DataFolder(Path(folder)).warehouse)
        ingestor_of = ingestor(data, repair_text=repair_text)
        previews = {}
        for file in recognised:
            with warehouse.open(keep=False) as connection:
                previews[file.path] = preview_file(ingestor_of(connection), file, mapping, scale)
        return previews


def retry_quarantine(warehouse: Warehouse, data: DataFolder, *, repair_text: bool) -> IngestionReport:
    """Judge the rows in quarantine again, as after a repaired setting or a newer version."""
    with warehouse.open() as connection:
        return ingestor(data, repair_text=repair_text)(connection).retry_quarantine()


def ingestor(data: DataFolder, *, repair_text: bool) -> Callable[[duckdb.DuckDBPyConnection], Ingestor]:
    """What makes an ingestor for an open warehouse, with the folder's own pseudonyms, that refuses erased rows."""
    preparer = RowPreparer(TextCleaner(repair_text), Pseudonyms.of_folder(data))
    erased = Tombstones(data).refused()
    return lambda connection: Ingestor(connection, preparer, erased)


def make_preference_pairs(
    store: ArtifactStore,
    warehouse: Warehouse,
    raw_feedback: Artifact,
    settings: PairingSettings,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Pair the warehouse's answers, and leave pairs, sources and scored answers as Parquet."""
    with warehouse.open() as connection:
        raw_feedback = _recorded(store, connection, raw_feedback, run)
        return _pair(store, connection, raw_feedback, settings, run=run, force=force)


def replay_preference_pairs(
    store: ArtifactStore,
    warehouse: Warehouse,
    settings: PairingSettings,
    *,
    repair_text: bool,
    without: str | None = None,
    until: date | None = None,
) -> Made:
    """Pair what the warehouse would hold without some feedback, and leave the warehouse itself as it is.

    Args:
        without: the pseudonym of a person whose rows are left out.
        until: the last day (UTC) whose rows count; those without a time do. A vote that was changed later is left out:
            what it said before is not brought back.

    Raises:
        InputError: nothing would be left.
    """
    with warehouse.open(keep=False) as connection:
        before = ledger(connection)
        if without is not None or until is not None:
            connection.execute("SET VARIABLE person = $value", {"value": without})
            connection.execute("SET VARIABLE until = $value", {"value": until})
            connection.execute(sql("leave_out_feedback"))
            connection.execute(sql("forget_derived"))
        state = ledger(connection)
        if not state["interactions"]:
            raise InputError("No feedback would be left to pair. Leave out less, or materialize raw_feedback first.")
        # Not who was left out: the person may ask to be erased.
        left_out = before["interactions"] - state["interactions"]
        raw_feedback = _record(store, connection, repair_text=repair_text, left_out=left_out).artifact
        return _pair(store, connection, raw_feedback, settings)


def _pair(
    store: ArtifactStore,
    connection: duckdb.DuckDBPyConnection,
    raw_feedback: Artifact,
    settings: PairingSettings,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    # Also when the artifact is reused: the tables always say what the current artifact says.
    pairing.build_pairs(connection, settings)

    def write(folder: Path) -> Outcome:
        snapshots.write_pairing(connection, folder)
        counts = pairing.count_pairs(connection)
        agreement, raters = pairing.count_agreement(connection), pairing.count_raters(connection)
        set_aside = pairing.count_set_aside(connection)
        return Outcome(metrics={**counts, "agreement": agreement, "raters": raters, "set_aside": set_aside})

    plan = Plan("preference_pairs", [raw_feedback], settings.model_dump(mode="json"))
    return store.make(plan, write, run=run, force=force)


def make_dpo_dataset(
    store: ArtifactStore,
    preference_pairs: Artifact,
    settings: DatasetSettings,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """{prompt, chosen, rejected} for DPO."""

    def write(folder: Path) -> Outcome:
        pairs = snapshots.pairs_by_batch(preference_pairs.path)
        provenance.write_pair_sources(preference_pairs.path, folder)
        return Outcome(metrics=datasets.write_pairs(pairs, settings.system_prompt, folder))

    plan = Plan("dpo_dataset", [preference_pairs], {"system_prompt": settings.system_prompt})
    return store.make(plan, write, run=run, force=force)


def make_reward_dataset(
    store: ArtifactStore,
    preference_pairs: Artifact,
    settings: DatasetSettings,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """{prompt, chosen, rejected} for the reward model, and the held-out answers with people's mean scores."""

    def write(folder: Path) -> Outcome:
        pairs = snapshots.pairs_by_batch(preference_pairs.path)
        answers = snapshots.answers_by_batch(preference_pairs.path)
        provenance.write_reward_sources(preference_pairs.path, folder)
        counts = datasets.write_pairs(pairs, settings.system_prompt, folder)
        held_out = datasets.write_held_out_answers(answers, settings.system_prompt, folder)
        return Outcome(metrics={**counts, "held_out_answers": held_out})

    plan = Plan("reward_dataset", [preference_pairs], {"system_prompt": settings.system_prompt})
    return store.make(plan, write, run=run, force=force)


def make_sft_dataset(
    store: ArtifactStore,
    preference_pairs: Artifact,
    curated: Path,
    pairing_settings: PairingSettings,
    settings: DatasetSettings,
    cleaner: TextCleaner,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """{prompt, completion} of well-rated answers and of the hand-written examples in the folder `curated`."""
    examples = datasets.read_curated(curated, cleaner)
    min_score = pairing_settings.sft_min_score

    def write(folder: Path) -> Outcome:
        sides = pairing.split_of([item.query_key for item in examples], pairing_settings)
        provenance.write_example_sources(preference_pairs.path, min_score, folder)
        metrics = datasets.write_examples(
            snapshots.answers_by_batch(preference_pairs.path),
            zip(examples, sides, strict=True),
            min_score,
            settings.system_prompt,
            folder,
        )
        return Outcome(metrics=metrics)

    config = {
        "system_prompt": settings.system_prompt,
        "min_score": min_score,
        "test_fraction": pairing_settings.test_fraction,
        "validation_fraction": pairing_settings.validation_fraction,
        "curated": json_digest([[item.prompt, item.completion] for item in examples]),
    }
    return store.make(Plan("sft_dataset", [preference_pairs], config), write, run=run, force=force)


def make_feedback_analytics(
    store: ArtifactStore,
    warehouse: Warehouse,
    raw_feedback: Artifact,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Statistics of the feedback: `analytics.json`, a page of tables, and plots."""
    with warehouse.open() as connection:
        raw_feedback = _recorded(store, connection, raw_feedback, run)
        return _analyse(store, connection, raw_feedback, run=run, force=force)


def _analyse(
    store: ArtifactStore,
    connection: duckdb.DuckDBPyConnection,
    raw_feedback: Artifact,
    *,
    run: RunInfo | None,
    force: bool,
) -> Made:
    # Statistics and plots take two seconds to import, and are all that needs them.
    from galileu_pipeline.feedback.analytics.analysis import analyse
    from galileu_pipeline.feedback.analytics.markdown_report import markdown
    from galileu_pipeline.feedback.analytics.plots import plots

    def write(folder: Path) -> Outcome:
        analytics = analyse(connection)
        (folder / "analytics.json").write_text(analytics.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / "analytics.md").write_text(markdown(analytics), encoding="utf-8")
        for name, png in plots(analytics).items():
            (folder / f"{name}.png").write_bytes(png)
        return Outcome(metrics=analytics.totals.model_dump(mode="json"))

    return store.make(Plan("feedback_analytics", [raw_feedback], {}), write, run=run, force=force)


def read_analytics(artifact: Artifact) -> "FeedbackAnalytics":
    """The statistics that `make_feedback_analytics` left."""
    from galileu_pipeline.feedback.analytics.analysis import FeedbackAnalytics

    return FeedbackAnalytics.model_validate_json((artifact.path / "analytics.json").read_text(encoding="utf-8"))


def _record(
    store: ArtifactStore,
    connection: duckdb.DuckDBPyConnection,
    *,
    repair_text: bool,
    left_out: int = 0,
    run: RunInfo | None = None,
) -> Made:
    """What the warehouse holds, as an artifact. The digest of the rows is the config: other rows, another id."""
    state, digest, masked = ledger(connection), content_digest(connection), masked_by_kind(connection)

    def write(folder: Path) -> Outcome:
        snapshots.write_summary(folder, {"content": digest, "masked": masked})
        return Outcome(metrics=state)

    config = {"content": digest, "repair_text": repair_text, **state, **({"left_out": left_out} if left_out else {})}
    return store.make(Plan("raw_feedback", [], config), write, run=run)


def _recorded(
    store: ArtifactStore, connection: duckdb.DuckDBPyConnection, raw_feedback: Artifact, run: RunInfo | None
) -> Artifact:
    """`raw_feedback`, if the warehouse holds just those rows; another record where somebody imported files meanwhile.

    The lineage of what follows must name the rows that it is made of.
    """
    if ledger(connection) == raw_feedback.manifest.metrics:
        return raw_feedback
    repair_text = bool(raw_feedback.manifest.config.get("repair_text", True))
    return _record(store, connection, repair_text=repair_text, run=run).artifact
