"""Telling people that a run failed, or that another model serves: a POST to the webhook of an environment variable."""

import os
from collections.abc import Sequence
from typing import Any

import dagster as dg
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from galileu_pipeline.automation.interrupted_runs import REMINDER
from galileu_pipeline.lineage.champion import Change

WEBHOOK_VARIABLE = "GALILEU_WEBHOOK_URL"
_TIMEOUT_S = 10
_BUSY = (429, 502, 503, 504)


@dg.run_failure_sensor(
    name="failed_runs", monitor_all_code_locations=False, default_status=dg.DefaultSensorStatus.RUNNING
)
def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
    """Posts every failed run, with its cause, to the address in GALILEU_WEBHOOK_URL."""
    address = os.environ.get(WEBHOOK_VARIABLE)
    if not address:
        return dg.SkipReason(f"{WEBHOOK_VARIABLE} is not set.")
    if context.failure_event.message == REMINDER:
        return dg.SkipReason("This failure has been told.")
    run = context.dagster_run
    failures = [(event.step_key or "", cause(event)) for event in context.get_step_failure_events()]
    notify(address, run.job_name, run.run_id, failures or [("", context.failure_event.message or "failed")])
    return None


def notify(address: str, job: str, run_id: str, failures: Sequence[tuple[str, str]]) -> None:
    """Send {text, job, run_id, failures: [{step, error}]}.

    Raises:
        dagster.Failure: as `post`.
    """
    lines = [f"{step}: {error}" if step else error for step, error in failures]
    message = {
        "text": "\n".join([f"galileu: {job} failed (run {run_id})", *lines]),
        "job": job,
        "run_id": run_id,
        "failures": [{"step": step, "error": error} for step, error in failures],
    }
    post(address, message)


def notify_of_change(address: str, change: Change) -> None:
    """Send {text, model, how, by, reason} of a model that came into service; `model` is null for the base model.

    Raises:
        dagster.Failure: as `post`.
    """
    why = f": {change.reason}" if change.reason else ""
    model, replaced = (name or "the base model" for name in (change.id, change.replaced))
    how = change.how.replace("_", " ")
    text = f"galileu: {model} is in service now, in place of {replaced} ({how} by {change.by}{why})"
    post(
        address,
        {"text": text, "model": change.id, "how": change.how, "by": change.by, "reason": change.reason},
    )


def post(address: str, message: Any) -> None:
    """Send a message as JSON; chat services show its `text`.

    Raises:
        dagster.Failure: the address did not take it. The message does not name the address, which is a secret.
    """
    # Dagster calls a run-failure sensor once a failure, so what does not arrive now is lost.
    patience = Retry(3, backoff_factor=1, status_forcelist=_BUSY, allowed_methods=["POST"], raise_on_status=False)
    try:
        with requests.Session() as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(max_retries=patience))
            answer = session.post(address, json=message, timeout=_TIMEOUT_S, allow_redirects=False)
    except Exception as error:  # whatever it is, its text may name the address
        raise dg.Failure(f"The webhook could not be reached ({type(error).__name__}).") from None
    if not 200 <= answer.status_code < 300:
        raise dg.Failure(f"The webhook answered {answer.status_code}.")


def cause(event: dg.DagsterEvent) -> str:
    """What made a step fail: the message meant for users where there is one, else that of the first error."""
    told = event.step_failure_data.user_failure_data
    if told is not None and told.description:
        return told.description
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed"
