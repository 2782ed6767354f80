"""Stage `base`: the base model as a local folder of safetensors, wherever it comes from."""

import importlib.util
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from pydantic import TypeAdapter
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    set_seed,
)

from galileu_pipeline.errors import InputError, InterruptedProcessError, StageError
from galileu_pipeline.files import make_readable
from galileu_pipeline.process import Report
from galileu_pipeline.training.settings import (
    BaseSettings,
    GgufBase,
    HubBase,
    LocalBase,
    StageResult,
    StageSpec,
    TinyBase,
)

_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TINY_CORPUS = Path(__file__).with_name("tiny_corpus.txt")


def run(spec: StageSpec, report: Report) -> StageResult:
    """Write the base model of `spec.settings` to `spec.output`: safetensors, config, tokenizer.

    Raises:
        InputError: what the profile names is not there, or not usable.
    """
    settings: Any = TypeAdapter(BaseSettings).validate_python(spec.settings)
    resolvers: dict[type, Any] = {GgufBase: _from_gguf, HubBase: _from_hub, LocalBase: _from_folder, TinyBase: _tiny}
    model, tokenizer = resolvers[type(settings)](settings, spec, report)
    if tokenizer.chat_template is None:
        raise InputError(f"The base model {settings} has no chat template; choose an instruction-tuned model.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model.config._name_or_path = ""
    model.save_pretrained(spec.output, safe_serialization=True)
    tokenizer.save_pretrained(spec.output)
    make_readable(spec.output)
    return StageResult(metrics={"parameters": model.num_parameters()})


def _from_gguf(settings: GgufBase, spec: StageSpec, report: Report) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Dequantized weights copied into a fresh model: one loaded from GGUF refuses to be saved."""
    found = importlib.util.find_spec(settings.package)
    if found is None or not found.submodule_search_locations:
        raise InputError(
            f"The package {settings.package}, which carries the base model, is not installed. `make setup` installs it."
        )
    folder = Path(found.submodule_search_locations[0])
    if not (folder / settings.file).is_file():
        raise InputError(
            f"There is no {settings.file} in the package {settings.package}; look at base.file in the profile."
        )
    report(f"converting {settings.file} to safetensors")
    config = AutoConfig.from_pretrained(folder, gguf_file=settings.file)
    # Given the config, it reads the file's vocabulary once less: three seconds each time.
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=settings.file, config=config, dtype=torch.float32)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.tie_weights()
    fresh.generation_config = loaded.generation_config
    return fresh, AutoTokenizer.from_pretrained(folder, gguf_file=settings.file)


def _from_hub(settings: HubBase, spec: StageSpec, report: Report) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    report(f"downloading {settings.repo} at {settings.revision[:12]}")
    options: dict[str, Any] = {"revision": settings.revision, "trust_remote_code": False}
    try:
        model = AutoModelForCausalLM.from_pretrained(settings.repo, dtype="auto", use_safetensors=True, **options)
        return model, AutoTokenizer.from_pretrained(settings.repo, **options)
    except OSError as error:
        # The hub's client says so where it could not connect, and has no copy of an earlier download.
        unreachable = isinstance(error.__cause__ or error.__context__, LocalEntryNotFoundError)
        raise (InterruptedProcessError if unreachable else StageError)(
            f"{settings.repo} could not be loaded from the hub: {str(error).splitlines()[0]} For a gated model accept "
            "its licence and set HF_TOKEN; without a network, use a profile with a local or packaged base."
        ) from error


def _from_folder(
    settings: LocalBase, spec: StageSpec, report: Report
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    folder = settings.path.expanduser()
    if not any(folder.glob("*.safetensors")):
        raise InputError(f"base.path {folder} holds no safetensors weights.")
    report(f"reading {folder}")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True, local_files_only=True)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _tiny(settings: TinyBase, spec: StageSpec, report: Report) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    report("building the tiny model")
    set_seed(spec.seed)
    tokenizer = _tiny_tokenizer(settings.vocabulary)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden_size,
        intermediate_size=4 * settings.hidden_size,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=settings.hidden_size**-0.5,  # the usual 0.02 is meant for wide models; here it starves them
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig.from_model_config(config)
    return model, tokenizer


def _tiny_tokenizer(vocabulary: int) -> PreTrainedTokenizerBase:
    """Byte-level BPE: every text can be encoded, common Portuguese words are one token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TINY_CORPUS.read_text(encoding="utf-8").splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=_CHAT_TEMPLATE,
    )
