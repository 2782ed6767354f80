"""Run config that assets take."""

from typing import Any

import dagster as dg
from pydantic import Field


class MakeConfig(dg.Config):
    """Of an asset that is reused while nothing changes."""

    force: bool = Field(False, description="make it anew although inputs and settings are those of an earlier one")


class StageConfig(MakeConfig):
    """Of a model asset."""

    overrides: dict[str, Any] = Field(
        {}, description="settings of this stage that differ from the profile's, e.g. {learning_rate: 0.00002}"
    )
