"""Loading what a stage trains: the frozen base, and the one adapter on it."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    TaskType,
    get_peft_model,
    get_peft_model_state_dict,
    load_peft_weights,
    prepare_model_for_kbit_training,
    set_peft_model_state_dict,
)
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from galileu_pipeline.files import make_readable
from galileu_pipeline.training.classifier import read_at_the_end
from galileu_pipeline.training.settings import LoraSettings, ModelFiles, Resources, StageSpec
from galileu_pipeline.training.sharing import twin
from galileu_pipeline.training.writing import write_adapter

ADAPTER_CONFIG = "adapter_config.json"
_SHORT_TOKENS = 512


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def load_policy(spec: StageSpec) -> PeftModel:
    """The causal model with a trainable adapter: the one of `spec.adapter`, or a fresh one, which changes nothing."""
    model = _load_base(AutoModelForCausalLM, spec.base, spec.resources, **_attention(spec))
    if spec.adapter is None:
        return get_peft_model(model, _lora_config(spec.lora, TaskType.CAUSAL_LM))
    policy = PeftModel.from_pretrained(model, spec.adapter, is_trainable=True)
    # An artifact's id to PEFT, which would ask the model hub for it whenever a checkpoint is saved.
    policy.peft_config["default"].base_model_name_or_path = str(spec.base)
    return policy


def load_reward_model(spec: StageSpec, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
    """A sequence classifier with one output, its fresh `score` head trainable, its adapter that of `spec.adapter`.

    The adapters of a causal model and of a classifier have the same names and shapes, so the reward model starts from
    the SFT model, as in InstructGPT (Ouyang et al., 2203.02155, section 3.5), and has its shape and scale.
    """
    model = _load_classifier(spec.base, spec.resources, tokenizer, **_attention(spec))
    if spec.adapter is None:
        return get_peft_model(model, _lora_config(spec.lora, TaskType.SEQ_CLS))
    config = PeftConfig.from_pretrained(str(spec.adapter))
    config.task_type, config.inference_mode = TaskType.SEQ_CLS, False
    wrapped = get_peft_model(model, config)
    weights = get_peft_model_state_dict(wrapped) | load_peft_weights(str(spec.adapter), device="cpu")
    set_peft_model_state_dict(wrapped, weights)
    return wrapped


def load_reward_model_beside(
    policy: PeftModel, adapter: Path, tokenizer: PreTrainedTokenizerBase, *, trainable: bool = False
) -> PeftModel:
    """The trained reward model of `adapter`, over the frozen weights of `policy`, which are its base too.

    Nothing but its adapter and its `score` head takes memory.
    """
    bare: Any = twin(policy).unload()
    config = copy.deepcopy(bare.config)
    config.update({"num_labels": 1, "pad_token_id": tokenizer.pad_token_id})
    with torch.device("meta"):
        classifier: Any = AutoModelForSequenceClassification.from_config(config)
    setattr(classifier, classifier.base_model_prefix, getattr(bare, bare.base_model_prefix))
    classifier.score = torch.nn.Linear(bare.config.get_text_config().hidden_size, 1, bias=False, device=bare.device)
    return PeftModel.from_pretrained(read_at_the_end(classifier).eval(), adapter, is_trainable=trainable)


def load_judge(judge: ModelFiles, tokenizer: PreTrainedTokenizerBase) -> PeftModel:
    """The trained reward model on a base of its own, on the GPU if there is one; to score answers with."""
    model = _placed(_load_classifier(judge.base, judge.resources, tokenizer), judge.resources)
    return PeftModel.from_pretrained(model, str(judge.adapter)).eval()


def load_trained(base: Path, adapter: Path | None, resources: Resources) -> PreTrainedModel | PeftModel:
    """A causal model to talk to, on the GPU if there is one: the base, with the adapter on it if there is one."""
    model = _placed(_load_base(AutoModelForCausalLM, base, resources), resources)
    return (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def save_adapter(model: PeftModel, spec: StageSpec) -> None:
    """Write the adapter to `spec.output` as safetensors, with the tokenizer.

    The same weights give the same bytes: PEFT writes sets in no fixed order and the base's path on this machine, and
    a trainer leaves its truncation in the tokenizer.
    """
    output = spec.output
    write_adapter(model, output, selected_adapters=["default"])
    load_tokenizer(spec.base).save_pretrained(output)
    make_readable(output)
    path = output / ADAPTER_CONFIG
    config = json.loads(path.read_text(encoding="utf-8"))
    config["base_model_name_or_path"] = spec.base_id
    for name, value in config.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            config[name] = sorted(value)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _load_classifier(
    base: Path, resources: Resources, tokenizer: PreTrainedTokenizerBase, **options: Any
) -> PreTrainedModel:
    """The base with a fresh `score` head of one output."""
    options |= {"num_labels": 1, "pad_token_id": tokenizer.pad_token_id}
    return read_at_the_end(_load_base(AutoModelForSequenceClassification, base, resources, **options))


def _placed(model: Any, resources: Resources) -> Any:
    # bitsandbytes places what it quantizes itself
    return model.to("cuda") if resources.quantization == "none" and torch.cuda.is_available() else model


def _load_base(auto_class: Any, folder: Path, resources: Resources, **options: Any) -> PreTrainedModel:
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[resources.precision]
    if resources.quantization == "nf4":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    model = auto_class.from_pretrained(
        folder, dtype=dtype, local_files_only=True, use_safetensors=True, trust_remote_code=False, **options
    )
    if resources.quantization == "nf4":
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    head = model.get_output_embeddings()
    if head is not None:
        head.register_forward_pre_hook(_in_one_piece)
    return model


def _attention(spec: StageSpec) -> dict[str, str]:
    """How a model is loaded that is to be trained on a CPU.

    Backwards, PyTorch's fused attention is slower there than the plain one (SmolLM2-135M, 8 texts of 95 tokens: 1.99 s
    against 1.54 s for both passes), which holds a number for every two tokens; so long texts stay with the fused one.
    """
    length = spec.settings.get("max_length")
    short = isinstance(length, int) and length <= _SHORT_TOKENS
    return {"attn_implementation": "eager"} if spec.resources.gpus == 0 and short else {}


def _in_one_piece(_: torch.nn.Module, hidden: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """What the output layer reads. For a slice of tokens PyTorch (2.13) copies the layer once an answer, on a CPU."""
    return tuple(tensor.contiguous() for tensor in hidden)


def _lora_config(lora: LoraSettings, task: TaskType) -> LoraConfig:
    return LoraConfig(
        task_type=task,
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
        bias="none",
    )
