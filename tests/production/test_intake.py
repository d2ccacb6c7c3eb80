"""What becomes of files that arrive: late, twice, out of order, half written, with last week's schema."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from churn_drift import paths
from churn_drift.data import files, io
from churn_drift.data.preprocess import preprocess
from churn_drift.errors import DataError
from churn_drift.production.inbox import LocalInbox, Taken
from churn_drift.production.intake import take_in
from churn_drift.tracking import dvc
from tests.conftest import Records

N = 20


class PowerLoss(BaseException):
    """Nothing catches it."""


class Place:
    """The working directory, with its inbox."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.inbox = LocalInbox(quiet=0)

    def drop(self, name: str, what: pd.DataFrame | bytes) -> None:
        path = Path("data/inbox") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(what if isinstance(what, bytes) else csv(what))

    def take_in(self) -> dict[str, Taken]:
        return {one.name: one for one in take_in(self.inbox)}

    @property
    def outcomes(self) -> dict[str, str]:
        return {name: one.outcome for name, one in self.take_in().items()}

    @property
    def landed(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(paths.LANDED.rglob("*.csv"))}

    @property
    def waiting(self) -> list[str]:
        return sorted(path.name for path in Path("data/inbox").iterdir())


def csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False).encode()


def labels_of(raw: pd.DataFrame) -> pd.DataFrame:
    return raw[["CustomerID", "Churn"]]


