"""dvc.lock: what the stages last read and wrote. The same bytes are the same run."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from churn_drift.errors import PipelineError

LOCK = Path("dvc.lock")
STAGES = Path("dvc.yaml")


def key_of(content: bytes) -> str:
    """The name of a run: the first 12 hex digits of its dvc.lock's sha256."""
    return digest_of(content)[:12]


def digest_of(content: bytes) -> str:
    """sha256, in hex."""
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes) -> dict[str, Any]:
    """The document. Raises PipelineError where it is not what DVC writes."""
    try:
        document = yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  it is a safe one
        outs(document)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"{LOCK}: cannot be read ({reason}); `git checkout {LOCK}`") from None
    return dict(document)


def outs(locked: Mapping[str, Any]) -> dict[str, str]:
    """DVC's hash of every output, by its path."""
    return {out["path"]: out["md5"] for stage in locked["stages"].values() for out in stage.get("outs", ())}


def gaps(locked: Mapping[str, Any], stages: Mapping[str, Any]) -> Iterator[str]:
    """What keeps the stages of dvc.yaml from being one finished run, in words; nothing where they are."""
    made = outs(locked)
    for name in stages["stages"]:
        if name not in locked["stages"]:
            yield f"stage {name} has not run"
    for name, stage in locked["stages"].items():
        for dep in stage.get("deps", ()):
            if dep["path"] in made and dep.get("md5") != made[dep["path"]]:
                yield f"stage {name} has not run on the {dep['path']} that is there now"
