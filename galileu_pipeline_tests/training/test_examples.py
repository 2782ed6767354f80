"""What a stage learns from: nothing is cut, what is left out is counted and named."""

from typing import Any

import pytest
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.errors import StageError
from galileu_pipeline.training.encoding import Messages
from galileu_pipeline.training.examples import (
    IGNORED_LABEL,
    Encode,
    completion,
    encode_examples,
    preference,
    question,
    whole_preference,
)

QUESTION: Messages = [{"role": "user", "content": "Quem é você?"}]
ENCODINGS: dict[str, Encode] = {"sft": completion, "dpo": preference, "reward": whole_preference}


def answer(text: str) -> Messages:
    return [{"role": "assistant", "content": text}]


def rows(*texts: tuple[str, str]) -> Dataset:
    """Of two texts, the first is the better answer, and the one to imitate."""
    return Dataset.from_list(
        [
            {
                "pair_id": f"pair-{number}",
                "prompt": QUESTION,
                "chosen": answer(good),
                "rejected": answer(bad),
                "completion": answer(good),
            }
            for number, (good, bad) in enumerate(texts)
        ]
    )


SHORT, LONG = ("Sou Galileu.", "Não sei."), ("Vi a Lua. " * 40, "Não sei.")


@pytest.mark.parametrize("stage", ENCODINGS)
def test_long_examples_are_left_out_counted_and_named(tokenizer: PreTrainedTokenizerBase, stage: str) -> None:
    examples = encode_examples(rows(SHORT, LONG, SHORT), tokenizer, ENCODINGS[stage], 100)
    assert len(examples) == 2
    assert (examples.too_long, examples.equal) == (1, 0)
    assert examples.longest.startswith("pair-1: ")
    assert "1 too long (the longest is pair-1: " in examples.left_out


@pytest.mark.parametrize("stage", ENCODINGS)
def test_the_longest_that_fits_is_whole(tokenizer: PreTrainedTokenizerBase, stage: str) -> None:
    alone = encode_examples(rows(LONG), tokenizer, ENCODINGS[stage])
    tokens = int(alone.longest.split(": ")[1].split()[0])
    whole = encode_examples(rows(LONG), tokenizer, ENCODINGS[stage], tokens)
    assert len(whole) == 1
    assert whole.rows[0] == alone.rows[0]
    last = whole.rows[0]["input_ids" if stage == "sft" else "chosen_ids"]
    assert tokenizer.decode(last).rstrip().endswith("<|im_end|>")
    assert len(encode_examples(rows(LONG), tokenizer, ENCODINGS[stage], tokens - 1)) == 0


@pytest.mark.parametrize("stage", ["dpo", "reward"])
def test_pairs_of_the_same_tokens_are_left_out_and_counted(tokenizer: PreTrainedTokenizerBase, stage: str) -> None:
    examples = encode_examples(rows(SHORT, ("Sim.", "Sim.")), tokenizer, ENCODINGS[stage], 100)
    assert (len(examples), examples.too_long, examples.equal) == (1, 0, 1)
    assert examples.left_out == "1 with the same tokens on both sides"


def test_a_side_alone_may_be_too_long(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode_examples(rows(LONG[::-1]), tokenizer, preference, 100).too_long == 1


def test_too_few_are_an_error_that_says_why(tokenizer: PreTrainedTokenizerBase) -> None:
    examples = encode_examples(rows(SHORT, LONG, ("Sim.", "Sim.")), tokenizer, preference, 100)
    with pytest.raises(StageError, match=r"1 training examples are left, 8 are needed; 1 too long .*Raise max_length"):
        examples.require(8, "training", 100)
    examples.require(1, "training", 100)
    with pytest.raises(StageError, match="Collect more feedback"):
        encode_examples(rows(SHORT), tokenizer, preference, 100).require(2, "training", 100)


def test_the_loss_is_on_the_completion_only(tokenizer: PreTrainedTokenizerBase) -> None:
    (row,) = encode_examples(rows(SHORT), tokenizer, completion).rows
    learnt = [label for label in row["labels"] if label != IGNORED_LABEL]
    assert tokenizer.decode(learnt).startswith("Sou Galileu.<|im_end|>")
    assert len(row["labels"]) == len(row["input_ids"])


def test_both_sides_of_a_pair_follow_one_prompt(tokenizer: PreTrainedTokenizerBase) -> None:
    (row,) = encode_examples(rows(SHORT), tokenizer, preference).rows
    assert tokenizer.decode(row["prompt_ids"]).endswith("<|im_start|>assistant\n")
    (whole,) = encode_examples(rows(SHORT), tokenizer, whole_preference).rows
    assert whole["chosen_ids"] == row["prompt_ids"] + row["chosen_ids"]
    assert whole["rejected_ids"] == row["prompt_ids"] + row["rejected_ids"]


def test_questions_are_encoded_up_to_the_answer(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded: Any = encode_examples(rows(SHORT).select_columns(["prompt"]), tokenizer, question, 100)
    assert tokenizer.decode(encoded.rows[0]["prompt_ids"]).endswith("<|im_start|>assistant\n")
