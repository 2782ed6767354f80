"""The chat as a Gradio app. What is said goes to the models, what is clicked to the collector."""

import html
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from galileu_pipeline.chat import statistics
from galileu_pipeline.chat.limits import RateLimits
from galileu_pipeline.chat.serving import rival_model, served_model
from galileu_pipeline.chat.texts import TEXTS, language_of, say
from galileu_pipeline.chat.votes import ComparedAnswers, Person, RatedAnswer, VoteBox, shuffled
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback.collection.collector import MAX_COMMENT_CHARS, FeedbackCollector, Verdict
from galileu_pipeline.languages import Language
from galileu_pipeline.lineage.artifacts import Artifact, ArtifactStore
from galileu_pipeline.training.talk import Messages, Sampling, Talker

MAX_QUESTION_CHARS = 2_000
_SIDE_BY_SIDE_TEMPERATURE = 0.8
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


@dataclass(frozen=True)
class ChatSettings:
    """What the person who starts the chat decides."""

    model: str | None = None
    against: str | None = None
    max_new_tokens: int = 256
    answers_per_minute: int = 20
    votes_per_minute: int = 120


class Chat:
    """The app's handlers: plain functions of what is on the page."""

    def __init__(self, store: ArtifactStore, collector: FeedbackCollector, settings: ChatSettings) -> None:
        self.store = store
        self.collector = collector
        self.settings = settings
        self.votes = VoteBox(collector)
        self.talker = Talker(store)
        self.limits = RateLimits(settings.answers_per_minute, settings.votes_per_minute)
        self._stops: dict[str, threading.Event] = {}  # of answers under way, by session

    # -- answers ------------------------------------------------------------------------------------------------

    def accept(self, question: str, history: Messages, browser_id: str, request: gr.Request) -> tuple[str, Messages]:
        """Move the question from its box into the conversation; leaves both as they are where it is refused."""
        if not self._may_ask(question, browser_id, request):
            return question, history
        return "", shown([*plain(history), {"role": "user", "content": question.strip()}])

    def reply(
        self, history: Messages, session: str, request: gr.Request
    ) -> Iterator[tuple[Messages, RatedAnswer | None, str]]:
        """The answer to the last message, growing; and what can be rated once it is whole, or was stopped."""
        history = plain(history)
        if not history or history[-1]["role"] != "user":
            yield shown(history), None, self.served_line()
            return
        text, stopped = "", self._stops.setdefault(session, threading.Event())
        try:
            model = served_model(self.store, self.settings.model)
            with closing(self.talker.stream(model, history, Sampling(self.settings.max_new_tokens))) as stream:
                for grown in stream:
                    text = grown.strip()
                    yield shown([*history, {"role": "assistant", "content": text}]), None, line(model)
                    if stopped.is_set():
                        break
            if not text and not stopped.is_set():
                raise GalileuError("The model said nothing.")
        except GalileuError as error:
            _warn(request, "failed", error=error)
            text = ""
        finally:
            self._stops.pop(session, None)
        if text:
            answer = RatedAnswer(history[-1]["content"], text, model.id)
            yield shown([*history, {"role": "assistant", "content": text}]), answer, line(model)
        else:
            yield shown(history[:-1]), None, self.served_line()

    def stop(self, session: str) -> None:
        """Let the answer on this page end where it is. (Gradio's own cancelling would put an error over it.)"""
        if stopped := self._stops.get(session):
            stopped.set()

    def remember(self, history: Messages, answer: RatedAnswer | None, answers: dict[int, RatedAnswer]) -> Any:
        """Keep the new answer under its place in the conversation."""
        return {**answers, len(history) - 1: answer} if answer else answers

    def compare(self, question: str, browser_id: str, request: gr.Request) -> Iterator[tuple[str, str, Any, str]]:
        """Two answers to one question, growing side by side; and what can be voted on once both are whole."""
        if not self._may_ask(question, browser_id, request):
            yield "", "", None, ""
            return
        texts = ["", ""]
        try:
            served = served_model(self.store, self.settings.model)
            models = shuffled(served, rival_model(self.store, served, self.settings.against))
            # One model against itself would say the same twice.
            temperature = _SIDE_BY_SIDE_TEMPERATURE if models[0].id == models[1].id else 0.0
            for side, model in enumerate(models):
                conversation = [{"role": "user", "content": question.strip()}]
                sampling = Sampling(self.settings.max_new_tokens, temperature)
                for grown in self.talker.stream(model, conversation, sampling):
                    texts[side] = grown.strip()
                    yield texts[0], texts[1], None, ""
            if not all(texts):
                raise GalileuError("A model said nothing.")
        except GalileuError as error:
            _warn(request, "failed", error=error)
            yield "", "", None, ""
            return
        left, right = (RatedAnswer(question.strip(), text, model.id) for text, model in zip(texts, models, strict=True))
        yield texts[0], texts[1], ComparedAnswers(question.strip(), left, right), ""

    # -- votes --------------------------------------------------------------------------------------------------

    def thumb(
        self, answers: dict[int, RatedAnswer], browser_id: str, session: str, event: gr.LikeData, request: gr.Request
    ) -> Any:
        """A thumb on any answer of the conversation."""
        place = event.index if isinstance(event.index, int) else event.index[0]
        return self._vote(answers, place, browser_id, session, request, thumbs_up=bool(event.liked))

    def rate(
        self,
        rating: int | None,
        history: Messages,
        answers: dict[int, RatedAnswer],
        browser_id: str,
        session: str,
        request: gr.Request,
    ) -> Any:
        """One to five on the last answer; the choice is taken back where it was not stored."""
        changed = self._vote(answers, len(history) - 1, browser_id, session, request, rating=rating)
        return changed, rating if changed is not answers else None

    def comment(
        self,
        comment: str,
        history: Messages,
        answers: dict[int, RatedAnswer],
        browser_id: str,
        session: str,
        request: gr.Request,
    ) -> Any:
        """Words on the last answer; the box is emptied only once they are stored."""
        if not comment.strip():
            return answers, comment
        changed = self._vote(answers, len(history) - 1, browser_id, session, request, comment=comment.strip())
        return changed, "" if changed is not answers else comment

    def correct(
        self,
        better: str,
        history: Messages,
        answers: dict[int, RatedAnswer],
        browser_id: str,
        session: str,
        request: gr.Request,
    ) -> str:
        """A better answer than the last one; the box is emptied only once it is stored."""
        if not better.strip():
            return better
        answer = answers.get(len(history) - 1)
        if answer is None:
            _warn(request, "no_answer")
            return better
        stored = self._store(request, browser_id, session, partial(self.votes.correct, answer, better.strip()))
        return "" if stored else better

    def choose(
        self, verdict: Verdict, compared: ComparedAnswers | None, browser_id: str, session: str, request: gr.Request
    ) -> tuple[ComparedAnswers | None, str]:
        """A vote between the two answers; only then are the models shown."""
        if compared is None or compared.verdict is not None:
            return compared, reveal(compared, _language(request))
        stored = self._store(request, browser_id, session, partial(self.votes.compare, compared, verdict))
        compared = replace(compared, verdict=verdict) if stored else compared
        return compared, reveal(compared, _language(request))

    def _vote(
        self,
        answers: dict[int, RatedAnswer],
        place: int,
        browser_id: str,
        session: str,
        request: gr.Request,
        **vote: Any,
    ) -> dict[int, RatedAnswer]:
        """The answers with the vote in them; the same object where nothing was stored."""
        answer = answers.get(place)
        if answer is None:
            _warn(request, "no_answer")
            return answers
        changed = answer.with_vote(**vote)
        if changed is answer or not self._store(request, browser_id, session, partial(self.votes.vote, changed)):
            return answers
        return {**answers, place: changed}

    def _store(self, request: gr.Request, browser_id: str, session: str, store: Callable[[Person], None]) -> bool:
        """Store a vote of the person at the browser, and tell them; False where it was not stored."""
        person = _person(browser_id, session, request)
        if not self.limits.allow_vote(person.user_id):
            _warn(request, "too_fast")
            return False
        try:
            store(person)
        except GalileuError as error:
            _warn(request, "not_stored", error=error)
            return False
        language = _language(request)
        gr.Info(say(language, "thanks"), duration=3, title=say(language, "stored"))
        return True

    # -- the page -----------------------------------------------------------------------------------------------

    def served_line(self) -> str:
        """Name and version of the model in service."""
        try:
            return line(served_model(self.store, self.settings.model))
        except GalileuError as error:
            return str(error)

    def statistics(self, request: gr.Request) -> Any:
        """What was collected so far."""
        return statistics.show(self.collector.get_feedback_stats(), _language(request))

    def _may_ask(self, question: str, browser_id: str, request: gr.Request) -> bool:
        """Whether the question can be put to a model; tells the person why not."""
        if not question.strip():
            _warn(request, "empty_question")
        elif len(question) > MAX_QUESTION_CHARS:
            _warn(request, "too_long", length=len(question), limit=MAX_QUESTION_CHARS)
        elif not self.limits.allow_answer(_person(browser_id, "", request).user_id):
            _warn(request, "too_fast")
        else:
            return True
        return False


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
    """Builds the tab. Returns where the model in service is named."""
    answers = gr.State({})
    newest = gr.State(None)
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
        question = gr.Textbox(
            show_label=False,
            placeholder=i18n("question_hint"),
            max_length=MAX_QUESTION_CHARS,
            elem_id="question",
            scale=6,
            min_width=120,
        )
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
        reply = waiting.then(chat.reply, [chatbot, session], [chatbot, newest, served], **_EVENT)
        kept = reply.then(chat.remember, [chatbot, newest, answers], answers, **_EVENT)
        emptied = kept.then(lambda: (None, "", ""), None, [rating, comment, correction], **_EVENT)
        emptied.then(lambda found: _enabled(bool(found), 3), answers, rated_with, **_EVENT)
    stop.click(chat.stop, session, None, queue=False, **_EVENT)
    chatbot.like(chat.thumb, [answers, *who], answers, **_EVENT)
    rating.input(chat.rate, [rating, chatbot, answers, *who], [answers, rating], **_EVENT)
    send_comment.click(chat.comment, [comment, chatbot, answers, *who], [answers, comment], **_EVENT)
    send_correction.click(chat.correct, [correction, chatbot, answers, *who], correction, **_EVENT)
    chatbot.clear(lambda: ({}, None, None, "", ""), None, [answers, newest, rating, comment, correction], **_EVENT)
    return served


