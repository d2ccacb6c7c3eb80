"""A bundle as a model of MLflow's: its files as they are, a signature, and `publishing.pyfunc` as their loader."""

import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from churn_drift import schema
from churn_drift.model.bundle import Golden, load, version_of

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.models import ModelSignature

NAME = "model"
LOADER = "churn_drift.publishing.pyfunc"
NEEDED = ("mlflow", "numpy", "pandas", "pyarrow", "scipy", "xgboost-cpu")
"""What the loader imports. This package itself is on no index, so it cannot be named: install it beside them."""


def log(client: "MlflowClient", experiment: str, folder: Path, *, run: str | None, tags: Mapping[str, str]) -> str:
    """Put the bundle of a directory into an experiment, as what a run made; the id of MLflow's model.

    It becomes READY with its last file: a call that is cut off leaves one that nobody takes for a model.
    """
    import mlflow.pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    bundle = load(folder)
    tags = {"version": version_of(folder), "reason": bundle.facts["reason"], **tags}
    model = client.create_logged_model(experiment, name=NAME, source_run_id=run, tags=tags, model_type="churn")
    with tempfile.TemporaryDirectory() as scratch:
        mlflow.pyfunc.save_model(
            path=str(Path(scratch) / NAME),
            loader_module=LOADER,
            data_path=str(folder),
            mlflow_model=Model(artifact_path=model.artifact_location, run_id=run, model_id=model.model_id),
            signature=_signature(),
            input_example=_example(bundle.golden),
            pip_requirements=[f"{name}=={metadata.version(name)}" for name in NEEDED],
        )
        client.log_model_artifacts(model.model_id, str(Path(scratch) / NAME))
    client.finalize_logged_model(model.model_id, "READY")
    if run is not None:
        client.log_outputs(run, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


def _signature() -> "ModelSignature":
    """Any cell, none of them required.

    MLflow's own types would refuse what is legal here: a whole number where it expects a fraction, text such as
    'Unknown' in a column of numbers, a column of text in which every cell is empty.
    """
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import AnyType

    cell = AnyType()  # type: ignore[no-untyped-call]
    return ModelSignature(
        inputs=Schema([ColSpec(cell, column.name, required=False) for column in schema.RECORD]),
        outputs=Schema([ColSpec(DataType.double, "probability"), ColSpec(DataType.boolean, "decision")]),
    )


def _example(golden: tuple[Golden, ...]) -> "pd.DataFrame":
    """Made-up records: no customer's row leaves the data."""
    import pandas as pd

    return pd.DataFrame([dict(one.record) for one in golden], columns=[column.name for column in schema.RECORD])
