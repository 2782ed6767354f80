"""What the pipeline keeps: the data folder, the artifact store, the warehouse, and how assets hand artifacts on."""

import dagster as dg

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.feedback.warehouse import Warehouse
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.resources.profile import ProfileResource


class StorageResource(dg.ConfigurableResource):
    """The data folder (`GALILEU_DATA_DIR`), as the active profile sees it."""

    profile: dg.ResourceDependency[ProfileResource]

    @property
    def data(self) -> DataFolder:
        return DataFolder.from_environment()

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.data, self.profile.name)

    @property
    def warehouse(self) -> Warehouse:
        return Warehouse(self.data.warehouse)


class ArtifactIOManager(dg.ConfigurableIOManager):
    """Hands artifacts from asset to asset by reference: each profile has a pointer to the current one of each asset."""

    storage: dg.ResourceDependency[StorageResource]

    def handle_output(self, context: dg.OutputContext, obj: Artifact) -> None:
        self.storage.artifacts.set_current(obj)

    def load_input(self, context: dg.InputContext) -> Artifact:
        """The current artifact of the upstream asset.

        Raises:
            MissingArtifactError: it has not been materialized; names it, and the command that does.
        """
        return self.storage.artifacts.current(context.asset_key.to_user_string())
