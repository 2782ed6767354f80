"""The chat in a real browser."""

import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from galileu_pipeline_tests.e2e.sandbox import INHERITED, ROOT, Sandbox

playwright = pytest.importorskip("playwright.sync_api")

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="there is no Chromium on PATH (Debian: apt-get install chromium)"
)

PATIENCE_MS = 120_000  # the model is loaded with the first question
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


class RunningChat:
    """`galileu chat` on a free port, over a copy of the demonstrated data folder."""

    def __init__(self, box: Sandbox, *options: str, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.box = box
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [str(Path(sys.executable).with_name("galileu")), "chat", "--port", str(self.port), *options],
            cwd=ROOT,
            env={**INHERITED, **box.environment, "OMP_NUM_THREADS": "1", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        told = []
        for line in self.process.stderr:
            told.append(line)
            if "The chat is on" in line:
                return
        raise AssertionError(f"the chat did not start: {''.join(told)}")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=60)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with sqlite3.connect(self.box.data / "feedback" / "feedback.db") as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]


def ask(page: Any, question: str) -> None:
    """Ask, and wait until the answer is whole: only then can it be rated."""
    answers = page.locator("#chat .bot.message")
    before = answers.count()
    page.locator("#question textarea").fill(question)
    page.locator("#send").click()
    playwright.expect(answers).to_have_count(before + 1)
    playwright.expect(page.locator("#send-comment")).to_be_enabled()


def stored(page: Any) -> None:
    """Wait for the confirmation, and take it away."""
    toast = page.get_by_text(re.compile("Sua avaliação foi guardada|Your feedback is stored")).last
    playwright.expect(toast).to_be_visible()
    page.locator(".toast-close").last.click()
    playwright.expect(page.locator(".toast-close")).to_have_count(0)
