"""What all commands share: the app, the two streams, and how results are shown.

No module of this package imports at its top what one command alone needs: each command would wait for it.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from galileu_pipeline.data_folder import DataFolder
from galileu_pipeline.profiles.names import active_profile_name, profile_file

if TYPE_CHECKING:
    from galileu_pipeline.lineage.artifacts import ArtifactStore
    from galileu_pipeline.profiles.schema import Profile

app = typer.Typer(
    name="galileu",
    help="People's feedback on a chatbot becomes a better model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def active_profile() -> "Profile":
    from galileu_pipeline.profiles.schema import load_profile

    return load_profile(active_profile_name())


def open_store() -> "ArtifactStore":
    """The store of the data folder, as the active profile sees it.

    Raises:
        SettingsError: there is no such profile.
    """
    from galileu_pipeline.lineage.artifacts import ArtifactStore

    name = active_profile_name()
    profile_file(name)
    return ArtifactStore(DataFolder.from_environment(), name)


def short(path: Path) -> str:
    """`path` as one would type it here; what cannot be shown of it is replaced."""
    here = Path.cwd()
    typed = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fsencode(typed).decode("utf-8", "replace")


def tell(line: str) -> None:
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def run_here(command: list[str]) -> None:
    """Launches a process that trains or evaluates; what it prints goes to stderr."""
    from galileu_pipeline.supervision import supervise

    supervise(command, active_profile().patience_s, stdout=sys.stderr)


def print_json(value: Any) -> None:
    from pydantic import BaseModel

    plain = value
    if isinstance(value, BaseModel):
        plain = value.model_dump(mode="json")
    elif isinstance(value, list):
        plain = [item.model_dump(mode="json") for item in value]
    print(json.dumps(plain, ensure_ascii=False, indent=2))
