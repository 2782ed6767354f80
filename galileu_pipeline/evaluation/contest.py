"""Models beside each other on held-out questions: they answer, the reward model judges, what they forgot is measured.

Shapes: B batch, T tokens, V vocabulary.
"""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from galileu_pipeline.errors import StageError
from galileu_pipeline.evaluation.estimates import Mean, PreferenceAccuracy, Proportion, WinRate
from galileu_pipeline.evaluation.measures import (
    canaries,
    changes_language,
    general_text,
    group_of,
    question_groups,
    repetition,
)
from galileu_pipeline.evaluation.results import (
    ANSWERS_FILE,
    RESULT_FILE,
    ComparedAnswer,
    Evaluation,
    Judge,
    MarginBand,
    ModelFigures,
)
from galileu_pipeline.evaluation.settings import EvaluationSettings, EvaluationSpec
from galileu_pipeline.evaluation.statistics import (
    bootstrap,
    mcnemar,
    mean,
    preference_accuracy,
    proportion,
    rank_correlation,
    ratio_of_means,
    win_rate,
)
from galileu_pipeline.feedback.pairing.datasets import conversation
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.process import Report
from galileu_pipeline.training.backbone import load_judge, load_tokenizer
from galileu_pipeline.training.encoding import EncodedAnswer, Messages, encode_answer, encode_prompt
from galileu_pipeline.training.examples import Encode, completion, encode_examples, preference
from galileu_pipeline.training.generation import GeneratedAnswer, generate
from galileu_pipeline.training.held_out_pairs import HeldOutPairs, questions_of
from galileu_pipeline.training.networks import Network, Networks
from galileu_pipeline.training.runner import read_split
from galileu_pipeline.training.scoring import grouped_rewards
from galileu_pipeline.training.settings import ModelFiles

_TEXT_TOKENS = 256
_MARGINS = (0.0, 0.25, 0.5, 1.0)  # a star of five is 0.25


@dataclass(frozen=True)
class Performance:
    """What one model did, before anybody judged it."""

    model: ModelFiles
    answers: list[GeneratedAnswer]
    canaries_passed: dict[str, bool]
    accuracy: PreferenceAccuracy
    right: list[bool]  # a held-out pair each
    margin: Mean
    kl: list[float]  # nats a token, a paragraph each
    nll: list[float]  # negative log-likelihood of the paragraphs, nats a token
    base_nll: list[float]


