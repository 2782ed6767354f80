"""Which profiles there are, and which is active. Commands that need no settings import this alone, and start faster."""

import os
from importlib.resources import files
from importlib.resources.abc import Traversable

from galileu_pipeline.errors import SettingsError

DEFAULT_PROFILE = "cpu"


def profile_names() -> list[str]:
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def active_profile_name() -> str:
    """`GALILEU_PROFILE`, or the default."""
    return os.environ.get("GALILEU_PROFILE") or DEFAULT_PROFILE


def profile_file(name: str) -> Traversable:
    """The YAML of that profile.

    Raises:
        SettingsError: there is no such profile.
    """
    if name not in profile_names():
        raise SettingsError(
            f"There is no profile {name!r}. GALILEU_PROFILE takes one of: {', '.join(profile_names())}."
        )
    return _folder() / f"{name}.yaml"


def _folder() -> Traversable:
    return files("galileu_pipeline.profiles")
