"""Trained models beside each other: a better one is found to be better, a worse one worse."""

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from galileu_pipeline.evaluation.contest import accuracy_by_margin, run
from galileu_pipeline.evaluation.promotion import decide
from galileu_pipeline.evaluation.results import RESULT_FILE, Evaluation, read_answers, read_evaluation
from galileu_pipeline.evaluation.settings import EvaluationSettings, EvaluationSpec, PromotionSettings
from galileu_pipeline.evaluation.statistics import proportion
from galileu_pipeline.evaluation.wording import Wording
from galileu_pipeline.feedback.pairing.datasets import write_examples, write_held_out_answers, write_pairs
from galileu_pipeline.training.dpo import DpoRecipe
from galileu_pipeline.training.reward import RewardRecipe
from galileu_pipeline.training.runner import Recipe, train
from galileu_pipeline.training.settings import LoraSettings, ModelFiles, SampleSettings, StageSpec
from galileu_pipeline.training.sft import SftRecipe
from galileu_pipeline_tests.training.conftest import ONE_THREAD, say_nothing

pytestmark = pytest.mark.slow

GOOD, BAD = "Sim, com a luneta eu vi.", "Futebol, bolo e festa."
SETTINGS = EvaluationSettings(max_prompts=40, max_new_tokens=16, max_length=128, batch_size=16)


