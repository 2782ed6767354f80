"""What the processes of a training have to know of each other."""

from collections.abc import Callable
from typing import TypeVar

from accelerate import Accelerator
from accelerate.utils import gather_object

from galileu_pipeline.errors import StageError

ItemT = TypeVar("ItemT")


class Processes:
    """Errors of any, which all of them raise: none waits for one that has ended."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._alone = accelerator.num_processes == 1

    def gather(self, items: list[ItemT]) -> list[ItemT]:
        """Those of all processes, in their order."""
        return items if self._alone else gather_object(items)

    def first(self, problem: str | None) -> str | None:
        """The problem of the first process that has one."""
        return next((found for found in self.gather([problem]) if found is not None), None)

    def together(self, work: Callable[[], ItemT]) -> ItemT:
        """What `work` returns here, once it is done everywhere.

        Raises:
            StageError: it failed in another process. A failure of this one is raised as it is.
        """
        if self._alone:
            return work()
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # raised below, when the others know
            failure = error
        place = self._accelerator.process_index
        told = self.first(f"Process {place} failed: {type(failure).__name__}: {failure}" if failure else None)
        if failure is not None:
            raise failure
        if told is not None:
            raise StageError(told)
        return result  # type: ignore[return-value]
