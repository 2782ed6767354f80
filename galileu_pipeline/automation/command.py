"""Dagster's commands that start runs or servers, on an instance that is in order. bin/ calls them this way.

All in one process: Dagster alone takes a second to import.
"""

import sys
from importlib.metadata import entry_points

from galileu_pipeline.loading import loading


def main() -> None:
    """Run the command that the arguments name: `dagster asset ...`, `dg launch ...` and so on."""
    sys.argv.pop(0)
    with loading():
        from galileu_pipeline.automation.instance import open_instance

        (entry_point,) = entry_points(group="console_scripts", name=sys.argv[0])
        command = entry_point.load()
    instance, killed = open_instance()
    instance.dispose()
    for run_id in killed:
        print(f"Run {run_id} was killed; it is marked as failed now, and no longer holds up others.")
    sys.exit(command())
