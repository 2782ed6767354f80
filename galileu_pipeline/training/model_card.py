"""The README.md of a model: what it is, what it was made of, how good, on which terms, how to load it.

Above the text stands metadata as the Hugging Face hub reads it. Where a base model or a dataset is on no hub, the id of
the artifact takes the place of its id there.
"""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from galileu_pipeline.lineage.artifacts import Artifact, Plan
from galileu_pipeline.markdown import escape, printable, table
from galileu_pipeline.training.settings import stage_of_asset

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, ModelCardData

_TITLES = {
    "base_model": "the base model every stage starts from",
    "sft_model": "an adapter that imitates the answers people rated well (SFT)",
    "reward_model": "a reward model: which of two answers people prefer",
    "control_reward_model": "a second reward model, to judge what has learnt from the first",
    "dpo_model": "an adapter that learnt from people's preferences (DPO)",
    "ppo_model": "an adapter that learnt to please the reward model (PPO)",
}
_TRAINED_BY_TRL = ("sft", "reward", "dpo")
_LANGUAGE = "pt"  # what the adapters learn from: feedback on a chatbot that speaks Portuguese

Metrics = Mapping[str, Any]


def model_card(plan: Plan, metrics: Metrics) -> str:
    """YAML and Markdown. The same plan and metrics give the same text: it counts towards the artifact's digest."""
    from huggingface_hub import ModelCard  # takes half a second, which every start of the orchestrator would wait for

    return str(ModelCard(f"---\n{_metadata(plan, metrics).to_yaml()}\n---\n\n{_text(plan, metrics)}"))


def _metadata(plan: Plan, metrics: Metrics) -> "ModelCardData":
    from huggingface_hub import ModelCardData

    adapter = plan.asset != "base_model"
    results = _eval_results(plan, metrics)
    return ModelCardData(
        base_model=_base_name(plan),
        library_name="peft" if adapter else "transformers",
        pipeline_tag=_task(plan),
        license=_base_settings(plan).get("license"),
        language=_LANGUAGE if adapter else None,
        datasets=[dataset.id for dataset in _datasets(plan)] or None,
        tags=[
            "galileu_pipeline",
            stage_of_asset(plan.asset),
            *(["lora"] if adapter else []),
            *(["trl"] if stage_of_asset(plan.asset) in _TRAINED_BY_TRL else []),
        ],
        model_name=plan.id if results else None,
        eval_results=results or None,
    )


def _eval_results(plan: Plan, metrics: Metrics) -> "list[EvalResult]":
    """What the model itself reached on the test split; what it is compared with stands in the text."""
    from huggingface_hub import EvalResult

    accuracy = metrics.get("preference_accuracy", {}).get(f"{stage_of_asset(plan.asset)}_model", {})
    gain = metrics.get("held_out_reward", {}).get("gain", {})
    measured = (
        ("accuracy", "held-out preference accuracy", accuracy.get("value")),
        ("reward", "gain of reward over the SFT model", gain.get("value")),
        ("loss", "held-out loss, nats a token", metrics.get("eval_loss")),
        ("accuracy", "held-out token accuracy", metrics.get("eval_token_accuracy")),
    )
    return [
        EvalResult(
            task_type=_task(plan),
            dataset_type=dataset.id,
            dataset_name=dataset.manifest.asset,
            dataset_split="test",
            dataset_revision=dataset.manifest.digest,
            metric_type=kind,
            metric_name=name,
            metric_value=value,
        )
        for dataset in _datasets(plan)
        for kind, name, value in measured
        if value is not None
    ]


def _task(plan: Plan) -> str:
    return "text-classification" if stage_of_asset(plan.asset) == "reward" else "text-generation"


def _base_name(plan: Plan) -> str | None:
    """The base on the hub, if it is from there; else the artifact's id, as adapter_config.json has it."""
    if repo := _base_settings(plan).get("repo"):
        return printable(repo)
    return next((item.id for item in plan.inputs if item.manifest.asset == "base_model"), None)


