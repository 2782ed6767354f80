"""Which models the chat speaks with. Asked anew before every answer, so that a change needs no restart."""

from pydantic import BaseModel, ValidationError

from galileu_pipeline.errors import GalileuError, MissingArtifactError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.training.talk import choose_model

_RIVALS = ("ppo_model", "dpo_model", "sft_model")


class _Champion(BaseModel):
    id: str


def served_model(store: ArtifactStore, name: str | None = None) -> Artifact:
    """The model in service: the one of that name, or the champion, or the base model until there is a champion.

    Raises:
        InputError: the model of that name does not generate text.
        MissingArtifactError: there is no such model, or no base model yet.
        GalileuError: the champion's file cannot be read.
    """
    if name is not None:
        return choose_model(store, name)
    path = store.data.champion
    if not path.is_file():
        return choose_model(store, "base_model")
    try:
        champion = _Champion.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise GalileuError(f'{path} does not name a model; it should be {{"id": "dpo_model-..."}}.') from error
    return choose_model(store, champion.id)


def rival_model(store: ArtifactStore, served: Artifact, name: str | None = None) -> Artifact:
    """The model to compare with the one in service: the one of that name, or the newest candidate that is another.

    Where there is no other, the served one itself: two answers of one model by chance.

    Raises:
        InputError: the model of that name does not generate text.
        MissingArtifactError: there is no model of that name.
    """
    if name is not None:
        return choose_model(store, name)
    for asset in _RIVALS:
        try:
            candidate = store.current(asset)
        except MissingArtifactError:
            continue
        if candidate.id != served.id:
            return candidate
    return served
