"""The errors a user may see. Each says what was wrong, where, and what to do; a traceback means a bug."""


class GalileuError(Exception):
    """Base of every expected failure. `galileu` exits with `exit_code`."""

    exit_code = 1
    transient = False  # whether the same may go well another time, with nothing changed


class InputError(GalileuError):
    """Something the user gave (a file, a row, an option, a setting) cannot be used."""

    exit_code = 2


class ArgumentError(InputError, ValueError):
    """What a caller gave the library cannot be used; also a ValueError, for those who use it without the pipeline."""


class SettingsError(InputError):
    """A profile or an override does not validate."""


class MissingArtifactError(GalileuError):
    """A stage needs an artifact that has not been made yet."""


class StageError(GalileuError):
    """A training stage ended without a usable result."""


class OutOfMemoryError(StageError):
    """The memory does not hold what a stage needs, however small its batches."""


class StoppedError(StageError):
    """A stage was told to stop, and did so in order."""


class StorageError(GalileuError):
    """A disk is full, or may not be written."""


class InterruptedProcessError(StageError):
    """A process was killed, or could not reach what it needs for the moment."""

    transient = True


class WarehouseBusyError(GalileuError):
    """Another process kept the DuckDB file for longer than the time-out."""

    transient = True


class SourceBusyError(GalileuError):
    """Another program has locked a file of feedback."""

    transient = True


class DivergedError(StageError):
    """Training left the finite numbers, or the policy went too far from its reference."""
