"""Every error this package raises on purpose, as one tree.

ChurnDriftError              one line for the user: what, where, and the command that mends it
├── ConfigError              params.yaml: unknown, missing or out-of-range key
├── DataError                a file, column, row or value that is not the schema
│   └── CellError            one cell of a table
├── TrainingError            a window that no model can be fitted on
├── ModelError               a model directory that is altered, incomplete or unknown
├── VersionError             a version, role, date or revision that nobody knows
└── PipelineError            a DVC command or a report that is not there
"""


class ChurnDriftError(Exception):
    """The caller's fault, told in one line; commands print it and exit with 2."""


class ConfigError(ChurnDriftError):
    """A key of params.yaml is unknown, missing or outside its range."""


class DataError(ChurnDriftError):
    """A file, column, row or value is not what the schema says."""


class CellError(DataError):
    """A cell is not what its column holds.

    row    its row, counted from 0 below the header
    fault  what is wrong with it and how to mend it, without file, row and column
    """

    def __init__(self, source: str, *, row: int, column: str, fault: str) -> None:
        super().__init__(f"{source}: row {row + 2}: {column}: {fault}")
        self.row, self.fault = row, fault


class TrainingError(ChurnDriftError):
    """No model can be fitted on this window."""


class ModelError(ChurnDriftError):
    """A model directory is altered, incomplete or unknown."""


class VersionError(ChurnDriftError):
    """A version, role, date or revision that nobody knows."""


class PipelineError(ChurnDriftError):
    """A DVC command failed or a report is missing."""
