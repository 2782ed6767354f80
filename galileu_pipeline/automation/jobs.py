"""Jobs: named parts of the graph, for the UI, schedules and the command line."""

import dagster as dg

retrain_all = dg.define_asset_job(
    "retrain_all",
    selection=dg.AssetSelection.all(),
    description="The whole chain, from raw feedback to every model. What has not changed is reused.",
)
