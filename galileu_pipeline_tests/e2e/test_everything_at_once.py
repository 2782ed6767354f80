"""Everybody uses the same data folder at once: nobody is told that it is locked."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.database import connect
from galileu_pipeline_tests.e2e.browser import RunningChat, ask, needs_browser, playwright
from galileu_pipeline_tests.e2e.sandbox import INHERITED, ROOT, Sandbox, copy_of

pytestmark = [pytest.mark.e2e, needs_browser]

# So often each of them does its work beside all others: once from the start on, where all meet in the same places, and
# once more wherever they have got to by then.
ROUNDS = 2
# Whoever needs less than the materializations takes a breath between its rounds, and leaves them the processor.
BREATH_S = 1.0
PATIENCE_S = 240.0
# On a busy machine the page may be drawn anew under the pointer; who sees after a while that nothing came of a click
# clicks again, but not for ever.
LOOK_AGAIN_S, GIVE_UP_S = 10.0, 240.0

# Looks as often as it can, as a daemon would at its interval, until it is told to end.
SENSORS = """
import select
import sys
import time
import dagster as dg
from galileu_pipeline.automation.instance import open_instance
from galileu_pipeline.definitions import defs, storage
looks = 0
instance, _ = open_instance()
with instance:
    while not select.select([sys.stdin], [], [], 0)[0]:
        for name in ("feedback_sensor", "dpo_sensor"):
            with dg.build_sensor_context(instance=instance, resources={"storage": storage}) as context:
                defs.get_sensor_def(name).evaluate_tick(context)
            looks += 1
        time.sleep(0.5)
print(looks)
"""


# Messages to the user go away by themselves, so they are collected as they come.
COLLECT_WARNINGS = """() => {
  window.warnings = [];
  const look = () => document.querySelectorAll(".toast-body.warning, .toast-body.error")
    .forEach(node => window.warnings.push(node.innerText));
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true});
}"""


@pytest.fixture
def chat(demonstrated: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChat]:
    box = copy_of(demonstrated, tmp_path_factory.mktemp("together"))
    # The preference models of so small a demo may end an answer before its first word; such a question is given back.
    options = ("--model", "sft_model", "--max-new-tokens", "8")
    running = RunningChat(box, *options, "--answers-per-minute", "1000", "--votes-per-minute", "1000")
    yield running
    running.stop()


class Repeated(threading.Thread):
    """A command, again and again until it is enough. It may wait; it must not fail."""

    def __init__(self, command: Callable[[], subprocess.CompletedProcess[str]], enough: threading.Event) -> None:
        super().__init__()
        self.command = command
        self.enough = enough
        self.done: list[subprocess.CompletedProcess[str]] = []
        self.start()

    def run(self) -> None:
        while not self.enough.wait(BREATH_S if self.done else 0):
            self.done.append(self.command())


class Materialized(Repeated):
    """A materialization; who has done enough of them lets the others end theirs."""

    def run(self) -> None:
        while len(self.done) < ROUNDS and not self.enough.is_set():
            self.done.append(self.command())


class Sensors:
    """They look from the first round of the others to the last."""

    def __init__(self, box: Sandbox) -> None:
        self.process = subprocess.Popen(
            ["sh", "-c", f". ./env.sh && exec python -c '{SENSORS}'"],
            cwd=ROOT,
            env={**INHERITED, **box.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> subprocess.CompletedProcess[str]:
        told, complained = self.process.communicate("enough")
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, told, complained)


def test_everybody_works_or_waits(chat: RunningChat, page: Any) -> None:
    box, enough = chat.box, threading.Event()
    materialize = "dagster asset materialize --select"
    page.goto(chat.url)
    page.evaluate(COLLECT_WARNINGS)
    ask(page, "Quem é você?")
    sensors = Sensors(box)
    users = {
        "one materialization": Materialized(lambda: box.shell(f"{materialize} raw_feedback,preference_pairs"), enough),
        "another materialization": Materialized(lambda: box.shell(f"{materialize} raw_feedback"), enough),
        "import": Repeated(lambda: import_a_vote(box), enough),
        "stats": Repeated(lambda: box.galileu("stats", "--json"), enough),
        "quarantine": Repeated(lambda: box.galileu("quarantine", "--json"), enough),
    }
    votes, until = 0, time.monotonic() + PATIENCE_S
    try:
        while votes < ROUNDS or any(len(user.done) < ROUNDS for user in users.values()):
            assert time.monotonic() < until, {name: len(user.done) for name, user in users.items()}
            ask(page, f"Pergunta número {votes}?")
            votes += 1
            thumbs = page.locator("#chat [aria-label='Gostei']")
            playwright.expect(thumbs).to_have_count(1 + votes)  # an answer gets its own once it is whole
            rate_the_last(thumbs, chat, votes)
            time.sleep(BREATH_S)
    finally:
        enough.set()
        for user in users.values():
            user.join()
        looked = sensors.end()
    for name, ended in {**{name: user.done for name, user in users.items()}, "sensors": [looked]}.items():
        for done in ended:
            assert done.returncode == 0, (name, done.stderr)
            assert not re.search(r"is locked|set lock|in use by another", done.stdout + done.stderr), name
    assert int(looked.stdout) >= 2 * ROUNDS  # each of the two sensors as often as the others worked
    assert page.evaluate("window.warnings") == []
    refreshed = box.shell(f"{materialize} raw_feedback")
    assert refreshed.returncode == 0, refreshed.stderr
    with connect(str(DataFolder(box.data).warehouse)) as warehouse:
        assert count(warehouse, "feedback_id LIKE 'imported-%'") == len(users["import"].done)
        assert count(warehouse, "query LIKE 'Pergunta número%'") == votes


def import_a_vote(box: Sandbox) -> subprocess.CompletedProcess[str]:
    """One that nobody imported before."""
    name = f"imported-{time.monotonic_ns()}"
    vote = {
        "feedback_id": name,
        "query": f"{name}?",
        "response": "Sim.",
        "rating": 5,
        "timestamp": "2026-10-30T12:00:00Z",
    }
    file = box.root / f"{name}.jsonl"
    file.write_text(json.dumps(vote), encoding="utf-8")
    return box.galileu("import", str(file))


def count(warehouse: duckdb.DuckDBPyConnection, condition: str) -> int:
    ((rows,),) = warehouse.execute(f"SELECT count(DISTINCT feedback_id) FROM feedback WHERE {condition}").fetchall()
    return int(rows)


def questions_rated(chat: RunningChat) -> int:
    (row,) = chat.rows("SELECT count(DISTINCT query) AS questions FROM feedback WHERE query LIKE 'Pergunta número%'")
    return int(row["questions"])


def rate_the_last(thumbs: Any, chat: RunningChat, questions: int) -> None:
    """Click the last answer's thumb until so many questions are rated."""
    give_up = time.monotonic() + GIVE_UP_S
    while questions_rated(chat) < questions:
        warnings = thumbs.page.evaluate("window.warnings")
        assert time.monotonic() < give_up, f"the click was not stored; {warnings}"
        if thumbs.count() == 1 + questions:  # a thumb that took the click has another name
            thumbs.last.click()
        look_again = time.monotonic() + LOOK_AGAIN_S
        while questions_rated(chat) < questions and time.monotonic() < look_again:
            time.sleep(0.1)
