"""Where the processes of training and evaluation run."""

import re

import dagster as dg
from dagster._core.errors import DagsterPipesExecutionError

from galileu_pipeline.errors import InterruptedProcessError
from galileu_pipeline.process import Launch

_KILLED = re.compile(r"code -(\d+)")  # all that Dagster tells of how a process ended


class SubprocessLauncher(dg.ConfigurableResource):
    """Each is a process on this machine; its progress comes back through Dagster Pipes."""

    def launch(self, context: dg.AssetExecutionContext) -> Launch:
        """A function that runs a command to its end, streaming its messages to the event log."""
        client = dg.PipesSubprocessClient()

        def run(command: list[str]) -> None:
            """Raises InterruptedProcessError if the process is killed."""
            try:
                client.run(context=context, command=command).get_results(implicit_materializations=False)
            except DagsterPipesExecutionError as error:
                if (signal := _KILLED.search(str(error))) is None:
                    raise
                raise InterruptedProcessError(
                    f"The process was killed by signal {signal[1]}; the system does that to whoever takes too much "
                    "memory. It goes on from its last checkpoint; if it happens again, lower batch_size."
                ) from error

        return run
