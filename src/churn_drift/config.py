"""params.yaml as frozen, validated objects: an unknown, missing or out-of-range key is an error that names it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from churn_drift.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Section(BaseModel):
    """One section of params.yaml."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Ingest(Section):
    """Where the customers come from."""

    source: str = Field(min_length=1)
    rows: Positive
    seed: Seed


class Preprocess(Section):
    """How raw cells are read."""

    zero_is_missing: bool


class Scenario(Section):
    """A drift injected on purpose; `none` leaves the data as it came."""

    kind: Literal["none", "covariate", "prior", "concept"]
    shape: Literal["sudden", "gradual", "recurring"]
    onset: Annotated[int, Field(ge=0)]
    size: Annotated[float, Field(ge=-5, le=5)]
    period: Positive

    @model_validator(mode="after")
    def _share_of_the_signal(self) -> "Scenario":
        if self.kind == "concept" and not 0 <= self.size <= 1:
            raise ValueError(f"size {self.size:g} of a concept drift is a share; it must lie in 0 to 1")
        return self


class SplitBatches(Section):
    """How the history becomes batches."""

    batches: Annotated[int, Field(ge=3, le=200)]
    reference_share: Annotated[float, Field(gt=0, lt=1)]
    order: Literal["acquisition", "shuffled"]
    seed: Seed
    scenario: Scenario

    @property
    def reference_batches(self) -> int:
        """How many of the first batches are the reference."""
        return round(self.reference_share * self.batches)

    @model_validator(mode="after")
    def _enough_on_both_sides(self) -> "SplitBatches":
        if not 1 <= self.reference_batches <= self.batches - 2:
            raise ValueError(
                f"reference_share {self.reference_share:g} of {self.batches} batches makes "
                f"{self.reference_batches} reference batches; it must leave 1 or more, and 2 or more after them"
            )
        last = self.batches - 1
        if self.scenario.kind != "none" and not self.reference_batches <= self.scenario.onset <= last:
            raise ValueError(
                f"scenario.onset {self.scenario.onset} is not a batch after the reference "
                f"({self.reference_batches} to {last})"
            )
        return self


class Train(Section):
    """The settings of every fit, first model and successors alike."""

    seed: Seed
    trees: Positive
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    max_depth: Annotated[int, Field(ge=1, le=16)]
    min_child_weight: Annotated[float, Field(ge=0)]
    subsample: Annotated[float, Field(gt=0, le=1)]
    colsample_bytree: Annotated[float, Field(gt=0, le=1)]
    reg_lambda: Annotated[float, Field(ge=0)]
    max_cat_threshold: Positive
    max_bin: Annotated[int, Field(ge=2, le=1024)]
    folds: Annotated[int, Field(ge=2, le=20)]
    profile_bins: Annotated[int, Field(ge=2, le=100)]


class DriftCheck(Section):
    """When labels arrive, and what counts as drift."""

    label_delay: Annotated[int, Field(ge=0, le=50)]
    fdr: Annotated[float, Field(gt=0, lt=1)]
    psi_threshold: Annotated[float, Field(ge=0)]
    drift_share: Share
    min_rows: Positive
    alpha: Annotated[float, Field(gt=0, lt=1)]
    label_floor: Share


class Retrain(Section):
    """When a challenger replaces the champion."""

    policy: Literal["never", "always", "periodic", "triggered", "evidence", "price"]
    window: Literal["all", "last_n"]
    window_batches: Positive
    folds: Annotated[int, Field(ge=2, le=20)]
    z_promote: Annotated[float, Field(ge=0)]
    z_alarmed: Annotated[float, Field(ge=0)]
    z_triggered: Annotated[float, Field(ge=0)]
    price: Annotated[float, Field(ge=0)]
    period: Positive


class Evaluate(Section):
    """How the policy is compared with never."""

    confidence: Annotated[float, Field(gt=0.5, lt=1)]


class Params(Section):
    """The whole of params.yaml, sections in pipeline order."""

    ingest: Ingest
    preprocess: Preprocess
    split_batches: SplitBatches
    train: Train
    drift_check: DriftCheck
    retrain: Retrain
    evaluate: Evaluate


_Section = TypeVar("_Section", bound=Section)


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The validated parameters. Raises ConfigError with every faulty key, its value and its range."""
    return _validated(Params, _document(path), source=path)


def load_section(section: type[_Section], name: str, path: Path = Path("params.yaml")) -> _Section:
    """One section: what a stage reads is what it declares, so a stage never loads the others."""
    document = _document(path)
    if name not in document:
        raise ConfigError(f"{path}: {name}: section missing; `git checkout {path}` brings it back")
    return _validated(section, document[name], source=path, prefix=(name,))


def _document(path: Path) -> dict[str, object]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: not there; run this in the repository's root") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: not a mapping of sections; `git checkout {path}` brings it back")
    return document


def _validated(model: type[_Section], document: object, *, source: Path, prefix: Sequence[str] = ()) -> _Section:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        faults = []
        for fault in error.errors(include_url=False):
            key = ".".join([*prefix, *map(str, fault["loc"])]) or "params"
            message = fault["msg"].removeprefix("Value error, ")
            given = f" (is {fault['input']!r})" if not isinstance(fault["input"], dict) else ""
            faults.append(f"{key}: {message}{given}")
        raise ConfigError(f"{source}: {'; '.join(faults)}; edit {source}, its comments state the ranges") from None
