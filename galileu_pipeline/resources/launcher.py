"""Where the training stages run."""

import dagster as dg

from galileu_pipeline.training.stages import Launch


class SubprocessLauncher(dg.ConfigurableResource):
    """Each stage is a process on this machine; its progress comes back through Dagster Pipes."""

    def launch(self, context: dg.AssetExecutionContext) -> Launch:
        """A function that runs a command to its end, streaming its messages to the event log."""
        client = dg.PipesSubprocessClient()

        def run(command: list[str]) -> None:
            client.run(context=context, command=command).get_results(implicit_materializations=False)

        return run
