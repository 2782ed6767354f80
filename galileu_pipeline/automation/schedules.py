"""Schedules: what happens by the clock, as a profile sets it."""

import dagster as dg

from galileu_pipeline.automation import jobs
from galileu_pipeline.automation.housekeeping import housekeeping, housekeeping_config
from galileu_pipeline.profiles.automation import AutomationSettings


def make_schedules(settings: AutomationSettings) -> list[dg.ScheduleDefinition]:
    """Weekly retraining, daily analytics and housekeeping, unless the profile says otherwise."""
    return [
        dg.ScheduleDefinition(
            name="retraining",
            job=jobs.retrain_all,
            cron_schedule=settings.retrain_cron,
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Makes every model again from the feedback there is; what has not changed is reused.",
        ),
        dg.ScheduleDefinition(
            name="analytics",
            job=jobs.refresh_feedback,
            cron_schedule=settings.refresh_cron,
            execution_timezone=settings.timezone,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Brings feedback, analytics and pairs up to date, whether or not a sensor is running.",
        ),
        dg.ScheduleDefinition(
            name="forget_runs",
            job=housekeeping,
            cron_schedule=settings.housekeeping_cron,
            execution_timezone=settings.timezone,
            run_config=housekeeping_config(settings.keep_runs_days),
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Forgets old runs of Dagster.",
        ),
    ]
