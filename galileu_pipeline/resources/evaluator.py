"""Comparing models as assets see it: the profile's settings, the store and the launcher, brought together."""

import dagster as dg

from galileu_pipeline.evaluation.stages import contest_for_service, make_evaluation
from galileu_pipeline.lineage.artifacts import Artifact, Made
from galileu_pipeline.resources.launcher import SubprocessLauncher
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.runs import run_info
from galileu_pipeline.resources.storage import StorageResource


class EvaluatorResource(dg.ConfigurableResource):
    """Makes evaluations."""

    profile: dg.ResourceDependency[ProfileResource]
    storage: dg.ResourceDependency[StorageResource]
    launcher: dg.ResourceDependency[SubprocessLauncher]

    def make(
        self, context: dg.AssetExecutionContext, judge: Artifact, teacher: Artifact, dataset: Artifact, *, force: bool
    ) -> Made:
        """The candidates against the model in service; see `evaluation.stages.make_evaluation`."""
        settings, store = self.profile.settings, self.storage.artifacts
        return make_evaluation(
            store,
            contest_for_service(store, judge, teacher, dataset),
            settings.evaluation,
            self.launcher.launch(context),
            resources=settings.resources_of("model_evaluation"),
            run=run_info(context),
            force=force,
        )
