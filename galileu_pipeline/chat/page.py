"""The chat's page, in Gradio."""

import uuid
from typing import Any

import gradio as gr

from galileu_pipeline.chat.handlers import MAX_QUESTION_CHARS, Answers, Chat
from galileu_pipeline.chat.texts import TEXTS, language_of, say
from galileu_pipeline.chat.votes import ComparedAnswers
from galileu_pipeline.feedback.collection.collector import MAX_COMMENT_CHARS, Verdict

_BUTTONS: tuple[Verdict, ...] = ("left", "tie", "both_bad", "right")
_EVENT: dict[str, Any] = {"api_visibility": "private"}

CSS = """
.gradio-container { width: 100%; max-width: min(60rem, 100vw) !important; margin: 0 auto !important; }
.gradio-container > .main { max-width: 100% !important; box-sizing: border-box; }
#rating .wrap { flex-wrap: nowrap; gap: 0.4rem; }
#rating label { padding: 0.5rem 0.6rem; }
#chat { min-height: 20rem; height: 52vh !important; }
.quiet { opacity: 0.75; font-size: 0.9em; }
"""


def build_app(chat: Chat, i18n: gr.I18n, browser_secret: str) -> gr.Blocks:
    """The page. The models of a comparison stay in the server's state until the vote."""
    with gr.Blocks(title="Galileu", analytics_enabled=False, fill_width=True) as app:
        browser_id = gr.BrowserState("", storage_key="galileu-person", secret=browser_secret)
        session = gr.State("")
        gr.Markdown("# Galileu")
        gr.Markdown(i18n("intro"), elem_id="intro")
        with gr.Tabs():
            with gr.Tab(i18n("chat_tab"), id="chat"):
                served = _chat_tab(chat, i18n, browser_id, session)
            with gr.Tab(i18n("compare_tab"), id="compare"):
                _compare_tab(chat, i18n, browser_id, session)
            with gr.Tab(i18n("statistics_tab"), id="statistics") as statistics_tab:
                _statistics_tab(chat, i18n, statistics_tab)
        gr.Markdown(i18n("privacy"), elem_classes="quiet")
        app.load(_arrive, [browser_id], [browser_id, session], **_EVENT)
        app.load(chat.served_line, None, served, **_EVENT)
    app.queue(max_size=64, default_concurrency_limit=8)
    return app


def _chat_tab(chat: Chat, i18n: gr.I18n, browser_id: gr.BrowserState, session: gr.State) -> gr.Markdown:
    """Builds the tab. Returns where the model that answers is named."""
    answers = gr.State({})
    served = gr.Markdown("", elem_id="served", elem_classes="quiet")
    # Plain text: neither people nor models can put markup on the page.
    chatbot = gr.Chatbot(
        show_label=False,
        elem_id="chat",
        render_markdown=False,
        sanitize_html=True,
        allow_tags=False,
        latex_delimiters=[],
        buttons=["copy"],
        placeholder=i18n("empty_chat"),  # type: ignore[arg-type]
        feedback_options=("Like", "Dislike"),
        layout="bubble",
    )
    with gr.Row(equal_height=True):
        question = _question_box(i18n, "question", min_width=120)
        send = gr.Button(i18n("send"), variant="primary", elem_id="send", scale=1, min_width=70)
        stop = gr.Button(i18n("stop"), elem_id="stop", scale=1, min_width=70)
    with gr.Row():
        for number in (1, 2, 3):
            example = gr.Button(i18n(f"example_{number}"), size="sm", min_width=120)
            example.click(_example(number), None, question, **_EVENT)
    with gr.Accordion(i18n("rate"), open=True, elem_id="rate"):
        rating = gr.Radio([1, 2, 3, 4, 5], label=i18n("rating"), elem_id="rating", interactive=False)
        with gr.Row():
            with gr.Column(min_width=260):
                comment = gr.Textbox(
                    label=i18n("comment"),
                    placeholder=i18n("comment_hint"),
                    max_length=MAX_COMMENT_CHARS,
                    lines=2,
                    elem_id="comment",
                )
                send_comment = gr.Button(i18n("send_comment"), size="sm", elem_id="send-comment", interactive=False)
            with gr.Column(min_width=260):
                correction = gr.Textbox(
                    label=i18n("correction"),
                    placeholder=i18n("correction_hint"),
                    max_length=MAX_COMMENT_CHARS,
                    lines=2,
                    elem_id="correction",
                )
                send_correction = gr.Button(
                    i18n("send_correction"), size="sm", elem_id="send-correction", interactive=False
                )

    who = [browser_id, session]
    rated_with = [rating, send_comment, send_correction]
    for trigger in (question.submit, send.click):
        accepted = trigger(chat.accept, [question, chatbot, browser_id], [question, chatbot], **_EVENT)
        waiting = accepted.then(lambda: _enabled(False, 3), None, rated_with, **_EVENT)
        reply = waiting.then(chat.reply, [chatbot, answers, *who], [chatbot, served], **_EVENT)
        emptied = reply.then(lambda: (None, "", ""), None, [rating, comment, correction], **_EVENT)
        emptied.then(lambda found: _enabled(bool(found), 3), answers, rated_with, **_EVENT)
    stop.click(chat.stop, session, None, queue=False, **_EVENT)
    chatbot.like(chat.thumb, [answers, *who], served, **_EVENT)
    rating.input(chat.rate, [rating, chatbot, answers, *who], [rating, served], **_EVENT)
    send_comment.click(chat.comment, [comment, chatbot, answers, *who], comment, **_EVENT)
    send_correction.click(chat.correct, [correction, chatbot, answers, *who], correction, **_EVENT)
    chatbot.clear(_forget, answers, [rating, comment, correction], **_EVENT)
    return served


