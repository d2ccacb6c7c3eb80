"""An IPython extension for the notebooks: `%load_ext churn_drift.plotting.notebook` in the first cell.

It makes the repository's root the current folder, as the stages have it, and lets a Figure that ends a cell show
itself in the house style: the same bytes for the same numbers, no pyplot. An error of this package is told in one line.
"""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from churn_drift.errors import ChurnDriftError, PipelineError
from churn_drift.plotting.house import style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext` calls. Raises PipelineError outside the repository."""
    from matplotlib.figure import Figure

    os.chdir(root(Path.cwd()))
    shell.display_formatter.formatters["image/png"].for_type(Figure, shown)
    shell.display_formatter.formatters["text/plain"].for_type(Figure, lambda figure, text, _: text.text(alt(figure)))
    shell.set_custom_exc((ChurnDriftError,), _told)


def root(folder: Path) -> Path:
    """The nearest folder, this one or above it, that holds dvc.yaml."""
    for place in (folder, *folder.parents):
        if (place / "dvc.yaml").is_file():
            return place
    raise PipelineError(f"{folder}: no dvc.yaml here or above; open the notebook inside the repository")


def shown(figure: "Figure") -> tuple[bytes, dict[str, str]]:
    """A figure as PNG with its alternative text, as IPython takes it."""
    stream = io.BytesIO()
    with style():
        figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue(), {"alt": alt(figure)}


def alt(figure: "Figure") -> str:
    """What a figure shows, in words: the titles of its parts."""
    titles = (axes.get_title(loc="left") or axes.get_title() for axes in figure.axes)
    return "; ".join(dict.fromkeys(title for title in titles if title))


def _told(shell: Any, kind: type[BaseException], error: BaseException, *_: object, **__: object) -> list[str]:
    line = f"error: {error}"
    print(line, file=sys.stderr)
    return [line]
