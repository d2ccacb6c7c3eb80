"""What a run did, told by what lies in the folder before and after it."""

import re
from dataclasses import dataclass
from pathlib import Path

from churn_drift import paths
from churn_drift.errors import ChurnDriftError
from churn_drift.tracking import ledger

_ERROR = re.compile(r"^(?:ERROR|error): (?!.*\(see above\)$)(.+)$", re.MULTILINE)
_TAIL = 20_000


@dataclass(frozen=True)
class Standing:
    """How many batches have landed and were judged, and how many versions were champion; the last of them."""

    landed: int
    judged: int
    promotions: int
    champion: str


def standing() -> Standing:
    """As things are now."""
    try:
        past = ledger.entries(paths.LEDGER)
    except ChurnDriftError:  # the run that meets it tells of it
        past = []
    judged = paths.TIMELINE.read_bytes().count(b"\n") if paths.TIMELINE.exists() else 0
    landed = len(list((paths.LANDED / "batches").glob("*.csv")))
    return Standing(landed, judged, len(past), past[-1]["version"] if past else "")


def told(before: Standing, after: Standing, *, code: int, log: Path) -> str:
    """What a run did, in one line: its error where it failed, else what is new."""
    if code:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _TAIL))
            errors = _ERROR.findall(stream.read().decode(errors="replace"))
        if errors:
            return str(errors[-1])
    news = [
        f"{after.landed - before.landed} landed" if after.landed > before.landed else "",
        f"{after.judged - before.judged} judged" if after.judged > before.judged else "",
        f"promoted {after.champion}" if after.promotions > before.promotions else "",
    ]
    return ", ".join(filter(None, news)) or "nothing new"
