"""Data, models, reports and the inference log to the bucket and back, under the keys of aws.layout.

The pipeline's truth is git and DVC's remote; these are copies for people and tools that have neither. Up: a file whose
object has the same sha256 is passed over, so that doing it again, or after a kill, sends the rest. What no longer
exists here stays there. The champion's profile.json goes last: whoever reads it sees a whole model. Down is the
mirror: nothing here is deleted.

A large file goes in parts. Where the process is killed meanwhile, the next upload ends what lies there unfinished and
sends that file anew; parts are not taken up, for the largest file here takes a second.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from churn_drift import paths
from churn_drift.aws import layout, settings
from churn_drift.aws.copies import KMS, Copies, Copy, alone
from churn_drift.capture import place
from churn_drift.errors import ConfigError, PipelineError

KMS_KEY, ENCRYPTION = "S3_KMS_KEY_ID", "S3_ENCRYPTION"

PLACES: Mapping[str, Mapping[Path, str]] = {
    layout.DATA: {
        folder: f"{layout.DATA}/{folder.name}" for folder in (paths.LANDED, paths.PROCESSED.parent, paths.BATCHES)
    },
    layout.MODELS: {
        **{folder: f"{layout.MODELS}/{folder.name}" for folder in (paths.BASELINE, paths.RETRAINED, paths.CANDIDATE)},
        paths.CHAMPION: layout.CHAMPION,
    },
    layout.REPORTS: {Path("reports"): layout.REPORTS},
    layout.INFERENCE: {place.FOLDER: layout.INFERENCE},
}
"""What a folder's name stands for: the folders here, and their prefixes there. data/raw is the user's own file."""

FOLDERS = tuple(PLACES)
LAST = f"{layout.CHAMPION}/profile.json"

Progress = Callable[[int, int], None]
"""Told of so many bytes more, of so many in all."""


@dataclass(frozen=True)
class Moved:
    """What an upload or a download has done.

    same     files that were there already
    retried  requests that had to be sent again, by what was answered
    warning  what the bucket lacks; empty where nothing
    """

    files: int
    bytes: int
    same: int
    retried: Mapping[str, int]
    warning: str = ""

    def text(self) -> str:
        """
        >>> Moved(2, 3_400_000, 7, {"SlowDown": 3}).text()
        '2 files (3.4 MB), 7 were there already; 3 requests were sent again (SlowDown 3)'
        """
        what = f"{self.files:,} files ({self.bytes / 1e6:.1f} MB), {self.same:,} were there already"
        if not self.retried:
            return what
        said = ", ".join(f"{name} {count}" for name, count in sorted(self.retried.items()))
        return f"{what}; {sum(self.retried.values())} requests were sent again ({said})"


def upload(
    environment: Mapping[str, str], folders: Sequence[str] = FOLDERS, *, progress: Progress | None = None
) -> Moved:
    """Copy folders to the bucket of S3_BUCKET.

    Raises ConfigError on a setting or a folder's name, PipelineError with what S3 said; what has gone stays there.
    """
    copies = Copies(settings.bucket(environment), encryption=encryption(environment))
    with alone():
        copies.abort_orphans()
        there, found = {}, []
        for folder, prefix in _places(folders):
            there.update(copies.sizes(f"{prefix}/"))
            found += [Copy(path, f"{prefix}/{name}", path.stat().st_size) for name, path in _files(folder)]
        known = [each for each in found if there.get(each.key) == each.size]
        differing = {each.key for each in copies.differing(known, up=True)}
        needed = [each for each in found if each.key in differing or there.get(each.key) != each.size]
        advance = _advance(needed, progress)
        copies.put([each for each in needed if each.key != LAST], advance)
        copies.put([each for each in needed if each.key == LAST], advance)
        return _moved(needed, found, copies.retried, _warning(copies))


def download(
    environment: Mapping[str, str], folders: Sequence[str] = FOLDERS, *, progress: Progress | None = None
) -> Moved:
    """Copy folders from the bucket of S3_BUCKET: what differs is replaced, what is only here stays.

    Raises ConfigError on a setting or a folder's name, PipelineError with what S3 said or where a key leads out of
    its folder; a file is the old one or the new one, never half.
    """
    copies = Copies(settings.bucket(environment), encryption={})
    with alone():
        found = [
            Copy(_target(folder, key.removeprefix(f"{prefix}/"), key), key, size)
            for folder, prefix in _places(folders)
            for key, size in copies.sizes(f"{prefix}/").items()
            if not key.endswith("/") and not _is_hidden(key)
        ]
        needed = copies.differing(found, up=False)
        for each in needed:
            if each.path.is_relative_to(place.FOLDER):
                place.private(each.path.parent)
        copies.get(needed, _advance(needed, progress))
        for each in needed:
            if each.path.is_relative_to(place.FOLDER):
                each.path.chmod(0o600)
        return _moved(needed, found, copies.retried)


def encryption(environment: Mapping[str, str]) -> dict[str, str]:
    """At rest, as arguments of PutObject: S3's own keys, or the key of S3_KMS_KEY_ID.

    Raises ConfigError where S3_ENCRYPTION is neither on nor off.
    """
    said, key = environment.get(ENCRYPTION, "").strip().lower() or "on", environment.get(KMS_KEY, "").strip()
    if said not in ("on", "off"):
        raise ConfigError(f"{ENCRYPTION}: {said!r} is neither on nor off; leave it out to encrypt")
    if said == "off":
        return {}
    if key:
        return {"ServerSideEncryption": KMS, "SSEKMSKeyId": key}
    return {"ServerSideEncryption": "AES256"}


def _places(folders: Sequence[str]) -> Iterable[tuple[Path, str]]:
    unknown = [name for name in folders if name not in PLACES]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no folder that is copied; name some of {', '.join(FOLDERS)}")
    return [pair for name in dict.fromkeys(folders) for pair in PLACES[name].items()]


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Name below the folder and path of each file that is not hidden; of the inference log only what is complete."""
    if folder == place.FOLDER:
        return list(place.sealed(folder).items())
    found = ((path.relative_to(folder), path) for path in sorted(folder.rglob("*")) if path.is_file())
    return [(name.as_posix(), path) for name, path in found if not _is_hidden(name.as_posix())]


