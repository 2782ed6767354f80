"""The README.md of a model: what it is, what it was made of, how good, how to load it."""

import json
from typing import Any

from galileu_pipeline.lineage.artifacts import Plan

_TITLES = {
    "base_model": "the base model every stage starts from",
    "sft_model": "an adapter that imitates the answers people rated well (SFT)",
    "reward_model": "a reward model: which of two answers people prefer",
    "dpo_model": "an adapter that learnt from people's preferences (DPO)",
}


def model_card(plan: Plan, metrics: dict[str, Any]) -> str:
    """Markdown. The same plan and metrics give the same text, since it counts towards the artifact's digest."""
    inputs = "".join(f"- `{item.id}` (sha256 of its files: `{item.manifest.digest}`)\n" for item in plan.inputs)
    return (
        f"# {plan.id}\n\n"
        f"This is {_TITLES[plan.asset]}, made by galileu_pipeline.\n\n"
        f"## Made of\n\n{inputs or 'The source named below.'}\n"
        f"Seed {plan.seed}. The whole record is in `manifest.json`.\n\n"
        f"## Metrics\n\nOn held-out questions, none of which was trained on.\n\n{_block(metrics)}\n"
        f"## Settings\n\n{_block(plan.config)}\n"
        f"## Use\n\n{_usage(plan)}"
    )


def _usage(plan: Plan) -> str:
    if plan.asset == "base_model":
        return "`AutoModelForCausalLM.from_pretrained` opens this folder.\n"
    if plan.asset == "reward_model":
        return (
            "Open the base with `AutoModelForSequenceClassification` and `num_labels=1`, then this folder on it with "
            "`PeftModel.from_pretrained`.\n"
        )
    return f'`galileu generate {plan.id} "Quem é você?"`, or `PeftModel.from_pretrained` of this folder on the base.\n'


def _block(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)}\n```\n"