def _compare_tab(chat: Chat, i18n: gr.I18n, browser_id: gr.BrowserState, session: gr.State) -> None:
    compared = gr.State(None)
    gr.Markdown(i18n("compare_intro"))
    with gr.Row(equal_height=True):
        question = gr.Textbox(
            show_label=False,
            placeholder=i18n("question_hint"),
            max_length=MAX_QUESTION_CHARS,
            elem_id="compare-question",
            scale=6,
            min_width=200,
        )
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
    refresh = gr.Button(i18n("refresh"), size="sm", elem_id="refresh")
    for trigger in (tab.select, refresh.click):
        trigger(chat.statistics, None, [summary, by_day, ratings, verdicts], **_EVENT)


def _example(number: int) -> Any:
    def example(request: gr.Request) -> str:
        return say(_language(request), f"example_{number}")

    return example


def _choice(chat: Chat, verdict: Verdict) -> Any:
    def choose(
        compared: ComparedAnswers | None, browser_id: str, session: str, request: gr.Request
    ) -> tuple[ComparedAnswers | None, str]:
        return chat.choose(verdict, compared, browser_id, session, request)

    return choose


def _enabled(on: bool, parts: int) -> list[Any]:
    """As many parts of the page, all to be used or none."""
    return [gr.update(interactive=on) for _ in range(parts)]


