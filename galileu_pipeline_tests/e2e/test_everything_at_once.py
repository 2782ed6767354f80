"""A minute in which everybody uses the same data folder: nobody is told that it is locked."""

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
from galileu_pipeline_tests.e2e.sandbox import Sandbox, copy_of

pytestmark = [pytest.mark.e2e, needs_browser]

DURATION_S = 60.0
# On a busy machine the page may be drawn anew under the pointer; who sees after a while that nothing came of a click
# clicks again, but not for ever.
LOOK_AGAIN_S, GIVE_UP_S = 10.0, 240.0

# Looks as often as it can, as a daemon would at its interval.
SENSORS = f"""
import time
import dagster as dg
from galileu_pipeline.automation.instance import open_instance
from galileu_pipeline.definitions import defs, storage
looks, end = 0, time.monotonic() + {DURATION_S}
instance, _ = open_instance()
with instance:
    while time.monotonic() < end:
        for name in ("feedback_sensor", "dpo_sensor"):
            with dg.build_sensor_context(instance=instance, resources={{"storage": storage}}) as context:
                defs.get_sensor_def(name).evaluate_tick(context)
            looks += 1
        time.sleep(0.2)
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
    """A command, again and again until the time is up. It may wait; it must not fail."""

    def __init__(self, command: Callable[[], subprocess.CompletedProcess[str]], until: float) -> None:
        super().__init__()
        self.command = command
        self.until = until
        self.done: list[subprocess.CompletedProcess[str]] = []
        self.start()

    def run(self) -> None:
        while time.monotonic() < self.until:
            self.done.append(self.command())


def test_everybody_works_or_waits(chat: RunningChat, page: Any) -> None:
    box = chat.box
    materialize = "dagster asset materialize --select"
    page.goto(chat.url)
    page.evaluate(COLLECT_WARNINGS)
    ask(page, "Quem é você?")
    until = time.monotonic() + DURATION_S
    users = {
        "one materialization": Repeated(lambda: box.shell(f"{materialize} raw_feedback,preference_pairs"), until),
        "another materialization": Repeated(lambda: box.shell(f"{materialize} raw_feedback"), until),
        "import": Repeated(lambda: import_a_vote(box), until),
        "stats": Repeated(lambda: box.galileu("stats", "--json"), until),
        "quarantine": Repeated(lambda: box.galileu("quarantine", "--json"), until),
        "sensors": Repeated(lambda: box.shell(f"python -c '{SENSORS}'"), until),
    }
    votes = 0
    while time.monotonic() < until:
        ask(page, f"Pergunta número {votes}?")
        votes += 1
        thumbs = page.locator("#chat [aria-label='Gostei']")
        playwright.expect(thumbs).to_have_count(1 + votes)  # an answer gets its own once it is whole
        rate_the_last(thumbs, chat, votes)
    for name, user in users.items():
        user.join()
        assert user.done, name
        for done in user.done:
            assert done.returncode == 0, (name, done.stderr)
            assert not re.search(r"is locked|set lock|in use by another", done.stdout + done.stderr), name
    assert page.evaluate("window.warnings") == []
    assert votes > 0
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
