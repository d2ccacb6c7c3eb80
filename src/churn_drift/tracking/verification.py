"""What follows from the pin in this repository: the champion's folder and the ledger's last line."""

from churn_drift import paths
from churn_drift.errors import PipelineError
from churn_drift.tracking import dvc, ledger, pin, promotion


def verify(*, mend: bool) -> list[str]:
    """One line for each thing that disagrees with models/champion.dvc, mended where asked.

    Raises PipelineError where the pin itself is gone, ModelError where the champion's files were altered: both are for
    a person to look at.
    """
    return [*_folder(mend=mend), *_ledger(mend=mend)]


def _folder(*, mend: bool) -> list[str]:
    if not paths.CHAMPION_PIN.exists():
        if ledger.entries(paths.LEDGER):
            name = paths.CHAMPION_PIN
            raise PipelineError(f"{name}: not there, though the ledger names a champion; `git checkout {name}`")
        return []
    if paths.CHAMPION.exists() and dvc.is_pinned(paths.CHAMPION):
        return []
    said = f"{paths.CHAMPION}: " + ("holds another model than its pin" if paths.CHAMPION.exists() else "not there")
    if mend:
        pin.restore()
    return [said]


def _ledger(*, mend: bool) -> list[str]:
    with pin.alone():
        line = promotion.missing_line()
        if line and mend:
            ledger.append(line, paths.LEDGER)
    if line is None:
        return []
    return [f"{paths.LEDGER}: {line['version']} is pinned, the last line names {line['replaces'] or 'nothing'}"]