@pytest.fixture
def place(scratch: Path, raw_records: Records, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A history of some customers; `dvc add` writes a pin and nothing else."""
    history = preprocess(raw_records(N, start=500), source="history", zero_is_missing=True).frame
    io.write_frame(history, paths.PROCESSED)
    monkeypatch.setattr(dvc, "add", lambda path: path.with_suffix(".dvc").touch())
    return Place(scratch)


@pytest.fixture
def batch(raw_records: Records) -> pd.DataFrame:
    return raw_records(N)


@pytest.fixture
def next_batch(raw_records: Records) -> pd.DataFrame:
    return raw_records(N, start=N)


# Order


def test_batches_land_in_order_of_name_and_leave_the_inbox(place, batch, next_batch):
    place.drop("b.csv", next_batch)
    place.drop("a.csv.gz", gzip.compress(csv(batch)))
    assert place.outcomes == {"a.csv.gz": "landed", "b.csv": "landed"}
    first, second = sorted((paths.LANDED / "batches").glob("*.csv"))
    assert pd.read_csv(first)["CustomerID"].tolist() == sorted(batch["CustomerID"].astype(int))
    assert pd.read_csv(second)["CustomerID"].tolist() == sorted(next_batch["CustomerID"].astype(int))
    assert place.waiting == []
    assert sorted(path.name for path in paths.LANDED.glob("*.dvc")) == ["batches.dvc", "labels.dvc"]


def test_labels_find_their_batch_in_the_same_inbox_whatever_their_names(place, batch):
    place.drop("a_labels.csv", labels_of(batch))
    place.drop("b.csv", batch.drop(columns="Churn"))
    assert place.outcomes == {"b.csv": "landed", "a_labels.csv": "landed"}
    assert place.waiting == []


def test_labels_that_come_before_their_batch_wait_for_it_and_lose_nothing(place, batch):
    place.drop("labels.csv", labels_of(batch))
    early = place.take_in()
    assert early["labels.csv"].line() == f"labels.csv: waits, {N} of its {N} customers are in no landed batch yet"
    assert place.landed == {}
    assert place.waiting == ["labels.csv"]
    place.drop("late.csv", batch.drop(columns="Churn"))
    assert place.outcomes == {"late.csv": "landed", "labels.csv": "landed"}
    out_of_order = place.landed
    place.drop("again.csv", batch)
    assert place.outcomes == {"again.csv": "again"}
    assert place.landed == out_of_order


def test_labels_of_customers_of_the_history_never_wait(place, raw_records):
    place.drop("labels.csv", labels_of(raw_records(N, start=500)))
    assert place.outcomes == {"labels.csv": "refused"}


def test_what_arrives_twice_lands_once(place, batch):
    place.drop("a.csv", batch)
    place.take_in()
    before = place.landed
    place.drop("a.csv", batch)
    place.drop("a copy.csv", batch)
    assert place.outcomes == {"a.csv": "again", "a copy.csv": "again"}
    assert place.landed == before
    assert place.waiting == []


def test_an_empty_inbox_is_nothing_to_do(place):
    assert take_in(place.inbox) == []


# What is refused


def renamed(content: bytes) -> bytes:
    return content.replace(b"MonthlyRevenue", b"MonthlyTurnover", 1)


FAULTY = {
    "last week's schema, a column missing": (
        lambda content: csv(pd.read_csv(pd.io.common.BytesIO(content), dtype=str).drop(columns="Handsets")),
        "missing column Handsets",
    ),
    "last week's schema, a column too many": (
        lambda content: csv(pd.read_csv(pd.io.common.BytesIO(content), dtype=str).assign(Tariff="x")),
        "unknown column",
    ),
    "last week's schema, a column renamed": (renamed, "missing column MonthlyRevenue"),
    "a column twice": (lambda content: content.replace(b"Handsets,", b"HandsetModels,", 1), "missing column Handsets"),
    "half of the bytes": (lambda content: content[: len(content) // 2], r"\d+ cells, but the header has 58"),
    "half of the packed bytes": (lambda content: gzip.compress(content, mtime=0)[:-900], "cannot be read to its end"),
    "not UTF-8": (lambda content: content.replace(b"Prizm", b"Pr\xffzm").replace(b"No", b"N\xf3"), "is not UTF-8"),
    "nothing": (lambda content: b"", "the file is empty"),
    "a header only": (lambda content: content.partition(b"\n")[0] + b"\n", "no rows below the header"),
    "a picture": (lambda content: b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8"),
    "one cell of a million bytes": (lambda content: b'"' + b"x" * 1_000_000, "no CSV"),
    "a cell that is no number": (lambda content: content.replace(b"\n3", b"\n?3", 1), "row 2: a cell is not"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_a_faulty_file_goes_to_the_quarantine_with_its_reason_and_the_others_go_on(place, batch, next_batch, name):
    spoil, reason = FAULTY[name]
    place.drop("a.csv", batch)
    place.drop("b.csv", spoil(csv(next_batch)))
    place.drop("c.csv", next_batch)
    taken = place.take_in()
    assert {name: one.outcome for name, one in taken.items()} == {
        "a.csv": "landed",
        "b.csv": "refused",
        "c.csv": "landed",
    }
    told = taken["b.csv"]
    assert pd.Series([told.said]).str.fullmatch(f"{reason}.*").item(), told.said
    assert Path(told.place).read_bytes() == spoil(csv(next_batch))
    assert Path(f"{told.place}.error.txt").read_text().startswith("b.csv: ") or told.said == "no CSV"
    assert place.waiting == []


def test_customers_of_whom_some_have_arrived_before_are_refused(place, batch, next_batch):
    place.drop("a.csv", batch)
    place.drop("b.csv", pd.concat([batch[-1:], next_batch]))
    taken = place.take_in()
    assert taken["b.csv"].said == "has arrived before"
    assert len(place.landed) == 2


def test_customers_of_the_history_are_refused(place, raw_records):
    place.drop("a.csv", raw_records(N, start=490))
    assert place.outcomes == {"a.csv": "refused"}
    assert place.landed == {}


def test_the_history_is_made_first_where_it_is_not_there(place, batch, monkeypatch):
    content = paths.PROCESSED.read_bytes()
    paths.PROCESSED.unlink()
    monkeypatch.setattr(dvc, "reproduce", lambda *stages: files.write_bytes(content, paths.PROCESSED))
    place.drop("a.csv", batch)
    place.take_in()
    assert paths.PROCESSED.exists()


def test_labels_that_contradict_what_has_landed_are_refused_and_what_has_landed_stays(place, batch):
    place.drop("a.csv", batch)
    place.take_in()
    before = place.landed
    turned = labels_of(batch).assign(Churn=batch["Churn"].map({"Yes": "No", "No": "Yes"}))
    place.drop("labels.csv", turned)
    taken = place.take_in()
    assert (taken["labels.csv"].outcome, taken["labels.csv"].said) == ("refused", "contradicts")
    assert place.landed == before


def test_nothing_that_is_told_holds_a_customers_cell(place, batch, next_batch):
    place.drop("a.csv", batch)
    place.take_in()
    secret = next_batch.assign(MonthlyRevenue="Mrs Miller")
    place.drop("cell.csv", secret)
    place.drop("known.csv", pd.concat([batch[:1], next_batch]))
    place.drop("no_header.csv", csv(secret).partition(b"\n")[2])
    place.drop("labels.csv", b"CustomerID,Churn\nMiller,Yes\n")
    told = [one.line() for one in place.take_in().values()]
    assert len(told) == 4
    cells = {"Miller", batch["CustomerID"].iloc[0], *next_batch["CustomerID"]}
    assert [line for line in told if any(cell in line for cell in cells)] == []
    assert "Mrs Miller" in Path("data/quarantine/cell.csv.error.txt").read_text()


def test_a_file_that_may_not_be_read_waits(place, batch, monkeypatch):
    place.drop("a.csv", batch)

    def denied(name: str, folder: Path) -> Path:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(place.inbox, "fetch", denied)
    assert place.take_in()["a.csv"].line() == "a.csv: waits, it cannot be read (Permission denied)"
    assert place.waiting == ["a.csv"]


def test_no_new_file_is_blamed_for_what_was_altered_since_it_landed(place, batch, next_batch):
    place.drop("a.csv", batch)
    place.take_in()
    landed = next((paths.LANDED / "batches").glob("*.csv"))
    landed.write_bytes(landed.read_bytes()[:-40])
    place.drop("b.csv", next_batch)
    with pytest.raises(DataError, match=r"was altered since it landed; `dvc checkout --force data/landed/batches`"):
        place.take_in()
    assert place.waiting == ["b.csv"]


# Power that goes


def test_wherever_the_power_goes_between_two_writes_the_next_run_ends_with_the_same(
    place, batch, next_batch, tmp_path_factory, monkeypatch
):
    def deliver() -> None:
        place.drop("a_labels.csv", labels_of(batch))
        place.drop("b.csv", batch.drop(columns="Churn"))
        place.drop("c.csv", b"no,customers\n1,2\n")
        place.drop("d.csv", next_batch)

    deliver()
    place.take_in()
    expected, refused = place.landed, sorted(path.name for path in Path("data/quarantine").iterdir())
    survived = 0
    for stop in range(1, 40):
        monkeypatch.chdir(start_anew(place, tmp_path_factory))
        deliver()
        with monkeypatch.context() as patch:
            count = losing_power(patch, after=stop)
            try:
                place.take_in()
            except PowerLoss:
                survived += 1
        place.take_in()
        assert place.landed == expected, f"after write {stop}"
        assert sorted(path.name for path in Path("data/quarantine").iterdir()) == refused
        assert place.waiting == []
        if count() < stop:
            break
    assert survived > 8
    assert count() == survived


def start_anew(place: Place, factory: pytest.TempPathFactory) -> Path:
    root = factory.mktemp("anew")
    for name in ("dvc.yaml", "params.yaml", str(paths.PROCESSED)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((place.root / name).read_bytes())
    return root


def losing_power(patch: pytest.MonkeyPatch, *, after: int):
    """Every write, rename and removal counts; after the given one nothing happens any more. How many there were."""
    done = [0]

    def counting(function):
        def wrapped(*arguments, **options):
            result = function(*arguments, **options)
            done[0] += 1
            if done[0] == after:
                raise PowerLoss
            return result

        return wrapped

    for name in ("replace", "rename", "unlink"):
        patch.setattr(Path, name, counting(getattr(Path, name)))
    patch.setattr(dvc, "add", counting(dvc.add))
    return lambda: done[0]