def _base_settings(plan: Plan) -> dict[str, Any]:
    """Where the base came from: the settings of stage `base`."""
    configs = [item.manifest.config for item in plan.inputs if item.manifest.asset == "base_model"]
    found: dict[str, Any] = (configs[0] if configs else plan.config).get("stage", {})
    return found


def _datasets(plan: Plan) -> list[Artifact]:
    return [item for item in plan.inputs if item.manifest.asset.endswith("_dataset")]


def _text(plan: Plan, metrics: Metrics) -> str:
    made_of = table(("input", "sha256 of its files"), ((f"`{i.id}`", f"`{i.manifest.digest}`") for i in plan.inputs))
    rows = [
        (f"`{dataset.id}`: {escape(name)}", count)
        for dataset in _datasets(plan)
        for name, count in dataset.manifest.metrics.items()
        if isinstance(count, int)
    ]
    data = f"## Data\n\n{table(('dataset', 'rows'), rows)}\n\n" if rows else ""
    return (
        f"# {plan.id}\n\n"
        f"This is {_TITLES[plan.asset]}, made by galileu_pipeline.\n\n"
        f"## Made of\n\n{made_of if plan.inputs else 'The source named under Settings.'}\n\n"
        f"Seed {plan.seed}. The whole record is in `manifest.json` beside this file: inputs, settings, code, "
        f"environment and the digest of every file.\n\n"
        f"{data}"
        f"## Licence\n\n{_licence(plan)}\n\n"
        f"## Metrics\n\n{_about_metrics(plan)}"
        f"{table(('metric', 'value', '95 % interval', 'n'), _figures(metrics))}\n\n"
        f"## Settings\n\n{_block(_shown_settings(plan))}\n"
        f"## Use\n\n{_usage(plan)}"
    )


def _licence(plan: Plan) -> str:
    base = _base_settings(plan)
    if base.get("source") == "tiny":
        return "The base model is built from random weights; nobody else's terms apply to it."
    if (name := base.get("license")) is None:
        return "That of the base model is not recorded. Look it up where the base came from before you pass this on."
    return f"The base model's is `{printable(name)}`. Its terms hold for what is made from it too."


def _about_metrics(plan: Plan) -> str:
    return "" if plan.asset == "base_model" else "On held-out questions, none of which was trained on.\n\n"


def _figures(metrics: Metrics, prefix: str = "") -> Iterator[tuple[object, ...]]:
    """Every metric, a row each: name, value, interval and number of observations, as far as it has them."""
    for key, value in metrics.items():
        name = prefix + escape(key)
        if isinstance(value, Mapping) and "low" in value:
            yield name, f"{value['value']:.3f}", f"{value['low']:.3f} to {value['high']:.3f}", value["n"]
        elif isinstance(value, Mapping):
            yield from _figures(value, f"{name}: ")
        else:
            yield name, _figure(value), "", ""


def _figure(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else escape(str(value))


def _shown_settings(plan: Plan) -> dict[str, Any]:
    """Without the folder of a local base: a card goes to people who do not have that folder."""
    stage = plan.config.get("stage", {})
    return {**plan.config, "stage": {name: value for name, value in stage.items() if name != "path"}}


def _usage(plan: Plan) -> str:
    if plan.asset == "base_model":
        return "`AutoModelForCausalLM.from_pretrained` opens this folder.\n"
    if stage_of_asset(plan.asset) == "reward":
        return (
            "Open the base with `AutoModelForSequenceClassification` and `num_labels=1`, then this folder on it with "
            "`PeftModel.from_pretrained`.\n"
        )
    return f'`galileu generate {plan.id} "Quem é você?"`, or `PeftModel.from_pretrained` of this folder on the base.\n'


def _block(value: object) -> str:
    """No text in it can end it: JSON has no line breaks within texts."""
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)}\n```\n"