def _arrive(browser_id: str) -> tuple[str, str]:
    """The person's lasting id, made on the first visit, and one for this page."""
    return browser_id or str(uuid.uuid4()), str(uuid.uuid4())


def _person(browser_id: str, session: str, request: gr.Request) -> Person:
    """The login where there is one; else the browser. Both are hashed by the collector."""
    login = getattr(request, "username", None)
    address = request.client.host if request.client else ""
    return Person(f"login:{login}" if login else f"browser:{browser_id or address}", f"session:{session}")


def _warn(request: gr.Request, key: str, **values: object) -> None:
    language = _language(request)
    gr.Warning(html.escape(say(language, key, **values)), title=say(language, "attention"))


def _language(request: gr.Request) -> Language:
    return language_of(request.headers.get("accept-language"))


def line(model: Artifact) -> str:
    """A model in a line."""
    return f"`{model.manifest.asset}` · `{model.id}`"


def reveal(compared: ComparedAnswers | None, language: Language) -> str:
    """Which model gave which answer; nothing before the vote."""
    if compared is None or compared.verdict is None:
        return ""
    return say(language, "revealed", left=compared.left.model_id, right=compared.right.model_id)


def plain(history: Any) -> Messages:
    """What is said in a conversation on the page: the opposite of `shown`."""
    return [{"role": message["role"], "content": html.unescape(_text(message["content"]))} for message in history or []]


def shown(conversation: Messages) -> Messages:
    """A conversation for the page, where texts show as they were written and are never markup."""
    return [{"role": message["role"], "content": html.escape(message["content"])} for message in conversation]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text", "") for part in content)


def translations() -> gr.I18n:
    """The page's own texts, for the browser to choose from."""
    return gr.I18n(**{"en": TEXTS["en"], "pt": TEXTS["pt"], "pt-BR": TEXTS["pt"]})