def run(spec: EvaluationSpec, report: Report) -> Evaluation:
    """Compare the models of `spec` and write `evaluation.json` and `answers.jsonl` to its output."""
    if not spec.resources.gpus:
        torch.set_num_threads(spec.resources.cpus)
    limit = spec.settings.max_pairs
    tokenizer = load_tokenizer(spec.judge.base)

    def chosen_split(name: str, encode: Encode) -> Dataset:
        rows = chosen_rows(read_split(spec.dataset, name), limit)
        short = encode_examples(rows, tokenizer, encode, spec.settings.max_length)
        if short.left_out:
            report(f"evaluation: held-out rows left out: {short.left_out}")
        return short.rows.select_columns(rows.column_names)

    pairs, rated = chosen_split("test", preference), chosen_split("answers", completion)
    prompts, left_out = held_out_prompts(pairs, tokenizer, spec.settings)
    networks = Networks()
    performances = []
    for number, model in enumerate(spec.models, start=1):
        report(f"evaluation: {model.id} answers {len(prompts)} questions ({number} of {len(spec.models)})")
        performances.append(perform(spec, networks.load(model), model, prompts, pairs))
    del networks  # the judge needs the memory
    report(f"evaluation: {spec.judge.id} judges")
    judge, rewards = judged(spec, spec.judge, tokenizer, performances, prompts, pairs, rated)
    report(f"evaluation: {spec.teacher.id} judges")
    teacher, teacher_rewards = judged(spec, spec.teacher, tokenizer, performances, prompts, pairs, rated)
    questions = [prompt[-1]["content"] for prompt in prompts]
    evaluation = Evaluation(
        champion=spec.champion,
        prompts=len(prompts),
        left_out=left_out,
        judge=judge,
        teacher=teacher,
        raters=spec.raters,
        models=figures(spec.champion, performances, rewards, teacher_rewards, questions),
    )
    (spec.output / RESULT_FILE).write_text(evaluation.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _write_answers(spec, performances, prompts, rewards)
    return evaluation


def chosen_rows(rows: Dataset, limit: int) -> Dataset:
    """Of many rows, those whose digests come first: few of them change as the data grows."""
    if len(rows) <= limit:
        return rows
    digests = [json_digest(row) for row in rows]
    return rows.select(sorted(sorted(range(len(rows)), key=digests.__getitem__)[:limit]))


def held_out_prompts(
    pairs: Dataset, tokenizer: PreTrainedTokenizerBase, settings: EvaluationSettings
) -> tuple[list[Messages], int]:
    """The questions of held-out pairs, each once, by digest; and how many were too long.

    Raises:
        StageError: all of them were.
    """
    distinct: dict[str, Messages] = {json_digest(prompt): prompt for prompt in pairs["prompt"]}
    room = settings.max_length - settings.max_new_tokens
    short = [digest for digest in sorted(distinct) if len(encode_prompt(tokenizer, distinct[digest])) <= room]
    if not short:
        raise StageError(
            f"Every held-out question has more than max_length - max_new_tokens = {room} tokens; raise "
            "evaluation.max_length in the profile."
        )
    return [distinct[digest] for digest in short[: settings.max_prompts]], len(distinct) - len(short)


def perform(
    spec: EvaluationSpec, network: Network, model: ModelFiles, prompts: Sequence[Messages], pairs: Dataset
) -> Performance:
    """Let one model answer, and look at what it finds probable."""
    settings, tokenizer = spec.settings, network.tokenizer
    asked = canaries()
    questions = [*(prompt[-1]["content"] for prompt in prompts), *(canary.prompt for canary in asked)]
    # As the chat would: with the system prompt of the model's own profile.
    conversations = [conversation(model.system_prompt, question) for question in questions]
    held_out = HeldOutPairs(tokenizer, encode_examples(pairs, tokenizer, preference).rows, settings.scoring_batch_size)
    with network.speaking(model.id):
        answers = generate(network.model, tokenizer, conversations, settings.max_new_tokens, settings.batch_size)
        logprobs = held_out.logprobs(network.model)
    margins = [one.mean - other.mean for one, other in zip(logprobs.chosen, logprobs.rejected, strict=True)]
    kl, nll, base_nll = zip(*(read(network, model.id, text) for text in general_text()), strict=True)
    return Performance(
        model=model,
        answers=answers[: len(prompts)],
        canaries_passed={
            canary.id: canary.passes(answer.text) for canary, answer in zip(asked, answers[len(prompts) :], strict=True)
        },
        accuracy=logprobs.accuracy(),
        right=logprobs.right(),
        margin=mean(margins),
        kl=list(kl),
        nll=list(nll),
        base_nll=list(base_nll),
    )


@torch.no_grad()
def read(network: Network, model_id: str, text: str) -> tuple[float, float, float]:
    """A text under a model and its base: KL(model || base), and the negative log-likelihood under either; nats a token.

    KL is that of the whole distributions, not an estimate from samples.
    """
    encoded: Any = network.tokenizer(text, return_tensors="pt", truncation=True, max_length=_TEXT_TOKENS)
    ids_BT = encoded["input_ids"].to(network.model.device)

    def logprobs() -> torch.Tensor:
        return torch.log_softmax(network.model(input_ids=ids_BT).logits[:, :-1].float(), dim=-1)

    with network.speaking(model_id):
        own_BTV = logprobs()
    with network.as_base():
        base_BTV = logprobs()
    kl_BT = (own_BTV.exp() * (own_BTV - base_BTV)).sum(-1)
    following_BT1 = ids_BT[:, 1:, None]
    nlls = (float(-log_BTV.gather(-1, following_BT1).mean()) for log_BTV in (own_BTV, base_BTV))
    return (float(kl_BT.mean()), *nlls)  # type: ignore[return-value]


def judged(
    spec: EvaluationSpec,
    by: ModelFiles,
    tokenizer: PreTrainedTokenizerBase,
    performances: Sequence[Performance],
    prompts: Sequence[Messages],
    pairs: Dataset,
    rated: Dataset,
) -> tuple[Judge, list[list[float]]]:
    """The record of the reward model `by` against people, and its rewards, (models, prompts)."""
    judge = load_judge(by, tokenizer)

    def encoded(questions: Sequence[Messages], answers: Sequence[Messages]) -> list[EncodedAnswer]:
        return [encode_answer(tokenizer, question, answer) for question, answer in zip(questions, answers, strict=True)]

    said = [
        encoded(prompts, [[{"role": "assistant", "content": answer.text}] for answer in performance.answers])
        for performance in performances
    ]
    of_people = [
        *(encoded(pairs["prompt"], pairs[side]) for side in ("chosen", "rejected")),
        encoded(rated["prompt"], rated["completion"]),
    ]
    rewards = grouped_rewards(judge, tokenizer, [*said, *of_people], spec.settings.scoring_batch_size)
    by_model, (chosen, rejected, of_rated) = rewards[: len(said)], rewards[len(said) :]
    judge_record = Judge(
        id=by.id,
        accuracy=preference_accuracy(chosen, rejected, questions_of(pairs)),
        by_margin=accuracy_by_margin(chosen, rejected, peoples_margins(pairs, rated), questions_of(pairs)),
        rank_correlation=rank_correlation(of_rated, rated["score"], questions_of(rated)),
    )
    return judge_record, by_model


def peoples_margins(pairs: Dataset, rated: Dataset) -> list[float | None]:
    """How much better people rated the chosen answer of each pair, 0 to 1; None where they did not rate both."""
    scores = {
        json_digest([prompt, answer]): score
        for prompt, answer, score in zip(rated["prompt"], rated["completion"], rated["score"], strict=True)
    }

    def side(name: str) -> list[float | None]:
        twos = zip(pairs["prompt"], pairs[name], strict=True)
        return [scores.get(json_digest([prompt, answer])) for prompt, answer in twos]

    return [
        None if chosen is None or rejected is None else chosen - rejected
        for chosen, rejected in zip(side("chosen"), side("rejected"), strict=True)
    ]


def accuracy_by_margin(
    chosen: Sequence[float], rejected: Sequence[float], margins: Sequence[float | None], questions: Sequence[str]
) -> list[MarginBand]:
    """The accuracy of N scores of either side, (N,), where people are nearly of two minds, and where they are not.

    Bands without a pair are left out, and pairs without a margin.
    """
    bands = []
    for above, up_to in itertools.pairwise(_MARGINS):
        places = [place for place, margin in enumerate(margins) if margin is not None and above < margin <= up_to]
        if places:
            own, other = ([scores[place] for place in places] for scores in (chosen, rejected))
            accuracy = preference_accuracy(own, other, [questions[place] for place in places])
            bands.append(MarginBand(above=above, up_to=up_to, accuracy=accuracy))
    return bands


def figures(
    champion: str,
    performances: Sequence[Performance],
    rewards: Sequence[Sequence[float]],
    teacher_rewards: Sequence[Sequence[float]],
    questions: Sequence[str],
) -> list[ModelFigures]:
    """Every model's figures, in the order of `performances`."""
    place = next(number for number, performance in enumerate(performances) if performance.model.id == champion)
    reigning, reigning_rewards = performances[place], rewards[place]
    return [
        _figures(performance, own, by_teacher, None if number == place else reigning, reigning_rewards, questions)
        for number, (performance, own, by_teacher) in enumerate(
            zip(performances, rewards, teacher_rewards, strict=True)
        )
    ]


def _figures(
    own: Performance,
    rewards: Sequence[float],
    teacher_rewards: Sequence[float],
    champion: Performance | None,
    champion_rewards: Sequence[float],
    questions: Sequence[str],
) -> ModelFigures:
    lengths = _lengths(own)
    passed = own.canaries_passed
    return ModelFigures(
        id=own.model.id,
        asset=own.model.asset,
        preference_accuracy=own.accuracy,
        preference_p=round(mcnemar(own.right, champion.right), 6) if champion else None,
        preference_margin=own.margin,
        reward=mean(rewards),
        teacher_reward=mean(teacher_rewards),
        win_rate=compare(own.answers, rewards, champion.answers, champion_rewards) if champion else None,
        groups=_by_group(own, rewards, champion, champion_rewards, questions) if champion else None,
        length=mean(lengths),
        length_ratio=ratio_of_means(lengths, _lengths(champion)) if champion else None,
        repetition=mean([repetition(answer.text) for answer in own.answers]),
        empty=_share(own.answers, lambda answer: not answer.text),
        unfinished=_share(own.answers, lambda answer: not answer.ended),
        other_language=proportion(
            sum(map(changes_language, questions, (answer.text for answer in own.answers))), len(questions)
        ),
        kl=mean(own.kl),
        perplexity=bootstrap(_perplexity, own.nll),
        perplexity_ratio=bootstrap(_perplexity, np.subtract(own.nll, own.base_nll).tolist()),
        canaries=proportion(sum(passed.values()), len(passed)),
        canaries_lost=[name for name, good in champion.canaries_passed.items() if good and not passed[name]]
        if champion
        else None,
    )


def compare(
    answers: Sequence[GeneratedAnswer],
    rewards: Sequence[float],
    other_answers: Sequence[GeneratedAnswer],
    other_rewards: Sequence[float],
) -> WinRate:
    """Question by question, whose answer gets more reward. The same text is a tie, whatever the last digits say."""
    wins = ties = 0
    for own, other, reward, other_reward in zip(answers, other_answers, rewards, other_rewards, strict=True):
        if own.text == other.text or reward == other_reward:
            ties += 1
        elif reward > other_reward:
            wins += 1
    return win_rate(wins, ties, len(answers))


def _by_group(
    own: Performance,
    rewards: Sequence[float],
    champion: Performance,
    champion_rewards: Sequence[float],
    questions: Sequence[str],
) -> dict[str, WinRate]:
    subjects, found = question_groups(), {}
    groups = [group_of(question, subjects) for question in questions]
    for name in sorted(set(groups)):
        of_group = [place for place, group in enumerate(groups) if group == name]
        mine, theirs = ([performance.answers[place] for place in of_group] for performance in (own, champion))
        found[name] = compare(
            mine, [rewards[place] for place in of_group], theirs, [champion_rewards[place] for place in of_group]
        )
    return found


def _lengths(performance: Performance) -> list[float]:
    return [float(len(answer.text)) for answer in performance.answers]


def _perplexity(nll: Any) -> float:
    """Of texts with these negative log-likelihoods; of differences of them, the ratio of two perplexities."""
    return math.exp(nll.mean())


def _share(answers: Sequence[GeneratedAnswer], holds: Callable[[GeneratedAnswer], bool]) -> Proportion:
    return proportion(sum(map(holds, answers)), len(answers))


def _write_answers(
    spec: EvaluationSpec,
    performances: Sequence[Performance],
    prompts: Sequence[Messages],
    rewards: Sequence[Sequence[float]],
) -> None:
    lines = [
        ComparedAnswer(
            model=performance.model.id,
            prompt=prompt[-1]["content"],
            answer=performance.answers[place].text,
            tokens=performance.answers[place].tokens,
            ended=performance.answers[place].ended,
            reward=round(own[place], 6),
        )
        for place, prompt in enumerate(prompts)
        for performance, own in zip(performances, rewards, strict=True)
    ]
    text = "".join(json.dumps(line.model_dump(), ensure_ascii=False) + "\n" for line in lines)
    (spec.output / ANSWERS_FILE).write_text(text, encoding="utf-8")
