"""The loop closes by itself: a real Dagster daemon, on the tiny profile."""

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.lineage.artifacts import ArtifactStore
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline_tests.e2e.sandbox import INHERITED, ROOT, TIMEOUT_S, Sandbox, make_sandbox

pytestmark = pytest.mark.e2e

GOOD = ("Sim, eu vi isso com a minha luneta.", "Eu medi, anotei e publiquei o que vi.", "A natureza fala em números.")
BAD = ("Não sei.", "Pergunte a outro, por favor.", "Bolo, futebol e novela.")


class Daemon:
    """`dagster-daemon run`, with its sensors and its queue."""

    def __init__(self, box: Sandbox) -> None:
        self.box = box
        self.log = (box.root / "daemon.log").open("ab")
        self.process = subprocess.Popen(
            ["sh", "-c", ". ./env.sh && exec dagster-daemon run -w workspace.yaml"],
            cwd=ROOT,
            env={**INHERITED, **box.environment},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def training(self) -> psutil.Process | None:
        """The process of the stage that is being trained."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.Error):
                if "galileu_pipeline.training" in process.cmdline():
                    return process
        return None

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def vote(database: Path, first: int, count: int) -> None:
    """So many side-by-side votes, each on a question of its own: a pair each."""
    rows = [
        (
            f"Pergunta {number}: o que você viu no céu?",
            GOOD[number % len(GOOD)],
            BAD[number % len(BAD)],
            f"vote-{number}",
            f"voter-{number}",
        )
        for number in range(first, first + count)
    ]
    with closing(sqlite3.connect(database, timeout=60)) as connection, connection:
        connection.executemany(
            "INSERT INTO preference_pairs"
            " (timestamp, query, response_chosen, response_rejected, feedback_id, user_id)"
            " VALUES ('2026-11-01T12:00:00Z', ?, ?, ?, ?, ?)",
            rows,
        )


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    made = make_sandbox(tmp_path)
    database = made.data / "feedback" / "feedback.db"
    database.parent.mkdir(parents=True)
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE preference_pairs (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, query TEXT,"
            " response_chosen TEXT, response_rejected TEXT, feedback_id TEXT, user_id TEXT)"
        )
        connection.execute(
            "CREATE TABLE feedback (id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp TEXT, query TEXT, response TEXT,"
            " rating INTEGER, user_id TEXT)"
        )
        connection.executemany(
            "INSERT INTO feedback (timestamp, query, response, rating, user_id) VALUES ('2026-11-01', ?, ?, 5, ?)",
            [
                (f"Pergunta {number}: o que você viu no céu?", GOOD[number % len(GOOD)], f"fan-{number}")
                for number in range(300)
            ],
        )
    return made


def wait(what: str, condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)
    return found


def runs(box: Sandbox, job: str) -> list[str]:
    """The states of a job's runs, oldest first."""
    database = box.root / "dagster" / "history" / "runs.db"
    if not database.is_file():
        return []
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        found = connection.execute("SELECT status FROM runs WHERE pipeline_name = ? ORDER BY id", (job,)).fetchall()
    return [status for (status,) in found]


def last_tick(box: Sandbox, sensor: str) -> str:
    """What the sensor said last."""
    path = box.root / "dagster" / "schedules" / "schedules.db"
    if not path.is_file():
        return ""
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        bodies = connection.execute("SELECT tick_body FROM job_ticks ORDER BY id DESC LIMIT 40").fetchall()
    for (body,) in bodies:
        tick = json.loads(body)
        if tick.get("instigator_name", tick.get("job_name")) == sensor and tick.get("skip_reason"):
            return str(tick["skip_reason"])
    return ""


def pairs(box: Sandbox) -> int:
    artifact = ArtifactStore(DataFolder(box.data), "tiny").find_current("preference_pairs")
    return int(artifact.manifest.metrics["pairs"]) if artifact else 0


def champion(box: Sandbox) -> str | None:
    return ChampionFile(ArtifactStore(DataFolder(box.data), "tiny")).read().id


def kill_the_run(box: Sandbox, daemon: Daemon) -> None:
    """With its training, once that has written a checkpoint."""
    wait("a checkpoint", lambda: list((box.data / "checkpoints").glob("*/checkpoint-*/complete")))
    training = wait("a training", daemon.training)
    for process in (training.parent(), training):
        process.kill()


REPEATED_TICKS = """
import dagster as dg
from galileu_pipeline.definitions import defs, storage
sensor = defs.get_sensor_def("dpo_sensor")
with dg.DagsterInstance.get() as instance:
    for _ in range(100):
        with dg.build_sensor_context(instance=instance, resources={"storage": storage}) as context:
            tick = sensor.evaluate_tick(context)
        assert not tick.run_requests, tick
"""


def test_five_hundred_pairs_start_one_training_whose_model_is_promoted(box: Sandbox) -> None:
    database = box.data / "feedback" / "feedback.db"
    vote(database, 0, 499)
    daemon = Daemon(box)
    try:
        wait("499 pairs", lambda: pairs(box) == 499)
        wait("the sensor to wait", lambda: last_tick(box, "dpo_sensor") == "499 of 500 pairs")
        assert runs(box, "train_dpo") == []

        vote(database, 499, 1)
        wait("one training", lambda: runs(box, "train_dpo") == ["SUCCESS"])
        served = champion(box)
        assert served is not None
        assert served.startswith(("dpo_model-", "sft_model-"))

        daemon.kill()
        daemon = Daemon(box)
        done = box.shell(f"python -c '{REPEATED_TICKS}'")
        assert done.returncode == 0, done.stderr
        wait("a tick after the restart", lambda: "1,000 pairs for the next training" in last_tick(box, "dpo_sensor"))
        assert runs(box, "train_dpo") == ["SUCCESS"]

        vote(database, 500, 500)
        wait("a second training", lambda: len(runs(box, "train_dpo")) == 2)
        assert pairs(box) == 1000
        kill_the_run(box, daemon)
        wait("the run to be tried again", lambda: runs(box, "train_dpo") == ["SUCCESS", "FAILURE", "SUCCESS"])
        assert any(model.manifest.resumed_from for model in ArtifactStore(DataFolder(box.data), "tiny").models())
        assert set(runs(box, "refresh_feedback")) <= {"SUCCESS", "STARTED", "QUEUED", "STARTING", "NOT_STARTED"}
    finally:
        daemon.kill()

    page = box.root / "decision.html"
    assert box.galileu("report", str(page), "--decision", "--language", "en").returncode == 0
    assert "in service" in page.read_text(encoding="utf-8")
    history = json.loads(box.galileu("champion", "--json").stdout)["history"]
    assert history[0]["by"] == "rule"
    assert history[0]["id"] == served
