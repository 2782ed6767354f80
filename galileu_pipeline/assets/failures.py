"""Failures as Dagster should treat them: what may pass by itself is tried again, bad input is not."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import dagster as dg

from galileu_pipeline.disk import disk_faults_explained
from galileu_pipeline.errors import GalileuError

MAX_RETRIES = 2
RETRY_DELAY_S = 10

Params = ParamSpec("Params")
Result = TypeVar("Result")


def explained(asset: Callable[Params, Result]) -> Callable[Params, Result]:
    """An asset's function whose expected errors fail the step with their cause and remedy, once and for all.

    A transient one (the warehouse in use, a process that was killed, a hub out of reach) is tried again first. What is
    no `GalileuError` is a bug, and fails with its traceback.
    """

    @functools.wraps(asset)
    def run(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        try:
            with disk_faults_explained():
                return asset(*args, **kwargs)
        except GalileuError as error:
            if error.transient:
                raise dg.RetryRequested(MAX_RETRIES, RETRY_DELAY_S) from dg.Failure(str(error))
            raise dg.Failure(str(error), allow_retries=False) from error

    return run
