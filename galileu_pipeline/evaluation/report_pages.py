"""A decision and its reasons, and a comparison of two models, as one page each that a person can read and send."""

from collections.abc import Sequence
from datetime import datetime

from galileu_pipeline.evaluation.people import PeoplesVerdict
from galileu_pipeline.evaluation.plots import plot_evaluation
from galileu_pipeline.evaluation.promotion import Decision
from galileu_pipeline.evaluation.results import ComparedAnswer, Evaluation
from galileu_pipeline.evaluation.settings import PromotionSettings
from galileu_pipeline.evaluation.wording import Wording
from galileu_pipeline.languages import Language
from galileu_pipeline.markdown import printable, shorten
from galileu_pipeline.pages import data_address, moment, render

_QUESTIONS = 12
_QUESTION_CHARS, _ANSWER_CHARS = 300, 1_200


def decision_page(
    decision: Decision,
    evaluation: Evaluation,
    answers: Sequence[ComparedAnswer],
    rule: PromotionSettings,
    *,
    decision_id: str,
    decided_at: datetime,
    language: Language,
) -> str:
    """The page as HTML."""
    wording = Wording(evaluation, language)
    texts = wording.texts
    return render(
        "decision",
        language,
        t=texts,
        state=texts["state"].format(
            decision=decision_id, when=moment(decided_at, language), evaluation=decision.evaluation
        ),
        outcome=wording.outcome(decision),
        reasons=wording.reasons(decision),
        rule=wording.rule(decision, rule),
        candidates=[{"id": verdict.id, "criteria": wording.criteria(verdict)} for verdict in decision.verdicts],
        header=wording.header(),
        **_figures(answers, wording),
    )


def comparison_page(
    evaluation: Evaluation,
    answers: Sequence[ComparedAnswer],
    people: PeoplesVerdict,
    *,
    evaluation_id: str,
    evaluated_at: datetime,
    language: Language,
) -> str:
    """The page of two models as HTML; `people` are those who saw both of them side by side."""
    wording = Wording(evaluation, language)
    texts = {**wording.texts, "title": wording.texts["comparison"].format(one=people.one, other=people.other)}
    return render(
        "comparison",
        language,
        t=texts,
        state=texts["comparison_state"].format(evaluation=evaluation_id, when=moment(evaluated_at, language)),
        outcome=wording.win(people.one),
        people=wording.people(people),
        header=wording.header("compared_with"),
        **_figures(answers, wording),
    )


def _figures(answers: Sequence[ComparedAnswer], wording: Wording) -> dict[str, object]:
    """What `figures.html.jinja` shows, but for the names of the columns."""
    evaluation = wording.evaluation
    return {
        "figures_note": wording.texts["figures_note"].format(prompts=evaluation.prompts),
        "figures": wording.figures(),
        "judges_header": wording.judges_header(),
        "judges": wording.judges(),
        "plot": data_address(plot_evaluation(evaluation, wording.language)),
        "questions": _questions(answers, wording),
    }


def _questions(answers: Sequence[ComparedAnswer], wording: Wording) -> list[dict[str, object]]:
    by_question: dict[str, list[dict[str, str]]] = {}
    for answer in answers:
        by_question.setdefault(answer.prompt, []).append(
            {
                "model": answer.model,
                "reward": wording.texts["reward_of"].format(reward=wording.number(answer.reward)),
                "text": _lines(shorten(answer.answer, _ANSWER_CHARS)) or wording.texts["said_nothing"],
            }
        )
    return [
        {"prompt": shorten(printable(prompt), _QUESTION_CHARS), "answers": given}
        for prompt, given in list(by_question.items())[:_QUESTIONS]
    ]


def _lines(text: str) -> str:
    """`text` without control characters but its line breaks."""
    return "\n".join(map(printable, text.splitlines()))
