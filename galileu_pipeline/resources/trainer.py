"""Training as assets see it: the profile's stage, the store and the launcher, brought together."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from galileu_pipeline.lineage.artifacts import Artifact, Made
from galileu_pipeline.profiles.schema import StageName
from galileu_pipeline.resources.launcher import SubprocessLauncher
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.runs import run_info
from galileu_pipeline.resources.storage import StorageResource
from galileu_pipeline.training.stages import make_model


class TrainerResource(dg.ConfigurableResource):
    """Makes model artifacts."""

    profile: dg.ResourceDependency[ProfileResource]
    storage: dg.ResourceDependency[StorageResource]
    launcher: dg.ResourceDependency[SubprocessLauncher]

    def make(
        self,
        context: dg.AssetExecutionContext,
        stage: StageName,
        overrides: Mapping[str, Any],
        inputs: Mapping[str, Artifact],
        *,
        force: bool,
        control: bool = False,
    ) -> Made:
        """The model of `stage` on `inputs` (by asset name), trained now or reused; see `training.stages.make_model`.

        `control` asks for that of another seed; see `Profile.stage`.
        """
        return make_model(
            self.storage.artifacts,
            self.profile.settings.stage(stage, overrides, control=control),
            inputs,
            self.launcher.launch(context),
            run=run_info(context),
            force=force,
        )
