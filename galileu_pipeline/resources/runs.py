"""The Dagster run, as manifests record it."""

import dagster as dg

from galileu_pipeline.lineage.manifest import RunInfo


def run_info(context: dg.AssetExecutionContext) -> RunInfo:
    """Run id and job of the step that is running."""
    return RunInfo(dagster_run_id=context.run.run_id, job=context.run.job_name)
