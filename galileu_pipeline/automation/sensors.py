"""Sensors: what Dagster's daemon looks after by itself."""

import os

import dagster as dg

from galileu_pipeline.automation import jobs, notifications
from galileu_pipeline.automation.dead_runs import fail_dead_runs
from galileu_pipeline.automation.interrupted_runs import remind_of_interrupted_runs
from galileu_pipeline.automation.news import news
from galileu_pipeline.automation.triggers import NEWS_TAG, last_data, start_once
from galileu_pipeline.errors import GalileuError
from galileu_pipeline.feedback.ingestion.changes import feedback_state
from galileu_pipeline.lineage.artifacts import Artifact
from galileu_pipeline.lineage.champion import ChampionFile
from galileu_pipeline.lineage.digests import json_digest
from galileu_pipeline.profiles.automation import AutomationSettings, Threshold
from galileu_pipeline.resources.storage import StorageResource

_Answer = dg.RunRequest | dg.SkipReason


def make_sensors(settings: AutomationSettings) -> list[dg.SensorDefinition]:
    """All of them, as a profile times them."""

    @dg.sensor(
        job=jobs.refresh_feedback,
        minimum_interval_seconds=settings.interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def feedback_sensor(context: dg.SensorEvaluationContext, storage: StorageResource) -> _Answer:
        """Brings new clicks and imports into the warehouse, the analytics and the pairs."""
        try:
            state = feedback_state(storage.data)
        except GalileuError as error:
            return dg.SkipReason(str(error))
        if state is None:
            return dg.SkipReason(f"No feedback yet: nothing at {storage.data.feedback_db}, and nothing was imported.")
        return start_once(context.instance, _trigger("feedback_sensor", storage), state, state)

    @dg.sensor(
        job=jobs.train_dpo,
        minimum_interval_seconds=settings.interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def dpo_sensor(context: dg.SensorEvaluationContext, storage: StorageResource) -> _Answer:
        """Trains and evaluates a DPO model once there are enough preference pairs, and again for so many more."""
        pairs, trigger = storage.artifacts.find_current("preference_pairs"), _trigger("dpo_sensor", storage)
        answer = _at_threshold(context.instance, trigger, settings.dpo, pairs, "pairs", "pairs")
        if pairs is None or isinstance(answer, dg.SkipReason):
            return answer
        known = last_data(context.instance, trigger)
        found = news(pairs, storage.artifacts.find(known) if known else None)
        if settings.min_compared is not None and found.at_chance(settings.min_compared):
            return dg.SkipReason(
                f"{found}, as chance would have it: people are needed more than a GPU. Ask more of them about the same "
                "answers (side by side in the chat), or set automation.min_compared to null in the profile."
            )
        return dg.RunRequest(run_key=answer.run_key, tags={**answer.tags, NEWS_TAG: str(found)})

    @dg.sensor(
        job=jobs.train_ppo,
        minimum_interval_seconds=settings.interval_s,
        default_status=dg.DefaultSensorStatus.STOPPED,
    )
    def ppo_sensor(context: dg.SensorEvaluationContext, storage: StorageResource) -> _Answer:
        """The same with PPO, by the number of interactions that people rated. Off until you start it."""
        feedback = storage.artifacts.find_current("raw_feedback")
        trigger = _trigger("ppo_sensor", storage)
        return _at_threshold(context.instance, trigger, settings.ppo, feedback, "interactions", "interactions")

    return [feedback_sensor, dpo_sensor, ppo_sensor, dead_runs, notifications.failed_runs, changes_of_service]


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Marks runs whose process was killed as failed, which frees what they hold; sees that they start again."""
    dead, waiting = fail_dead_runs(context.instance), remind_of_interrupted_runs(context.instance)
    done = [f"Marked as failed: {', '.join(dead)}."] if dead else []
    done += [f"Dagster is reminded to start again: {', '.join(waiting)}."] if waiting else []
    return dg.SkipReason(" ".join(done) or "No run has lost its process.")


@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def changes_of_service(context: dg.SensorEvaluationContext, storage: StorageResource) -> dg.SkipReason:
    """Tells the webhook of every model that comes into service, whether the rule or a person put it there."""
    address = os.environ.get(notifications.WEBHOOK_VARIABLE)
    if not address:
        return dg.SkipReason(f"{notifications.WEBHOOK_VARIABLE} is not set.")
    history = ChampionFile(storage.artifacts).read().history
    if context.cursor is None:  # what was before somebody wanted to hear of it is no news
        context.update_cursor(str(len(history)))
        return dg.SkipReason("Every change from now on is told.")
    for number, change in enumerate(history[int(context.cursor) :], start=int(context.cursor) + 1):
        notifications.notify_of_change(address, change)
        context.update_cursor(str(number))
    return dg.SkipReason(f"{len(history)} changes have been told." if history else "Nothing has changed yet.")


def _trigger(sensor: str, storage: StorageResource) -> str:
    """Whose runs these are: one Dagster instance may serve several profiles and data folders."""
    return f"{sensor}/{storage.profile.name}/{json_digest(str(storage.data.root))[:8]}"


def _at_threshold(
    instance: dg.DagsterInstance, trigger: str, threshold: Threshold, artifact: Artifact | None, metric: str, what: str
) -> _Answer:
    """A run for the highest threshold that the count in `artifact`'s manifest has reached.

    The manifest is read, not the data: a look costs the same however much there is.
    """
    count = int(artifact.manifest.metrics.get(metric, 0)) if artifact else 0
    level = threshold.level(count)
    if artifact is None or level is None:
        return dg.SkipReason(f"{count:,} of {threshold.first:,} {what}")
    answer = start_once(instance, trigger, str(level), artifact.id, int)
    if isinstance(answer, dg.RunRequest):
        return answer
    following = threshold.next_level(count)
    return dg.SkipReason(f"{count:,} of {following:,} {what} for the next training. {answer.skip_message}")
