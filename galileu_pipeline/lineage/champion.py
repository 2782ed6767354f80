"""Which model is in service: one small file, replaced as a whole, with the history of how it came to be."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from galileu_pipeline.errors import GalileuError, InputError, MissingArtifactError
from galileu_pipeline.files import replace_file
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.manifest import utc_now
from galileu_pipeline.lineage.tombstones import Tombstones
from galileu_pipeline.lineage.wholeness import require_whole


class Change(BaseModel):
    """One change of the model in service. None stands for the base model."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    how: Literal["promoted", "rolled_back"]
    by: Literal["rule", "person"]
    id: str | None
    replaced: str | None
    decision: str | None = None
    reason: str | None = None


class Champion(BaseModel):
    """The content of `champion.json`."""

    model_config = ConfigDict(frozen=True)

    id: str | None = None
    history: list[Change] = []

    @property
    def before(self) -> list[str | None]:
        """Who a rollback brings back, the last first: a rollback undoes the last promotion that still stands."""
        reigns: list[str | None] = []
        for change in self.history:
            if change.how == "promoted":
                reigns.append(change.replaced)
            elif reigns:
                reigns.pop()
        return reigns[::-1]

    @property
    def rolled_back(self) -> set[str]:
        """Models that were taken out of service, and that no person has put back since."""
        found: set[str] = set()
        for change in self.history:
            if change.how == "rolled_back" and change.replaced:
                found.add(change.replaced)
            elif change.id:
                found.discard(change.id)
        return found


class ChampionFile:
    """`champion.json` of a data folder. Changes take turns."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self._path = store.data.champion

    def read(self) -> Champion:
        """Who is in service; without the file, the base model.

        Raises:
            GalileuError: the file cannot be read as one.
        """
        if not self._path.is_file():
            return Champion()
        try:
            return Champion.model_validate_json(self._path.read_text(encoding="utf-8"))
        except (ValidationError, UnicodeDecodeError) as error:
            raise GalileuError(
                f'{self._path} does not name a model; it should be {{"id": "dpo_model-..."}}. Correct it, or remove it '
                "to serve the base model."
            ) from error

    def promote(
        self,
        model_id: str,
        *,
        by: Literal["rule", "person"],
        in_place_of: str | None,
        decision: str | None = None,
        reason: str | None = None,
    ) -> Champion:
        """Put a model into service.

        Args:
            in_place_of: who was in service when this was decided.

        Raises:
            GalileuError: somebody else has been put into service meanwhile, or its files are not what they were.
            InputError: it is in service already, or it learnt from feedback that was erased since.
            MissingArtifactError: there is no such model.
        """
        self._require_fit(self._store.load(model_id))
        with self._turn():
            champion = self.read()
            if champion.id != in_place_of:
                raise GalileuError(
                    f"{champion.id or 'The base model'} has come into service since this was decided for "
                    f"{in_place_of or 'the base model'}'s place. Materialize model_evaluation again."
                )
            if champion.id == model_id:
                raise InputError(f"{model_id} is in service already.")
            change = Change(
                at=utc_now(), how="promoted", by=by, id=model_id, replaced=champion.id, decision=decision, reason=reason
            )
            return self._write(champion, change)

    def roll_back(self, reason: str | None = None) -> Champion:
        """Bring back who was in service before the last promotion.

        Raises:
            InputError: there was no promotion, or all are undone; or the model of then learnt from feedback that was
                erased since.
            GalileuError: its files are not those it was made with.
            MissingArtifactError: the model of then is gone.
        """
        with self._turn():
            champion = self.read()
            if not champion.before:
                raise InputError(f"There is no promotion to undo; {champion.id or 'the base model'} is in service.")
            if champion.before[0] is not None:
                self._require_fit(self._store.load(champion.before[0]))
            change = Change(
                at=utc_now(), how="rolled_back", by="person", id=champion.before[0], replaced=champion.id, reason=reason
            )
            return self._write(champion, change)

    def withdraw(self, unfit: Callable[[str], bool], reason: str) -> Champion:
        """Take a model out of service for good: bring back the last that is not `unfit` and still there.

        Args:
            unfit: whether the model of an id must not serve; where no other one served, the base model does.

        Returns:
            Who is in service now, the same as before if it is not unfit.
        """
        with self._turn():
            champion = self.read()
            while champion.id is not None and (self._store.find(champion.id) is None or unfit(champion.id)):
                back = champion.before[0] if champion.before else None
                change = Change(
                    at=utc_now(), how="rolled_back", by="person", id=back, replaced=champion.id, reason=reason
                )
                champion = self._write(champion, change)
            return champion

    def _require_fit(self, model: Artifact) -> None:
        require_whole(self._store, model)
        if Tombstones(self._store.data).tainting(self._store, model.id):
            raise InputError(
                f"{model.id} learnt from feedback that was erased at a person's request; it cannot go into service. "
                "Train without it: dagster job execute -j retrain_all."
            )

    def _write(self, champion: Champion, change: Change) -> Champion:
        changed = Champion(id=change.id, history=[*champion.history, change])
        replace_file(self._path, changed.model_dump_json(indent=2) + "\n")
        return changed

    def _turn(self) -> FileLock:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(f"{self._path}.lock", timeout=60)


def in_service(store: ArtifactStore) -> Artifact:
    """The model in service: the champion, or the profile's base model where there is none.

    Raises:
        MissingArtifactError: the champion's folder is gone, or there is no base model yet.
        GalileuError: `champion.json` cannot be read.
    """
    champion = ChampionFile(store).read().id
    if champion is None:
        return store.current("base_model")
    if (found := store.find(champion)) is None:
        raise MissingArtifactError(
            f"{champion} is in service, but its folder is gone. Put another model into service: `galileu rollback`, or "
            "`galileu promote ID` (`galileu models` lists them)."
        )
    return found
