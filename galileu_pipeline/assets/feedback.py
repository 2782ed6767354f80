"""Group `feedback`: what people said, and what it says about the chatbot."""

import dagster as dg

from galileu_pipeline.assets.config import MakeConfig
from galileu_pipeline.assets.failures import explained
from galileu_pipeline.assets.presentation import coordinated_table, coordination_note, picture, result
from galileu_pipeline.feedback import stages
from galileu_pipeline.feedback.analytics.coordination import coordinated_accounts
from galileu_pipeline.feedback.ingestion.ingestor import ledger
from galileu_pipeline.feedback.snapshots import read_summary
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.lineage.stage_versions import code_version
from galileu_pipeline.markdown import escape, table
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.runs import run_info
from galileu_pipeline.resources.storage import StorageResource


@dg.asset(
    group_name="feedback", code_version=code_version("raw_feedback"), kinds={"sqlite", "duckdb"}, pool="warehouse"
)
@explained
def raw_feedback(
    context: dg.AssetExecutionContext, profile: ProfileResource, storage: StorageResource
) -> dg.MaterializeResult[Artifact]:
    """Ratings, thumbs, comments and side-by-side choices in DuckDB: imports, the inbox's files, new rows of the chat.

    Ids of people are keyed hashes, personal identifiers in texts are masked. Rows that cannot be used are kept in
    `feedback_quarantine` with the reason.
    """
    deliveries = stages.empty_inbox(storage.warehouse, storage.data, repair_text=profile.settings.repair_text)
    made, report = stages.refresh_raw_feedback(
        storage.artifacts,
        storage.warehouse,
        storage.data,
        repair_text=profile.settings.repair_text,
        run=run_info(context),
    )
    for delivery in deliveries:
        context.log.info(f"inbox: {delivery.name}: {delivery.reason or 'imported'}")
    totals = {f"total_{name}": count for name, count in made.artifact.manifest.metrics.items()}
    metadata = {**report.model_dump(), **totals, "masked by kind": read_summary(made.artifact.path)["masked"]}
    if deliveries:
        metadata["inbox"] = dg.MetadataValue.md(
            table(("file", "result"), ((escape(one.name), escape(one.reason or "imported")) for one in deliveries))
        )
    return result(made, metadata)


@dg.asset_check(asset=raw_feedback, blocking=True, pool="warehouse")
@explained
def every_row_accounted_for(storage: StorageResource) -> dg.AssetCheckResult:
    """Rows ever read = accepted + quarantined + duplicates, counted in the tables themselves."""
    with storage.warehouse.open() as connection:
        counts = ledger(connection)
    accounted = counts["accepted"] + counts["quarantined"] + counts["duplicates"]
    return dg.AssetCheckResult(passed=counts["rows_in"] == accounted, metadata={**counts, "accounted": accounted})


@dg.asset_check(asset=raw_feedback, pool="warehouse")
@explained
def no_accounts_look_coordinated(storage: StorageResource) -> dg.AssetCheckResult:
    """No two accounts vote alike within a minute, time and again, and nearly always against everybody else."""
    with storage.warehouse.open() as connection:
        found = coordinated_accounts(connection)
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=coordination_note(found),
        metadata={"pairs of accounts": len(found), "accounts": coordinated_table(found)},
    )


@dg.asset(
    group_name="feedback",
    code_version=code_version("feedback_analytics"),
    kinds={"duckdb", "matplotlib"},
    pool="warehouse",
)
@explained
def feedback_analytics(
    context: dg.AssetExecutionContext, config: MakeConfig, storage: StorageResource, raw_feedback: Artifact
) -> dg.MaterializeResult[Artifact]:
    """What the feedback says: volume, ratings, thumbs, common and worst questions, raters, words in complaints."""
    from galileu_pipeline.feedback.analytics.markdown_report import markdown  # with what analyses, a second to import

    made = stages.make_feedback_analytics(
        storage.artifacts, storage.warehouse, raw_feedback, run=run_info(context), force=config.force
    )
    analytics = stages.read_analytics(made.artifact)
    pictures = {path.stem: picture(path.read_bytes()) for path in sorted(made.artifact.path.glob("*.png"))}
    return result(made, {"tables": dg.MetadataValue.md(markdown(analytics)), **pictures})
