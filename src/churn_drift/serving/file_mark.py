"""What tells that a file is another than before, without reading it."""

from pathlib import Path

FileMark = tuple[int, int, int]
"""Inode, time of change in ns, size: another mark, perhaps another file."""


def file_mark(path: Path) -> FileMark | None:
    """The file's mark; None where it is not there or may not be looked at."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
