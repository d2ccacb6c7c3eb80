"""Run the notebooks on the run that lies here, each from a clean kernel, into pages that open with no network.

    python scripts/notebooks.py            # all of them, into reports/notebooks
    python scripts/notebooks.py 03 04      # those whose names start so
    python scripts/notebooks.py --strip    # as they stand in git: without outputs, counts and an editor's metadata

The same run gives the same bytes. Ends with 2 where a run is missing or a cell fails.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbstripout import strip_output
from pygments.formatters import HtmlFormatter
from traitlets.config import Config

from churn_drift import errors

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "notebooks"
PAGES = ROOT / "reports/notebooks"
TEMPLATE = Path(__file__).with_name("notebook_page.html")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
AT_ONCE = 2
CELL_SECONDS = 120
FOLDED = """
{%- extends "basic/index.html.j2" -%}
{%- block input -%}
<details class="code"{{ " open" if cell.source.count("\n") < 12 }}><summary>code</summary>{{ super() }}</details>
{%- endblock -%}
"""
"""nbconvert's own template; long code starts folded."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="notebooks whose names start so; all without")
    parser.add_argument("--strip", action="store_true", help="rewrite the notebooks as they stand in git; run nothing")
    arguments = parser.parse_args()
    chosen = [path for path in sources() if path.stem.startswith(tuple(arguments.names) or "")]
    if not chosen:
        print(f"error: no notebook starts with {' or '.join(arguments.names)}; see {SOURCES}", file=sys.stderr)
        return 2
    if arguments.strip:
        for path in chosen:
            path.write_text(stripped(path.read_text(encoding="utf-8")), encoding="utf-8")
        return 0
    # No setting of the user's reaches a kernel, and no history leaves it.
    with tempfile.TemporaryDirectory() as scratch:
        os.environ |= {"IPYTHONDIR": scratch, "JUPYTER_CONFIG_DIR": scratch, "JUPYTER_RUNTIME_DIR": scratch}
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        return asyncio.run(render(chosen, sockets=Path(scratch)))


def sources() -> list[Path]:
    return sorted(SOURCES.glob("*.ipynb"))


def stripped(text: str) -> str:
    """A notebook as it stands in git."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})  # first: it may ask to keep the output
    return nbformat.writes(strip_output(notebook, keep_output=False, keep_count=False, keep_id=True)) + "\n"


async def render(chosen: list[Path], *, sockets: Path) -> int:
    """Pages of these notebooks, two at a time. Every one is tried; 2 where one failed."""
    places = asyncio.Semaphore(AT_ONCE)
    PAGES.mkdir(parents=True, exist_ok=True)
    failed = await asyncio.gather(*(_render(path, places, sockets) for path in chosen))
    return 2 if any(failed) else 0


async def _render(path: Path, places: asyncio.Semaphore, sockets: Path) -> bool:
    target = PAGES / f"{path.stem}.html"
    async with places:
        started = time.monotonic()
        try:
            executed = await run(path, sockets=sockets)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            target.unlink(missing_ok=True)  # an older page would be taken for this run's
            print(f"error: {path.relative_to(ROOT)}: {told(error)}", file=sys.stderr, flush=True)
            return True
        target.write_text(page(executed, name=path.stem), encoding="utf-8")
        print(f"{target.relative_to(ROOT)}  {time.monotonic() - started:.1f} s", flush=True)
        return False


async def run(path: Path, *, sockets: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, from a kernel that started for it.

    Raises CellExecutionError, CellTimeoutError and, where the kernel was killed, DeadKernelError.
    """
    client = NotebookClient(
        nbformat.read(path, as_version=4),
        timeout=CELL_SECONDS,
        kernel_name="python3",
        record_timing=False,
        config=Config({"KernelManager": {"transport": "ipc", "ip": str(sockets / path.stem)}}),  # no port is opened
        resources={"metadata": {"path": str(path.parent)}},
    )
    return await client.async_execute()


def told(error: Exception) -> str:
    """Our own errors in their one line; of a fault in the notebook the traceback."""
    ours = isinstance(error, CellExecutionError) and hasattr(errors, error.ename)
    return error.evalue if ours else str(error)


def page(notebook: nbformat.NotebookNode, *, name: str) -> str:
    """One HTML page with everything in it."""
    exporter = HTMLExporter(
        raw_template=FOLDED, exclude_input_prompt=True, exclude_output_prompt=True, anchor_link_text=""
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = re.sub(
        r'<div class="(highlight|output_html|output_png)', r'<div tabindex="0" class="\1', body
    )  # they scroll
    links = [
        f"<b>{other.stem}</b>" if other.stem == name else f'<a href="{other.stem}.html">{other.stem}</a>'
        for other in sources()
    ]
    for other in sources():
        body = body.replace(f'href="{other.name}"', f'href="{other.stem}.html"')
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    texts = {"title": name, "links": "\n".join(links), "body": body, "light": light, "dark": dark}
    html = TEMPLATE.read_text(encoding="utf-8")
    for key, text in texts.items():
        html = html.replace(f"<!--{key}-->", text).replace(f"/*{key}*/", text)
    return html


if __name__ == "__main__":
    sys.exit(main())
