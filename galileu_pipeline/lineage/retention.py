"""Removing old models, and what then nobody needs.

What is in service, current or in the making stays, and so does all that it was made from.
"""

import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

from filelock import Timeout
from pydantic import BaseModel, ConfigDict, Field, computed_field

from galileu_pipeline.data_folder import ARTIFACT_KINDS
from galileu_pipeline.errors import GalileuError, InputError
from galileu_pipeline.files import sync
from galileu_pipeline.lineage.artifacts import ArtifactStore, hidden_name
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.manifest import ID_PATTERN, MANIFEST_NAME, Manifest, utc_now

Kind = Literal["model", "dataset", "evaluation", "checkpoints", "rubbish"]

_JUST_MADE = timedelta(minutes=10)  # whoever made it may not have used it, or pointed to it, yet
_KINDS: dict[str, Kind] = {"models": "model", "datasets": "dataset", "evaluations": "evaluation"}
_PARTIAL = re.compile(r"\.(?P<id>.+)\.[0-9a-f]{8}\.partial")
_OWN_ID = re.compile(r"[a-z_]+-[0-9a-f]{12}")  # other folders may be somebody's own, such as a base model's


class Removal(BaseModel):
    """A folder that goes."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    id: str = Field(description="of the artifact that it is, or that it belongs to")
    path: Path = Field(description="in the data folder")
    size: int = Field(description="bytes of its files")


class Pruning(BaseModel):
    """What a pruning removes, and how many artifacts stay."""

    model_config = ConfigDict(frozen=True)

    dry_run: bool
    kept: int
    removed: list[Removal]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def freed(self) -> int:
        """Bytes."""
        return sum(removal.size for removal in self.removed)


def prune(store: ArtifactStore, keep: int, *, dry_run: bool = False) -> Pruning:
    """Remove what is not needed, of all profiles.

    Needed are the newest `keep` models of each asset, the model in service and those that rollbacks would bring back,
    decisions that put a model into service, what is current under any profile, what is being made or was begun and can
    be gone on with, and what is newer than ten minutes; all that these were made from; and evaluations, with their
    decisions, of which every model is kept.

    A folder is renamed before it is emptied, while nobody makes that artifact, and an artifact goes before what it was
    made from: whenever this ends, each artifact is whole or not there, and those that are there have their inputs.

    Args:
        dry_run: only say what would go.

    Raises:
        InputError: `keep` is less than 1.
        GalileuError: a manifest, or a file that says what is current, in service or in the making, cannot be read, in
            which case nothing is removed; or a folder cannot be removed.
    """
    if keep < 1:
        raise InputError(f"To keep {keep} models of each asset would leave nothing to fall back on; keep at least 1.")
    manifests = _read_manifests(store)
    needed = _needed(store, manifests, keep)
    doomed = [*_unneeded(store, manifests, needed), *_checkpoints(store, manifests), *rubbish(store)]
    removed = [
        removal
        for removal in doomed
        # Looked at anew each time: it may have come into use while other folders were emptied.
        if _is_free(store, removal, manifests, keep) and (dry_run or _remove(store, removal, manifests, keep))
    ]
    gone = sum(removal.kind in _KINDS.values() for removal in removed)
    return Pruning(dry_run=dry_run, kept=len(manifests) - gone, removed=removed)


def _read_manifests(store: ArtifactStore) -> dict[str, Manifest]:
    """Of every whole artifact, by the name of its folder."""
    found = (store.find(path.name) for path in store.folders())
    return {artifact.path.name: artifact.manifest for artifact in found if artifact}


def _needed(store: ArtifactStore, manifests: Mapping[str, Manifest], keep: int) -> set[str]:
    needed = _with_ancestors(manifests, _wanted(store, manifests, keep))
    while fitting := [
        name
        for name, manifest in manifests.items()
        if name not in needed and _is_evaluation(store, manifest.asset) and _compared(store, manifest) <= needed
    ]:
        needed |= _with_ancestors(manifests, fitting)
    return needed


def _wanted(store: ArtifactStore, manifests: Mapping[str, Manifest], keep: int) -> set[str]:
    """What is needed for its own sake; some of it may be gone."""
    champion = ChampionFile(store).read()
    wanted = {*store.current_ids(), champion.id, *champion.before, *(change.decision for change in champion.history)}
    for name, inputs in store.in_the_making().items():
        wanted |= {name, *inputs}
    wanted |= {name for name, manifest in manifests.items() if utc_now() - manifest.created_at < _JUST_MADE}
    by_asset: dict[str, list[str]] = {}
    for name, manifest in sorted(manifests.items(), key=lambda item: (item[1].created_at, item[0]), reverse=True):
        if store.data.artifacts(manifest.asset).name == "models":
            by_asset.setdefault(manifest.asset, []).append(name)
    return {name for name in wanted if name} | {name for names in by_asset.values() for name in names[:keep]}


def _with_ancestors(manifests: Mapping[str, Manifest], names: Iterable[str]) -> set[str]:
    """Those of `names` that are there, with all they were made from that is there."""
    found: set[str] = set()
    queue = list(names)
    while queue:
        name = queue.pop()
        if name in manifests and name not in found:
            found.add(name)
            queue.extend(ref.id for ref in manifests[name].inputs)
    return found


def _is_evaluation(store: ArtifactStore, asset: str) -> bool:
    return store.data.artifacts(asset).name == "evaluations"


def _compared(store: ArtifactStore, evaluation: Manifest) -> set[str]:
    """The models of an evaluation; of a decision, the evaluation."""
    return {ref.id for ref in evaluation.inputs if store.data.artifacts(ref.asset).name != "datasets"}


def _unneeded(store: ArtifactStore, manifests: Mapping[str, Manifest], needed: set[str]) -> Iterator[Removal]:
    """Artifacts that go, each before what it was made from."""
    inputs = {name: [ref.id for ref in manifest.inputs] for name, manifest in manifests.items()}
    for name in reversed(list(TopologicalSorter(inputs).static_order())):
        if name in manifests and name not in needed:
            path = store.data.artifacts(manifests[name].asset) / name
            yield _removal(_KINDS[path.parent.name], name, path)


def _checkpoints(store: ArtifactStore, manifests: Mapping[str, Manifest]) -> Iterator[Removal]:
    """What killed runs left of artifacts that are whole by now."""
    for name in sorted(manifests):
        if (path := store.data.checkpoints(name)).is_dir():
            yield _removal("checkpoints", name, path)


def rubbish(store: ArtifactStore) -> Iterator[Removal]:
    """Folders that are not whole: what was being written, or removed, when its process was killed."""
    for home in (store.data.root / kind for kind in (*ARTIFACT_KINDS, "checkpoints")):
        for path in sorted(home.iterdir()) if home.is_dir() else ():
            partial = _PARTIAL.fullmatch(path.name)
            if partial and re.fullmatch(ID_PATTERN, partial["id"]) and path.is_dir():
                yield _removal("rubbish", partial["id"], path)
    for path in store.folders():
        if _OWN_ID.fullmatch(path.name) and not (path / MANIFEST_NAME).is_file():
            yield _removal("rubbish", path.name, path)


def _removal(kind: Kind, artifact_id: str, path: Path) -> Removal:
    return Removal(kind=kind, id=artifact_id, path=path, size=_size(path))


def _size(folder: Path) -> int:
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # somebody is writing it, so it will not go anyway
                size += (Path(path) / name).lstat().st_size
    return size


def _is_free(store: ArtifactStore, removal: Removal, manifests: Mapping[str, Manifest], keep: int) -> bool:
    if removal.kind in _KINDS.values():
        return removal.id not in _needed(store, manifests, keep)
    return removal.id not in store.in_the_making()


def _remove(store: ArtifactStore, removal: Removal, manifests: Mapping[str, Manifest], keep: int) -> bool:
    """Whether it went: not where somebody makes that artifact, begins to use it, or has removed it already."""
    path = removal.path
    try:
        with store.lock(removal.id, timeout=0):
            if not path.is_dir():
                return False
            store.forget_making(removal.id)
            if not _PARTIAL.fullmatch(path.name):
                path = path.rename(hidden_name(path))
                # Whoever makes something of it says so first, and then looks whether it is there.
                if not _is_free(store, removal, manifests, keep):
                    path.rename(removal.path)
                    return False
                sync(path.parent)
            shutil.rmtree(path)
    except Timeout:
        return False
    except OSError as error:
        raise GalileuError(
            f"{removal.path} could not be removed: {error}. What is left of it counts as nothing; correct that and "
            "prune again."
        ) from error
    return True
