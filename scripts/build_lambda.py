"""The Lambda's zip: our own modules that the handler reaches, numpy, and of scipy what scipy.special needs.

    python scripts/build_lambda.py [--output dist/lambda.zip]

The same sources make the same bytes: sorted, one date, libraries pinned by hash in infra/lambda-requirements.txt. What
takes long (fetching and compiling the libraries) is kept in .cache/lambda.
"""

import hashlib
import modulefinder
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from churn_drift.terminal import working
from churn_drift.usage import Parser

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src"
HANDLER = "churn_drift.aws.lambda_handler"
REQUIREMENTS = ROOT / "infra/lambda-requirements.txt"

PYTHON, PLATFORM, GLIBC = "3.11", "x86_64-manylinux2014", 26
"""Of AWS's runtime python3.11, which is Amazon Linux 2: glibc 2.26.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html"""

LARGEST = 250 * 2**20
"""AWS's limit, unzipped. https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

UNUSED = (
    "bin",
    "numpy/distutils",
    "scipy/cluster",
    "scipy/datasets",
    "scipy/differentiate",
    "scipy/fft",
    "scipy/fftpack",
    "scipy/integrate",
    "scipy/interpolate",
    "scipy/io",
    "scipy/misc",
    "scipy/ndimage",
    "scipy/odr",
    "scipy/optimize",
    "scipy/signal",
    "scipy/spatial",
    "scipy/stats",
)
"""Parts of the libraries that scipy.special does not import."""
UNUSED_FOLDERS = {"tests", "include", "examples"}
KEPT = {"numpy/_core/tests/_natype.py", "numpy/_core/tests/__init__.py"}
"""numpy.testing, and so scipy, imports it."""
UNUSED_FILES = {".a", ".c", ".f90", ".h", ".pxd", ".pyi", ".pyx"}

ABOUT_THIS_MACHINE = {".lock", "INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}

_DATE = (1980, 1, 1, 0, 0, 0)
_SYMBOL = re.compile(rb"GLIBC_2\.(\d+)")


@dataclass(frozen=True)
class Built:
    """A zip, and how large it is."""

    path: Path
    sha256: str
    zipped: int
    unzipped: int

    def line(self) -> str:
        return (
            f"{self.path}: {self.zipped / 1e6:.1f} MB, {self.unzipped / 1e6:.1f} MB unzipped "
            f"(AWS allows {LARGEST / 1e6:.0f}), sha256 {self.sha256}"
        )


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "dist/lambda.zip", help="default: dist/lambda.zip")
    parser.add_argument("--cache", type=Path, default=ROOT / ".cache/lambda", help="default: .cache/lambda")
    chosen = parser.parse_args()
    try:
        with working("building the zip"):
            built = build(chosen.output, cache=chosen.cache)
        print(built.line())
    except RuntimeError as error:
        sys.exit(f"error: {error}")


def build(output: Path, *, cache: Path) -> Built:
    """The zip at this place. Raises RuntimeError where the libraries cannot be had, or are not for AWS's runtime."""
    contents = {**_files(libraries(cache)), **_own()}
    unzipped = sum(len(content) for content in contents.values())
    if unzipped > LARGEST:
        raise RuntimeError(f"{unzipped / 1e6:.0f} MB unzipped, and AWS allows {LARGEST / 1e6:.0f}; leave out more")
    output.parent.mkdir(parents=True, exist_ok=True)
    beside = output.with_name(f".{output.name}.{os.getpid()}.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100755 << 16
            archive.writestr(entry, contents[name])
    beside.replace(output)
    digest = hashlib.sha256(output.read_bytes()).hexdigest()
    return Built(output, digest, zipped=output.stat().st_size, unzipped=unzipped)


def own_modules() -> dict[str, Path]:
    """Our modules that the handler reaches, lazy imports included, by their name in the zip."""
    finder = modulefinder.ModuleFinder(path=[str(SOURCE)])
    finder.import_hook(HANDLER)
    files = [Path(file) for module in finder.modules.values() if (file := getattr(module, "__file__", None))]
    return {file.relative_to(SOURCE).as_posix(): file for file in sorted(files)}


def libraries(cache: Path) -> Path:
    """The folder of the libraries, pruned and compiled: from the cache, or made there."""
    recipe = [REQUIREMENTS.read_bytes(), Path(__file__).read_bytes(), sys.version.encode()]
    folder = cache / hashlib.sha256(b"\0".join(recipe)).hexdigest()[:16]
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = Path(scratch) / "made"
            _install(made)
            _prune(made)
            _check(made)
            _compile(made)
            if not folder.exists():
                made.rename(folder)
    return folder


def _install(folder: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--link-mode", "copy"]
    where = ["--target", str(folder), "--python-platform", PLATFORM, "--python-version", PYTHON]
    done = subprocess.run(
        [uv, "pip", "install", *options, *where, "--requirement", REQUIREMENTS],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"uv could not fetch {REQUIREMENTS.name}: {' '.join(done.stderr.split())}")


def _prune(folder: Path) -> None:
    for name in UNUSED:
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in _walk(folder):
        place = path.relative_to(folder)
        unused = UNUSED_FOLDERS & set(place.parts) or path.suffix in UNUSED_FILES
        if (unused and place.as_posix() not in KEPT) or path.name in ABOUT_THIS_MACHINE:
            path.unlink()


def _check(folder: Path) -> None:
    """Each shared library must ask for symbols that the runtime's glibc has."""
    for file in sorted(folder.rglob("*.so*")):
        newest = max((int(minor) for minor in _SYMBOL.findall(file.read_bytes())), default=0)
        if newest > GLIBC:
            raise RuntimeError(
                f"{file.relative_to(folder)} needs glibc 2.{newest}, and AWS's runtime has 2.{GLIBC}; pin an older "
                f"release in {REQUIREMENTS.relative_to(ROOT)}"
            )


def _compile(folder: Path) -> None:
    """Byte code, which halves the time of a cold start: a Lambda can keep none. A process of its own makes the same
    bytes every time."""
    options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-m", "compileall", *options, str(folder)], env=environment, check=True)


def _own() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as scratch:
        for name, path in own_modules().items():
            copy = Path(scratch) / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        _compile(Path(scratch))
        return _files(Path(scratch))


def _files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


if __name__ == "__main__":
    main()
