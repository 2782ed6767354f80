"""What a failed run tells, whom, and whether it is tried again."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import pytest

from galileu_pipeline.assets import failures
from galileu_pipeline.automation.interrupted_runs import REMINDER
from galileu_pipeline.automation.notifications import cause, failed_runs, notify
from galileu_pipeline.automation.sensors import changes_of_service
from galileu_pipeline.errors import (
    GalileuError,
    InputError,
    InterruptedProcessError,
    OutOfMemoryError,
    StoppedError,
    StorageError,
    WarehouseBusyError,
)
from galileu_pipeline.lineage.artifacts import Outcome, Plan
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.resources.profile import ProfileResource
from galileu_pipeline.resources.storage import StorageResource


def materialize(error: Exception, monkeypatch: pytest.MonkeyPatch) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """An asset that raises `error` the first two times, and what it said each time."""
    monkeypatch.setattr(failures, "RETRY_DELAY_S", 0)
    tries: list[str] = []

    @dg.asset
    @failures.explained
    def wobbly(context: dg.AssetExecutionContext) -> None:
        tries.append(context.run.run_id)
        if len(tries) < 3:
            raise error

    return dg.materialize([wobbly], raise_on_error=False), tries


def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, tries = materialize(WarehouseBusyError("in use"), monkeypatch)
    assert outcome.success
    assert len(tries) == 3


def test_bad_data_is_not_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    error = InputError("row 7 has no text; fill it in")
    error.__cause__ = ValueError("what a library says of it")
    outcome, tries = materialize(error, monkeypatch)
    assert not outcome.success
    assert len(tries) == 1
    (event,) = [event for event in outcome.all_events if event.is_step_failure]
    assert cause(event) == "row 7 has no text; fill it in"


def test_what_did_not_pass_says_why_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "MAX_RETRIES", 1)
    outcome, tries = materialize(WarehouseBusyError("in use by another process"), monkeypatch)
    assert not outcome.success
    assert len(tries) == 2
    (event,) = [event for event in outcome.all_events if event.is_step_failure]
    assert cause(event) == "in use by another process"


def test_a_bug_is_not_tried_again_either(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, tries = materialize(ZeroDivisionError("a bug"), monkeypatch)
    assert not outcome.success
    assert len(tries) == 1


class Webhook(BaseHTTPRequestHandler):
    """Keeps what is posted."""

    received: ClassVar[list[Any]] = []
    status = 200

    def do_POST(self) -> None:
        self.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def webhook() -> Iterator[str]:
    Webhook.received, Webhook.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/secret-path"
    server.shutdown()
    thread.join()
    server.server_close()


@dg.op
def fail() -> None:
    raise GalileuError("there is no feedback; collect some")


@dg.job
def failing() -> None:
    fail()


def test_a_failed_run_is_posted_once_with_its_cause(webhook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        outcome = failing.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=outcome.get_run_failure_event(),
            dagster_instance=instance,
            dagster_run=outcome.dagster_run,
        ).for_run_failure()
        monkeypatch.delenv("GALILEU_WEBHOOK_URL", raising=False)
        failed_runs(context)
        assert Webhook.received == []
        monkeypatch.setenv("GALILEU_WEBHOOK_URL", webhook)
        failed_runs(context)
        reminder = dg.build_run_status_sensor_context(
            sensor_name="failed_runs",
            dagster_event=instance.report_run_failed(outcome.dagster_run, REMINDER),
            dagster_instance=instance,
            dagster_run=outcome.dagster_run,
        ).for_run_failure()
        failed_runs(reminder)
    (message,) = Webhook.received
    assert message["job"] == "failing"
    assert message["run_id"] == outcome.run_id
    ((step, error),) = [(failure["step"], failure["error"]) for failure in message["failures"]]
    assert step == "fail"
    assert "there is no feedback; collect some" in error
    assert "there is no feedback; collect some" in message["text"]


def test_each_change_of_service_is_posted_once(webhook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GALILEU_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("GALILEU_WEBHOOK_URL", webhook)
    storage = StorageResource(profile=ProfileResource(name="tiny"))
    store, service = storage.artifacts, ChampionFile(storage.artifacts)
    models = [
        store.make(Plan("dpo_model", [], {"profile": "tiny", "number": number}), lambda _: Outcome()).artifact.id
        for number in range(3)
    ]
    cursor: str | None = None

    def tick() -> list[Any]:
        nonlocal cursor
        Webhook.received.clear()
        with dg.build_sensor_context(cursor=cursor, resources={"storage": storage}) as context:
            try:
                changes_of_service(context)
            finally:
                cursor = context.cursor
        return list(Webhook.received)

    service.promote(models[0], by="rule", in_place_of=None)
    assert tick() == []  # it was so before anybody wanted to hear of it
    service.promote(models[1], by="rule", in_place_of=models[0])
    service.promote(models[2], by="person", in_place_of=models[1], reason="it is nicer")
    assert [(message["model"], message["by"]) for message in tick()] == [(models[1], "rule"), (models[2], "person")]
    assert tick() == []
    service.roll_back("it is not")
    Webhook.status = 500
    with pytest.raises(dg.Failure, match="answered 500"):
        tick()
    Webhook.status = 200
    (message,) = tick()
    assert message["text"] == (
        f"galileu: {models[1]} is in service now, in place of {models[2]} (rolled back by person: it is not)"
    )


@pytest.mark.slow
def test_the_webhooks_address_stays_a_secret(webhook: str) -> None:
    Webhook.status = 500
    with pytest.raises(dg.Failure, match="answered 500") as refused:
        notify(webhook, "job", "run", [("", "error")])
    with pytest.raises(dg.Failure, match="could not be reached") as unreached:
        notify("http://127.0.0.1:9/secret-path", "job", "run", [("", "error")])
    for failure in (refused, unreached):
        assert "secret-path" not in str(failure.value)
        assert failure.value.__cause__ is None


@pytest.mark.parametrize(
    ("number", "remedy"), [(28, "galileu prune"), (30, "writable"), (13, "read and write there"), (5, "dmesg")]
)
def test_a_disk_that_takes_nothing_fails_once_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    outcome, tries = materialize(OSError(number, "as the library has it", "/data/models"), monkeypatch)
    assert not outcome.success
    assert len(tries) == 1
    (event,) = [event for event in outcome.all_events if event.is_step_failure]
    assert remedy in cause(event)
    assert "/data/models" in cause(event)


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (InterruptedProcessError("killed"), 3),
        (OutOfMemoryError("too large"), 1),
        (StoppedError("stopped"), 1),
        (StorageError("full"), 1),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int
) -> None:
    assert len(materialize(error, monkeypatch)[1]) == tries
