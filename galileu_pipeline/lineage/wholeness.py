"""Whether an artifact is what its manifest says, looked at alone."""

from collections.abc import Iterator
from typing import Literal

from galileu_pipeline.errors import GalileuError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore, artifact_id
from galileu_pipeline.lineage.digests import files_digest, folder_digests
from galileu_pipeline.lineage.manifest import MANIFEST_NAME
from galileu_pipeline.lineage.tombstones import Tombstones

OwnFault = Literal["missing file", "changed file", "foreign file", "edited manifest", "misplaced folder"]
_NAMED = 3


def own_faults(store: ArtifactStore, artifact: Artifact) -> Iterator[tuple[OwnFault, str]]:
    """What is not as the manifest says, and what it concerns. Every file is read; what was erased is not missed."""
    manifest = artifact.manifest
    then, now = Tombstones(store.data).files_of(artifact), folder_digests(artifact.path)
    now.pop(MANIFEST_NAME, None)
    for name in sorted(then.keys() | now.keys()):
        if name not in now:
            yield "missing file", name
        elif name not in then:
            yield "foreign file", name
        elif now[name] != then[name]:
            yield "changed file", name
    if artifact.path.name != manifest.id:
        yield "misplaced folder", f"its manifest says {manifest.id}"
    if manifest.seal != manifest.sealed().seal:
        yield "edited manifest", "its seal is another one's"
    if manifest.digest != files_digest(manifest.files):
        yield "edited manifest", "`digest` is not that of `files`"
    made_of = (manifest.inputs, manifest.config, manifest.seed, manifest.stage_version)
    if manifest.id != artifact_id(manifest.asset, *made_of):
        yield "edited manifest", "`id` is not that of its inputs, config, seed and stage version"


def require_whole(store: ArtifactStore, artifact: Artifact) -> None:
    """Before a model is compared, promoted or served.

    Raises:
        GalileuError: its files are not those that its manifest names.
    """
    faults = [f"{kind} ({subject})" for kind, subject in own_faults(store, artifact)]
    if faults:
        more = f" and {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        raise GalileuError(
            f"{artifact.id} is not what its manifest says: {', '.join(faults[:_NAMED])}{more}. It is neither compared, "
            f"promoted nor served. Restore its folder {artifact.path} from a backup, or remove it and materialize "
            f"{artifact.manifest.asset} again."
        )
