"""Asking a model of the store a question."""

from galileu_pipeline.errors import InputError
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.training.settings import Resources


def answer(store: ArtifactStore, name: str, question: str, max_new_tokens: int) -> tuple[str, str]:
    """The greedy answer of a model, and the model's id.

    Args:
        name: an artifact id, or an asset, which means its current artifact.

    Raises:
        InputError: the question is empty, or the model does not generate text.
        MissingArtifactError: there is no such model.
    """
    if not question.strip():
        raise InputError("The prompt is empty.")
    model = store.load(name) if "-" in name else store.current(name)
    asset = model.manifest.asset
    if asset in ("reward_model",) or not asset.endswith("_model"):
        raise InputError(f"{model.id} does not generate text; choose a base, SFT or DPO model.")

    # Imported here: a wrong name is answered without waiting for PyTorch.
    from galileu_pipeline.feedback.datasets import conversation
    from galileu_pipeline.profiles.schema import load_profile
    from galileu_pipeline.training.backbone import load_tokenizer, load_trained
    from galileu_pipeline.training.generation import generate

    base = _base_of(store, model)
    config = model.manifest.config
    resources = Resources(precision=config.get("precision", "fp32"), quantization=config.get("quantization", "none"))
    network = load_trained(base.path, None if base is model else model.path, resources)
    prompt = conversation(load_profile(config["profile"]).datasets.system_prompt, question)
    return generate(network, load_tokenizer(base.path), [prompt], max_new_tokens)[0], model.id


def _base_of(store: ArtifactStore, model: Artifact) -> Artifact:
    if model.manifest.asset == "base_model":
        return model
    return store.load(next(ref.id for ref in model.manifest.inputs if ref.asset == "base_model"))
