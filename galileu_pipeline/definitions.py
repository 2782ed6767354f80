"""Everything Dagster knows of this project. Wiring only."""

import dagster as dg

from galileu_pipeline.assets import datasets, feedback, models
from galileu_pipeline.automation.jobs import retrain_all
from galileu_pipeline.profiles.schema import active_profile_name
from galileu_pipeline.resources.launcher import SubprocessLauncher
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import ArtifactIOManager, StorageResource
from galileu_pipeline.resources.trainer import TrainerResource

profile = ProfileResource(name=active_profile_name())
storage = StorageResource(profile=profile)

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([feedback, datasets, models]),
    asset_checks=[*dg.load_asset_checks_from_modules([feedback, datasets]), *models.model_checks],
    jobs=[retrain_all],
    resources={
        "profile": profile,
        "storage": storage,
        "trainer": TrainerResource(profile=profile, storage=storage, launcher=SubprocessLauncher()),
        "io_manager": ArtifactIOManager(storage=storage),
    },
    # A stage runs in a process of its own anyway; the steps around it are light.
    executor=dg.in_process_executor,
)
