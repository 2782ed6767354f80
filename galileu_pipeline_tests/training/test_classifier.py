"""Rewards are read at the last token of an answer, whatever token that is, and computed in fp32."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from galileu_pipeline.training.backbone import load_policy, load_reward_model, load_tokenizer, save_adapter
from galileu_pipeline.training.classifier import read_at_the_end
from galileu_pipeline.training.encoding import EncodedAnswer, encode_answer
from galileu_pipeline.training.scoring import answer_rewards
from galileu_pipeline.training.settings import LoraSettings, Resources, StageSpec

# As Llama-3.1's does, it ends an answer with the end token, and nothing after it.
ENDS_WITH_EOS = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ANSWERS = ["Sou Galileu.", "Não sei.", "Uma resposta bem mais longa do que as outras duas, com muitas palavras."]


@pytest.fixture
def padded_with_eos(tiny_base: Path) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(tiny_base)
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = ENDS_WITH_EOS
    return tokenizer


@pytest.fixture
def classifier(tiny_base: Path, padded_with_eos: PreTrainedTokenizerBase) -> Any:
    torch.manual_seed(0)
    plain = AutoModelForSequenceClassification.from_pretrained(
        tiny_base, num_labels=1, pad_token_id=padded_with_eos.pad_token_id
    )
    return read_at_the_end(plain).eval()


def encoded(tokenizer: PreTrainedTokenizerBase) -> list[EncodedAnswer]:
    question = [{"role": "user", "content": "Quem é você?"}]
    return [encode_answer(tokenizer, question, [{"role": "assistant", "content": text}]) for text in ANSWERS]


def by_hand(classifier: Any, answer: EncodedAnswer) -> float:
    with torch.no_grad():
        hidden = classifier.model(torch.tensor([answer.ids])).last_hidden_state[0, -1]
        return float(classifier.score(hidden))


def test_the_end_token_is_read_although_it_pads(classifier: Any, padded_with_eos: PreTrainedTokenizerBase) -> None:
    answers = encoded(padded_with_eos)
    assert {answer.ids[-1] for answer in answers} == {padded_with_eos.pad_token_id}
    rewards = answer_rewards(classifier, padded_with_eos, answers, 3)
    assert rewards == pytest.approx([by_hand(classifier, answer) for answer in answers], rel=1e-4, abs=1e-6)


def test_padding_on_the_left_is_no_matter(classifier: Any, padded_with_eos: PreTrainedTokenizerBase) -> None:
    answer = encoded(padded_with_eos)[0]
    gap = [padded_with_eos.pad_token_id] * 5
    with torch.no_grad():
        padded = classifier(
            input_ids=torch.tensor([gap + answer.ids]),
            attention_mask=torch.tensor([[0] * 5 + [1] * len(answer.ids)]),
            position_ids=torch.tensor([[0] * 5 + list(range(len(answer.ids)))]),
        )
    assert float(padded.logits) == pytest.approx(by_hand(classifier, answer), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_head_is_fp32_whatever_the_base_is(
    tiny_base: Path, padded_with_eos: PreTrainedTokenizerBase, precision: Any
) -> None:
    spec = StageSpec(
        stage="reward",
        output=tiny_base,
        checkpoints=tiny_base,
        settings={},
        base=tiny_base,
        lora=LoraSettings(r=2, alpha=4),
        resources=Resources(precision=precision),
    )
    model: Any = load_reward_model(spec, padded_with_eos)
    heads = {parameter.dtype for name, parameter in model.named_parameters() if "score" in name}
    assert heads == {torch.float32}
    ids = torch.tensor([[5, 6, 7]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.dtype == torch.float32


def test_a_reward_model_has_the_scale_of_the_adapter_it_starts_from(
    tiny_base: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    def spec(alpha: int, adapter: Path | None = None) -> StageSpec:
        return StageSpec(
            stage="reward",
            output=tmp_path,
            checkpoints=tmp_path,
            settings={},
            base=tiny_base,
            adapter=adapter,
            lora=LoraSettings(r=2, alpha=alpha, target_modules=["q_proj"]),
        )

    save_adapter(load_policy(spec(64)), spec(64))
    model = load_reward_model(spec(4, adapter=tmp_path), tokenizer)
    assert model.peft_config["default"].lora_alpha == 64
    scales = {module.scaling["default"] for module in model.modules() if isinstance(module, LoraLayer)}
    assert scales == {32.0}
    assert any(parameter.requires_grad for name, parameter in model.named_parameters() if "score" in name)
