"""Everything Dagster knows of this project. Wiring only."""

import dagster as dg

from galileu_pipeline.assets import datasets, evaluation, feedback, models
from galileu_pipeline.automation import jobs
from galileu_pipeline.automation.housekeeping import housekeeping
from galileu_pipeline.automation.kubernetes import make_executor
from galileu_pipeline.automation.schedules import make_schedules
from galileu_pipeline.automation.sensors import make_sensors
from galileu_pipeline.profiles.names import active_profile_name
from galileu_pipeline.resources.evaluator import EvaluatorResource
from galileu_pipeline.resources.launcher import SubprocessLauncher
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import ArtifactIOManager, StorageResource
from galileu_pipeline.resources.trainer import TrainerResource

profile = ProfileResource(name=active_profile_name())
storage = StorageResource(profile=profile)
launcher = SubprocessLauncher(patience_s=profile.settings.patience_s)
automation = profile.settings.automation

defs = dg.Definitions(
    assets=dg.load_assets_from_modules([feedback, datasets, models, evaluation]),
    asset_checks=[*dg.load_asset_checks_from_modules([feedback, datasets, evaluation]), *models.model_checks],
    jobs=[jobs.refresh_feedback, jobs.train_dpo, jobs.train_ppo, jobs.retrain_all, housekeeping],
    sensors=make_sensors(automation),
    schedules=make_schedules(automation),
    resources={
        "profile": profile,
        "storage": storage,
        "trainer": TrainerResource(profile=profile, storage=storage, launcher=launcher),
        "evaluator": EvaluatorResource(profile=profile, storage=storage, launcher=launcher),
        "io_manager": ArtifactIOManager(storage=storage),
    },
    executor=make_executor(automation.executor, profile.settings.kubernetes),
)