def _question_box(i18n: gr.I18n, name: str, min_width: int) -> gr.Textbox:
    return gr.Textbox(
        show_label=False,
        placeholder=i18n("question_hint"),
        max_length=MAX_QUESTION_CHARS,
        elem_id=name,
        scale=6,
        min_width=min_width,
    )


def _compare_tab(chat: Chat, i18n: gr.I18n, browser_id: gr.BrowserState, session: gr.State) -> None:
    compared = gr.State(None)
    gr.Markdown(i18n("compare_intro"))
    with gr.Row(equal_height=True):
        question = _question_box(i18n, "compare-question", min_width=200)
        ask = gr.Button(i18n("compare"), variant="primary", elem_id="compare-ask", scale=1, min_width=110)
    with gr.Row(equal_height=True):
        left, right = (
            gr.Textbox(
                label=i18n(f"{side}_answer"), lines=8, interactive=False, elem_id=f"{side}-answer", min_width=260
            )
            for side in ("left", "right")
        )
    with gr.Row(equal_height=True):
        buttons = [
            gr.Button(i18n(verdict), elem_id=f"vote-{verdict}", interactive=False, min_width=140)
            for verdict in _BUTTONS
        ]
    revealed = gr.Markdown("", elem_id="revealed")

    outputs = [left, right, compared, revealed]
    for trigger in (question.submit, ask.click):
        asked = trigger(lambda: _enabled(False, 4), None, buttons, **_EVENT)
        told = asked.then(chat.compare, [question, browser_id], outputs, **_EVENT)
        told.then(lambda found: _enabled(found is not None, 4), compared, buttons, **_EVENT)
    for button, verdict in zip(buttons, _BUTTONS, strict=True):
        button.click(_choice(chat, verdict), [compared, browser_id, session], [compared, revealed], **_EVENT).then(
            lambda found: _enabled(found is not None and found.verdict is None, 4), compared, buttons, **_EVENT
        )


def _statistics_tab(chat: Chat, i18n: gr.I18n, tab: gr.Tab) -> None:
    summary = gr.Markdown("", elem_id="summary")
    by_day = gr.BarPlot(label=i18n("votes_by_day"), show_label=True, height=290, elem_id="plot-days")
    with gr.Row():
        ratings = gr.BarPlot(label=i18n("ratings"), show_label=True, height=290, min_width=260, elem_id="plot-ratings")
        verdicts = gr.BarPlot(
            label=i18n("verdicts"), show_label=True, height=290, min_width=260, elem_id="plot-verdicts"
        )
    board = gr.Dataframe(label=i18n("leaderboard"), interactive=False, visible=False, wrap=True, elem_id="leaderboard")
    refresh = gr.Button(i18n("refresh"), size="sm", elem_id="refresh")
    for trigger in (tab.select, refresh.click):
        trigger(chat.statistics, None, [summary, by_day, ratings, verdicts, board], **_EVENT)


def _example(number: int) -> Any:
    def example(request: gr.Request) -> str:
        return say(language_of(request.headers.get("accept-language")), f"example_{number}")

    return example


def _choice(chat: Chat, verdict: Verdict) -> Any:
    def choose(
        compared: ComparedAnswers | None, browser_id: str, session: str, request: gr.Request
    ) -> tuple[ComparedAnswers | None, str]:
        return chat.choose(verdict, compared, browser_id, session, request)

    return choose


def _forget(answers: Answers) -> tuple[None, str, str]:
    """Nothing can be rated any more, and nothing is half said about it."""
    answers.clear()
    return None, "", ""


def _enabled(on: bool, parts: int) -> list[Any]:
    """As many parts of the page, all to be used or none."""
    return [gr.update(interactive=on) for _ in range(parts)]


def _arrive(browser_id: str) -> tuple[str, str]:
    """The person's lasting id, made on the first visit, and one for this page."""
    return browser_id or str(uuid.uuid4()), str(uuid.uuid4())


def translations() -> gr.I18n:
    """The page's own texts, for the browser to choose from."""
    return gr.I18n(**{"en": TEXTS["en"], "pt": TEXTS["pt"], "pt-BR": TEXTS["pt"]})
