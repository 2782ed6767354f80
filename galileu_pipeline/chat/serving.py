"""Which models the chat speaks with. Asked anew before every answer, so that a change needs no restart."""

from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.lineage.champion import in_service
from galileu_pipeline.training.talk import choose_model

_RIVALS = ("ppo_model", "dpo_model", "sft_model")


def served_model(store: ArtifactStore, name: str | None = None) -> Artifact:
    """The model of that name; without one, the model in service.

    Raises:
        InputError: the model of that name does not generate text.
        MissingArtifactError: there is no such model, or no base model yet.
        GalileuError: `champion.json` cannot be read.
    """
    return choose_model(store, name or in_service(store).id)


def rival_model(store: ArtifactStore, served: Artifact, name: str | None = None) -> Artifact:
    """The model to compare with the one in service: the one of that name, or the newest candidate that is another.

    Where there is no other, the served one itself: two answers of one model by chance.

    Raises:
        InputError: the model of that name does not generate text.
        MissingArtifactError: there is no model of that name.
    """
    if name is not None:
        return choose_model(store, name)
    candidates = (store.find_current(asset) for asset in _RIVALS)
    return next((candidate for candidate in candidates if candidate and candidate.id != served.id), served)
