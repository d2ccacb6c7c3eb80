"""Build the page that `dvc plots show` and `dvc plots diff` fill, so that it opens with no network.

    python scripts/plots_page.py

DVC's own page loads Vega from a CDN. Ours, `.dvc/plots/page.html` (`plots.html_template` in .dvc/config), is
plots_page.html with the same versions of the same libraries inside, from npm, checked, their licences kept. Run it
again after a change to plots_page.html, or to the versions when DVC changes its own. Needs npm.
"""

import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE / "plots_page.html"
PAGE = HERE.parent / ".dvc/plots/page.html"


@dataclass(frozen=True)
class Library:
    """A package of npm and the sha256 of its build/NAME.min.js."""

    name: str
    version: str
    sha256: str

    @property
    def spec(self) -> str:
        return f"{self.name}@{self.version}"


LIBRARIES = (
    Library("vega", "5.20.2", "4794d0169cb1f3ebad8117fe98ba5bd652dd725905ec0384e832391dbccb03be"),
    Library("vega-lite", "5.2.0", "d73157451b3978015ab31dacd55ff90d986ab8663fc0abed50f97b3cd90002cb"),
    Library("vega-embed", "6.18.2", "1ba9826431ddc9805e815ad92acc811c819f2bfd32bda2a128b8c4b5070fab5e"),
)
"""What dvc-render loads from its CDN (`dvc_render.vega.VegaRenderer.SCRIPTS`), in that order."""


def main() -> None:
    blocks = [block(library, fetch(library)) for library in LIBRARIES]
    page = SOURCE.read_text().replace("{libraries}", "\n".join(blocks))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page)
    print(f"{PAGE.relative_to(HERE.parent)}: {len(page):,} characters")


def fetch(library: Library) -> bytes:
    """The package as npm packs it, a tarball."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, library.spec]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return next(Path(folder).glob("*.tgz")).read_bytes()


def block(library: Library, package: bytes) -> str:
    """The library as a script element under its licence. Raises ValueError where it is not the pinned one."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        manifest, licence, code = (
            archive.extractfile(f"package/{name}").read().decode()
            for name in ("package.json", "LICENSE", f"build/{library.name}.min.js")
        )
    found = json.loads(manifest)
    if (found["name"], found["version"]) != (library.name, library.version):
        raise ValueError(f"{library.spec}: npm packed {found['name']}@{found['version']}")
    if hashlib.sha256(code.encode()).hexdigest() != library.sha256:
        raise ValueError(f"{library.spec}: build/{library.name}.min.js is not the pinned file")
    if "</script" in code or "-->" in licence:
        raise ValueError(f"{library.spec} would end its own element of the page")
    comment = f"<!-- {library.spec}, {found['license']}\n\n{licence.strip()}\n-->"
    return f'{comment}\n<script id="{library.name}">{code}</script>'


if __name__ == "__main__":
    main()
