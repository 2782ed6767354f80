"""What the chat's page calls. What is said goes to the models, what is clicked to the collector."""

import html
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gradio as gr

from galileu_pipeline.chat import statistics
from galileu_pipeline.chat.canary import Canary, CanaryStanding
from galileu_pipeline.chat.limits import RateLimits
from galileu_pipeline.chat.serving import rival_model, served_model
from galileu_pipeline.chat.texts import language_of, say
from galileu_pipeline.chat.votes import ComparedAnswers, Person, RatedAnswer, VoteBox, shuffled
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback.collection.collector import FeedbackCollector, Verdict
from galileu_pipeline.languages import Language
from galileu_pipeline.lineage.artifacts import ArtifactStore, asset_of
from galileu_pipeline.training.talk import Messages, Sampling, Talker

MAX_QUESTION_CHARS = 2_000
Answers = dict[int, RatedAnswer]
"""The answers on a page that can be rated, by their place in the conversation. The page's state holds it, and the
handlers change it where it is: they run side by side, and each would put back what it had found.
"""

_SIDE_BY_SIDE_TEMPERATURE = 0.8


@dataclass(frozen=True)
class ChatSettings:
    """What the person who starts the chat decides."""

    model: str | None = None
    against: str | None = None
    max_new_tokens: int = 256
    answers_per_minute: int = 20
    votes_per_minute: int = 120
    canary: float = 0.0
    canary_bound: float = 0.5


@dataclass(frozen=True)
class GrowingAnswer:
    """An answer under way at a `place` of the conversation: somebody may ask it to stop, or wait for its end."""

    place: int
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


class Chat:
    """The app's handlers: plain functions of what is on the page."""

    def __init__(self, store: ArtifactStore, collector: FeedbackCollector, settings: ChatSettings) -> None:
        self.store = store
        self.collector = collector
        self.settings = settings
        self.votes = VoteBox(collector)
        self.talker = Talker(store)
        self.limits = RateLimits(settings.answers_per_minute, settings.votes_per_minute)
        self.canary = Canary(store, collector, settings.canary, settings.canary_bound, settings.against)
        self._growing: dict[str, GrowingAnswer] = {}  # by session
        self._voting = threading.Lock()  # one click changes an answer after the other, however fast they come

    # -- answers ------------------------------------------------------------------------------------------------

    def accept(self, question: str, history: Messages, browser_id: str, request: gr.Request) -> tuple[str, Messages]:
        """Move the question from its box into the conversation; leaves both as they are where it is refused."""
        if not self._may_ask(question, browser_id, request):
            return question, history
        return "", shown([*plain(history), {"role": "user", "content": question.strip()}])

    def reply(
        self, history: Messages, answers: Answers, browser_id: str, session: str, request: gr.Request
    ) -> Iterator[tuple[Messages, str]]:
        """The answer to the last message, growing. Whole, or stopped, it is in `answers` before the page shows it so:
        its thumbs can be clicked at once.
        """
        history = plain(history)
        if not history or history[-1]["role"] != "user":
            yield shown(history), self.served_line(request)
            return
        growing = self._growing[session] = GrowingAnswer(place=len(history))
        text = ""
        try:
            person = _person(browser_id, session, request)
            model, secret = self.canary.model_for(person.user_id, served_model(self.store, self.settings.model))
            answered_by = say(_language(request), "blind") if secret else line(model.id)
            with closing(self.talker.stream(model, history, Sampling(self.settings.max_new_tokens))) as stream:
                for grown in stream:
                    text = grown.strip()
                    yield shown([*history, {"role": "assistant", "content": text}]), answered_by
                    if growing.stopped.is_set():
                        break
            if not text and not growing.stopped.is_set():
                raise GalileuError("The model said nothing.")
            if text:
                answers[growing.place] = RatedAnswer(history[-1]["content"], text, model.id)
        except GalileuError as error:
            _warn(request, "failed", error=error)
        finally:
            growing.ended.set()
            self._growing.pop(session, None)
        if growing.place in answers:
            yield shown([*history, {"role": "assistant", "content": text}]), answered_by
        else:
            yield shown(history[:-1]), self.served_line(request)

    def stop(self, session: str) -> None:
        """Let the answer on this page end where it is. (Gradio's own cancelling would put an error over it.)"""
        if growing := self._growing.get(session):
            growing.stopped.set()

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

    def thumb(self, answers: Answers, browser_id: str, session: str, event: gr.LikeData, request: gr.Request) -> Any:
        """A thumb on any answer of the conversation; then the page may say whose it is."""
        place = event.index if isinstance(event.index, int) else event.index[0]
        stored = self._vote(answers, place, browser_id, session, request, thumbs_up=bool(event.liked))
        return line(answers[place].model_id) if stored else gr.skip()

    def rate(
        self,
        rating: int | None,
        history: Messages,
        answers: Answers,
        browser_id: str,
        session: str,
        request: gr.Request,
    ) -> tuple[int | None, Any]:
        """One to five on the last answer, and then whose it is; the choice is taken back where it was not stored."""
        place = len(history) - 1
        if not self._vote(answers, place, browser_id, session, request, rating=rating):
            return None, gr.skip()
        return rating, line(answers[place].model_id)

    def comment(
        self, comment: str, history: Messages, answers: Answers, browser_id: str, session: str, request: gr.Request
    ) -> str:
        """Words on the last answer; the box is emptied only once they are stored."""
        if not comment.strip():
            return comment
        stored = self._vote(answers, len(history) - 1, browser_id, session, request, comment=comment.strip())
        return "" if stored else comment

    def correct(
        self, better: str, history: Messages, answers: Answers, browser_id: str, session: str, request: gr.Request
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
        self, answers: Answers, place: int, browser_id: str, session: str, request: gr.Request, **vote: Any
    ) -> bool:
        """Store a vote on the answer at `place`, and keep it in `answers`; False where it was not stored.

        The page may show thumbs for a moment while an answer grows. The vote on it is then one on the whole answer.
        """
        growing = self._growing.get(session)
        if growing and growing.place == place:
            growing.ended.wait()
        with self._voting:
            answer = answers.get(place)
            if answer is None:
                _warn(request, "no_answer")
                return False
            changed = answer.with_vote(**vote)
            if changed is answer:  # it was stored before
                return True
            stored = self._store(request, browser_id, session, partial(self.votes.vote, changed))
            if stored:
                answers[place] = changed
            return stored

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

    def served_line(self, request: gr.Request) -> str:
        """Name and version of the model in service; that it is a secret, where a candidate is tried."""
        try:
            served = served_model(self.store, self.settings.model)
            standing = self.canary.standing(served)
        except GalileuError as error:
            return str(error)
        return say(_language(request), "blind") if standing and not standing.has_failed else line(served.id)

    def statistics(self, request: gr.Request) -> Any:
        """What was collected so far, and the leaderboard as the last `feedback_analytics` has it."""
        from galileu_pipeline.feedback.stages import (
            read_analytics,  # takes a second to load, and the first answer need not wait
        )

        analytics = self.store.find_current("feedback_analytics")
        board = read_analytics(analytics).leaderboard if analytics else None
        return statistics.show(self.collector.get_feedback_stats(), self._trial(), board, _language(request))

    def _trial(self) -> CanaryStanding | None:
        try:
            return self.canary.standing(served_model(self.store, self.settings.model))
        except GalileuError:  # the chat's own tab says so
            return None

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


def line(model_id: str) -> str:
    """A model in a line."""
    return f"`{asset_of(model_id)}` · `{model_id}`"


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
