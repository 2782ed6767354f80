"""From raw feedback to datasets: each function makes one artifact, and is what the asset of that name calls."""

from collections import Counter
from pathlib import Path

import duckdb

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.errors import MissingArtifactError
from galileu_pipeline.feedback import datasets, pairing, snapshots
from galileu_pipeline.feedback.analytics import FeedbackAnalytics, analyse
from galileu_pipeline.feedback.analytics_plots import plots
from galileu_pipeline.feedback.analytics_report import markdown
from galileu_pipeline.feedback.cleaning import TextCleaner
from galileu_pipeline.feedback.datasets import DatasetSettings
from galileu_pipeline.feedback.ingestion import IngestionReport, content_digest, ingest_sqlite, ledger
from galileu_pipeline.feedback.integrity import rows_by_split
from galileu_pipeline.feedback.pairing import PairingSettings
from galileu_pipeline.feedback.sqlite_source import SqliteFeedback
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, Made, Outcome, Plan
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.lineage.manifest import RunInfo


def refresh_raw_feedback(
    store: ArtifactStore, warehouse: Warehouse, data: DataFolder, *, repair_text: bool, run: RunInfo | None = None
) -> tuple[Made, IngestionReport]:
    """Bring new rows of the chatbot's file into the warehouse, and record its state as an artifact."""
    source = SqliteFeedback(data.feedback_db)
    with warehouse.open() as connection:
        report = ingest_sqlite(connection, source, TextCleaner(repair_text))
        state, digest = ledger(connection), content_digest(connection)

    def write(folder: Path) -> Outcome:
        snapshots.write_summary(folder, {"content": digest})
        return Outcome(metrics=state)

    # The digest of the rows is the config: other rows, another id.
    plan = Plan("raw_feedback", [], {"content": digest, "repair_text": repair_text, **state})
    return store.make(plan, write, run=run), report


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

    plan = Plan("preference_pairs", [raw_feedback], settings.model_dump(mode="json"))
    with warehouse.open() as connection:
        _require_state(connection, raw_feedback)
        # Also when the artifact is reused: the tables always say what the current artifact says.
        pairing.build_pairs(connection, settings)

        def write(folder: Path) -> Outcome:
            snapshots.write_pairing(connection, folder)
            pairs = snapshots.read_pairs(folder)
            origins = {
                f"from_{origin}": count for origin, count in sorted(Counter(pairs["origin"].to_pylist()).items())
            }
            return Outcome(metrics={"pairs": pairs.num_rows, **rows_by_split(pairs), **origins})

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
        return Outcome(
            metrics=datasets.write_pairs(snapshots.read_pairs(preference_pairs.path), settings.system_prompt, folder)
        )

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
        counts = datasets.write_pairs(snapshots.read_pairs(preference_pairs.path), settings.system_prompt, folder)
        held_out = datasets.write_held_out_answers(
            snapshots.read_answers(preference_pairs.path), settings.system_prompt, folder
        )
        return Outcome(metrics={**counts, "held_out_answers": held_out})

    plan = Plan("reward_dataset", [preference_pairs], {"system_prompt": settings.system_prompt})
    return store.make(plan, write, run=run, force=force)


def make_sft_dataset(
    store: ArtifactStore,
    warehouse: Warehouse,
    data: DataFolder,
    raw_feedback: Artifact,
    pairing_settings: PairingSettings,
    settings: DatasetSettings,
    cleaner: TextCleaner,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """{prompt, completion} of well-rated answers and of `data/curated/*.jsonl`."""
    curated = datasets.read_curated(data.curated, cleaner)

    def write(folder: Path) -> Outcome:
        with warehouse.open() as connection:
            _require_state(connection, raw_feedback)
            pairing.prepare_answers(connection, pairing_settings)
            answers = pairing.scored_answers(connection)
            sides = pairing.split_of(connection, [cleaner.query_key(item.prompt) for item in curated])
        return Outcome(
            metrics=datasets.write_examples(
                answers, zip(curated, sides, strict=True), settings.sft_min_score, settings.system_prompt, folder
            )
        )

    config = {
        "system_prompt": settings.system_prompt,
        "min_score": settings.sft_min_score,
        "test_fraction": pairing_settings.test_fraction,
        "curated": json_digest([[item.prompt, item.completion] for item in curated]),
    }
    return store.make(Plan("sft_dataset", [raw_feedback], config), write, run=run, force=force)


def make_feedback_analytics(
    store: ArtifactStore,
    warehouse: Warehouse,
    raw_feedback: Artifact,
    *,
    run: RunInfo | None = None,
    force: bool = False,
) -> Made:
    """Statistics of the feedback: `analytics.json`, a page of tables, and plots."""

    def write(folder: Path) -> Outcome:
        with warehouse.open() as connection:
            _require_state(connection, raw_feedback)
            analytics = analyse(connection)
        (folder / "analytics.json").write_text(analytics.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (folder / "analytics.md").write_text(markdown(analytics), encoding="utf-8")
        for name, png in plots(analytics).items():
            (folder / f"{name}.png").write_bytes(png)
        return Outcome(metrics=analytics.totals.model_dump(mode="json"))

    return store.make(Plan("feedback_analytics", [raw_feedback], {}), write, run=run, force=force)


def read_analytics(artifact: Artifact) -> FeedbackAnalytics:
    """The statistics that `make_feedback_analytics` left."""
    return FeedbackAnalytics.model_validate_json((artifact.path / "analytics.json").read_text(encoding="utf-8"))


def _require_state(connection: duckdb.DuckDBPyConnection, raw_feedback: Artifact) -> None:
    """The lineage of what follows names `raw_feedback`, so the warehouse must hold just those rows."""
    if ledger(connection) != raw_feedback.manifest.metrics:
        raise MissingArtifactError(
            f"The warehouse has changed since {raw_feedback.id} was recorded. Materialize raw_feedback again: "
            "dagster asset materialize --select raw_feedback."
        )