@pytest.fixture(scope="module")
def folder(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models `sft`, `dpo`, `swapped` (of swapped labels), the reward models `teacher` and `judge`; their data."""
    folder = tmp_path_factory.mktemp("contest")
    rows = [(f"Você viu a lua número {number}?", "test" if number % 3 == 0 else "train") for number in range(120)]
    for name, chosen, rejected in (("pairs", GOOD, BAD), ("swapped_pairs", BAD, GOOD)):
        (folder / name).mkdir()
        pairs = [
            {"pair_id": str(index), "prompt": question, "chosen": chosen, "rejected": rejected, "split": split}
            for index, (question, split) in enumerate(rows)
        ]
        write_pairs(pa.Table.from_pylist(pairs).to_batches(), "", folder / name)
    answers = [
        {"prompt": question, "response": text, "score": score, "split": split, "example_id": f"{question}-{score}"}
        for question, split in rows
        for text, score in ((GOOD, 1.0), (BAD, 0.0))
    ]
    write_held_out_answers(pa.Table.from_pylist(answers).to_batches(), "", folder / "pairs")
    # The SFT model says either thing as gladly, so that a little training on preferences tells.
    (folder / "examples").mkdir()
    write_examples(pa.Table.from_pylist(answers).to_batches(), [], 0.0, "", folder / "examples")

    def make(
        recipe: type[Recipe], stage: str, name: str, data: str, adapter: str | None, seed: int = 0, **settings: object
    ) -> None:
        (folder / name).mkdir()
        spec = StageSpec.model_validate(
            {
                "stage": stage,
                "output": folder / name,
                "checkpoints": folder / f"{name}-checkpoints",
                "seed": seed,
                "settings": {"learning_rate": 0.01, "epochs": 4, "batch_size": 20, "max_length": 128, **settings},
                "lora": LoraSettings(r=8, alpha=16),
                "samples": SampleSettings(prompts=0),
                "resources": ONE_THREAD,
                "base": tiny_base,
                "base_id": "base_model-000000000000",
                "adapter": folder / adapter if adapter else None,
                "dataset": folder / data,
            }
        )
        train(recipe, spec, say_nothing)

    make(SftRecipe, "sft", "sft", "examples", None, epochs=25)
    make(RewardRecipe, "reward", "teacher", "pairs", "sft")
    make(RewardRecipe, "reward", "judge", "pairs", "sft", seed=1)
    gently = {"beta": 0.5, "learning_rate": 0.002, "epochs": 2}
    make(DpoRecipe, "dpo", "dpo", "pairs", "sft", **gently)
    make(DpoRecipe, "dpo", "swapped", "swapped_pairs", "sft", **gently)
    return folder


def files(folder: Path, base: Path, name: str) -> ModelFiles:
    asset = {"base": "base_model", "sft": "sft_model"}.get(name, "dpo_model")
    return ModelFiles(
        id=f"{asset}-{name}",
        asset=asset,
        base_id="base_model-base",
        base=base,
        adapter=None if name == "base" else folder / name,
    )


def contest(folder: Path, base: Path, output: Path, champion: str, *others: str) -> Evaluation:
    output.mkdir()
    models = [files(folder, base, name) for name in (champion, *others)]
    spec = EvaluationSpec(
        output=output,
        settings=SETTINGS,
        champion=models[0].id,
        models=models,
        judge=files(folder, base, "judge"),
        teacher=files(folder, base, "teacher"),
        raters=proportion(9, 10),
        dataset=folder / "pairs",
        resources=ONE_THREAD,
    )
    return run(spec, say_nothing)


@pytest.fixture(scope="module")
def compared(folder: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    output = tmp_path_factory.mktemp("compared") / "out"
    return contest(folder, tiny_base, output, "sft", "base", "dpo", "swapped"), output


def test_the_better_one_is_promoted_and_the_one_of_swapped_labels_is_not(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    decision = decide(evaluation, "model_evaluation-x", PromotionSettings())
    assert (decision.outcome, decision.chosen) == ("promoted", "dpo_model-dpo")
    verdicts = {verdict.id: verdict for verdict in decision.verdicts}
    assert not verdicts["dpo_model-swapped"].passed
    # Whether it says the worse thing or nothing at all, and so why it fails, differs between processors.
    reasons = {reason.split()[0]: reason for reason in Wording(evaluation, "pt").reasons(decision)}
    assert "não foi promovido, porque " in reasons["dpo_model-swapped"]


def test_preferences_show_on_held_out_pairs(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    dpo, swapped = evaluation.model("dpo_model-dpo"), evaluation.model("dpo_model-swapped")
    assert dpo.preference_accuracy.value == 1.0
    assert swapped.preference_accuracy.value == 0.0
    assert dpo.preference_margin.low > 0 > swapped.preference_margin.high
    assert evaluation.judge.accuracy.value == 1.0
    assert evaluation.judge.rank_correlation is not None
    assert evaluation.judge.rank_correlation.low > 0.8


def test_the_judge_is_told_by_how_far_people_saw_a_difference(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    (band,) = evaluation.judge.by_margin  # the answers are rated 1 and 0
    assert (band.above, band.up_to, band.accuracy) == (0.5, 1.0, evaluation.judge.accuracy)
    rows = {row[0]: row[1:] for row in Wording(evaluation, "en").judges()}
    assert "0.900 [0.555, 0.997]" in rows["a person orders two answers as the others do: what a judge can hope for"]
    assert len(Wording(evaluation, "pt").judges_header()) == 3


def test_accuracy_by_margin_by_hand() -> None:
    bands = accuracy_by_margin([1, 0, 1, 1, 1], [0, 1, 0, 0, 0], [0.25, 0.1, 0.75, None, -0.5], list("abcde"))
    assert [(band.above, band.up_to, band.accuracy.value, band.accuracy.n) for band in bands] == [
        (0.0, 0.25, 0.5, 2),
        (0.5, 1.0, 1.0, 1),
    ]


def test_every_question_is_in_a_group(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    for model in evaluation.candidates:
        assert model.groups is not None
        assert model.win_rate is not None
        assert sum(found.n for found in model.groups.values()) == evaluation.prompts
        assert sum(found.wins for found in model.groups.values()) == model.win_rate.wins
    assert any("group céu" in row[0] for row in Wording(evaluation, "en").figures())


def test_what_ppo_learns_from_is_asked_too(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    assert evaluation.teacher is not None
    assert evaluation.teacher.accuracy.value == 1.0
    assert (evaluation.judge.id, evaluation.teacher.id) == ("dpo_model-judge", "dpo_model-teacher")
    for model in evaluation.models:
        assert model.teacher_reward is not None
        assert model.teacher_reward != model.reward


def test_an_evaluation_from_before_it_was_asked_can_be_read(compared: tuple[Evaluation, Path], tmp_path: Path) -> None:
    found = json.loads((compared[1] / RESULT_FILE).read_text())
    del found["teacher"], found["raters"], found["judge"]["by_margin"]
    for model in found["models"]:
        del model["teacher_reward"], model["groups"], model["other_language"]
    (tmp_path / RESULT_FILE).write_text(json.dumps(found))
    rows = {row[0]: row[1:] for row in Wording(read_evaluation(tmp_path), "en").figures()}
    assert set(rows["mean reward by the model that PPO learns from"]) == {"–"}


def test_the_base_has_forgotten_nothing(compared: tuple[Evaluation, Path]) -> None:
    evaluation, _ = compared
    base, sft = evaluation.model("base_model-base"), evaluation.model("sft_model-sft")
    assert (base.kl.value, base.perplexity_ratio.value) == (0.0, 1.0)
    assert sft.kl.low > 0
    assert sft.perplexity_ratio.value == pytest.approx(sft.perplexity.value / base.perplexity.value, rel=1e-3)


def test_the_champion_is_compared_with_nobody(compared: tuple[Evaluation, Path]) -> None:
    champion = compared[0].model("sft_model-sft")
    assert (champion.win_rate, champion.length_ratio, champion.canaries_lost) == (None, None, None)


def test_what_was_said_is_kept(compared: tuple[Evaluation, Path]) -> None:
    evaluation, output = compared
    assert read_evaluation(output) == evaluation
    answers = read_answers(output)
    assert len(answers) == 4 * evaluation.prompts == 160
    assert {answer.model for answer in answers[:4]} == {model.id for model in evaluation.models}
    assert len({answer.prompt for answer in answers[:4]}) == 1
    of_dpo = [answer for answer in answers if answer.model == "dpo_model-dpo"]
    assert sum(answer.answer == GOOD for answer in of_dpo) > 30
    assert all(answer.ended for answer in of_dpo if answer.answer == GOOD)


def test_a_copy_is_even_with_its_original(folder: Path, tiny_base: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "dpo", folder / "copy", dirs_exist_ok=True)
    evaluation = contest(folder, tiny_base, tmp_path / "out", "dpo", "copy")
    win_rate = evaluation.model("dpo_model-copy").win_rate
    assert win_rate is not None
    assert (win_rate.value, win_rate.ties) == (0.5, 40)
    assert decide(evaluation, "x", PromotionSettings()).outcome == "kept"


def test_the_one_of_swapped_labels_loses_against_the_better_one(folder: Path, tiny_base: Path, tmp_path: Path) -> None:
    evaluation = contest(folder, tiny_base, tmp_path / "out", "dpo", "swapped")
    win_rate = evaluation.model("dpo_model-swapped").win_rate
    assert win_rate is not None
    assert win_rate.high < 0.5
    assert decide(evaluation, "x", PromotionSettings()).outcome == "kept"
