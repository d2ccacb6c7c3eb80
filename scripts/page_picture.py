"""Draw docs/figures/page.png, the README's picture of the page: a server of its own, some traffic, Chromium.

    python scripts/page_picture.py

Needs a run, Debian's chromium (`make test-deps`) and the development packages.
"""

import os
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from churn_drift.data.simulator import load_statistics, simulate
from churn_drift.terminal import working
from churn_drift.usage import Parser

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs/figures/page.png"
WIDE, HIGH = 1100, 1290
CUSTOMERS = 1000


def main() -> None:
    """Draw it."""
    Parser(description=__doc__).parse_args()
    with working("starting a server"), served() as url:
        ask(url)
        draw(url)
    print(TARGET.relative_to(ROOT))


@contextmanager
def served() -> Iterator[str]:
    """The page's address, while the champion serves on a free port and logs into a folder that goes away."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "serve-model.py", "--port", "0"]
        environment = {**os.environ, "SERVE_LOG": folder, "SERVE_ACCESS_LOG": "off"}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
            for line in process.stderr or ():
                if found := re.search(r"Listening at: http://127.0.0.1:(\d+)", line):
                    yield f"http://localhost:{found[1]}/"
                    break
            process.terminate()


def ask(url: str) -> None:
    """Score customers like those of the last batch, so that the live part has something to show."""
    newest = simulate(load_statistics(), rows=10 * CUSTOMERS, seed=3).tail(CUSTOMERS).drop(columns="Churn")
    body = newest.to_csv(index=False, na_rep="NA").encode()
    urllib.request.urlopen(urllib.request.Request(f"{url}predict/batch", body, {"Content-Type": "text/csv"})).close()


def draw(url: str) -> None:
    """What a desktop shows first."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-background-networking"]
        )
        page = browser.new_page(viewport={"width": WIDE, "height": HIGH}, color_scheme="light")
        page.goto(url)
        page.wait_for_selector("#auc canvas")
        page.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main()