def _is_hidden(name: str) -> bool:
    """Whether a part begins with a dot: DVC's notes, and what is being written."""
    return any(part.startswith(".") and part not in (".", "..") for part in name.split("/"))


def _target(folder: Path, name: str, key: str) -> Path:
    """Where an object's file lies. Raises PipelineError where that is outside of the folder."""
    parts = PurePosixPath(name).parts
    target = folder.joinpath(*parts)
    stays = name == "/".join(parts) and ".." not in parts and not PurePosixPath(name).is_absolute() and "\0" not in name
    if not stays or not target.parent.resolve().is_relative_to(folder.resolve()):
        raise PipelineError(f"{key!r}: leads out of {folder}; delete this object, none of ours has such a key")
    return target


def _advance(needed: Iterable[Copy], progress: Progress | None) -> Callable[[int], None]:
    total = sum(each.size for each in needed)

    def advance(count: int) -> None:
        if progress is not None:
            progress(count, total)

    advance(0)
    return advance


def _moved(needed: Sequence[Copy], found: Sequence[Copy], retried: Counter[str], warning: str = "") -> Moved:
    return Moved(len(needed), sum(each.size for each in needed), len(found) - len(needed), dict(retried), warning)


def _warning(copies: Copies) -> str:
    versioned = copies.is_versioned()
    if versioned:
        return ""
    what = "keeps no old versions" if versioned is False else "does not tell whether it keeps old versions"
    return f"bucket {copies.bucket} {what}; `make aws-deploy` makes one that does"
