"""Where the processes of training and evaluation run."""

import os

import dagster as dg

from galileu_pipeline.process import Launch
from galileu_pipeline.supervision import supervise


class SubprocessLauncher(dg.ConfigurableResource):
    """Each is a process on this machine; its progress comes back through Dagster Pipes."""

    patience_s: float = 3600.0

    def launch(self, context: dg.AssetExecutionContext) -> Launch:
        """A function that runs a command to its end, streaming its messages to the event log; see `supervise`.

        When the run is terminated, so is the command, in order.
        """

        def run(command: list[str]) -> None:
            with dg.open_pipes_session(
                context, dg.PipesTempFileContextInjector(), dg.PipesTempFileMessageReader()
            ) as session:
                supervise(command, self.patience_s, environment={**os.environ, **session.get_bootstrap_env_vars()})
            session.get_results(implicit_materializations=False)

        return run
