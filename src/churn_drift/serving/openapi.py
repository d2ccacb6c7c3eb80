"""What the server's paths take and answer, as an OpenAPI 3.1 document made from schema.py and the settings."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from importlib import metadata
from typing import Any

from churn_drift import schema
from churn_drift.serving import batch, contract, live, problems
from churn_drift.serving.problems import KINDS
from churn_drift.serving.settings import MEBIBYTE, Settings

EXAMPLE: Mapping[str, Any] = {
    "MonthsInService": 11,
    "CurrentEquipmentDays": 335,
    "MonthlyRevenue": 48.5,
    "MonthlyMinutes": 310,
    "PercChangeMinutes": -120,
    "CreditRating": "2-High",
    "Occupation": "Professional",
    "HandsetPrice": None,
}
YES_NO = ("0", "1", "false", "true")
HOURS, MOST_HOURS = 24, live.KEPT // timedelta(hours=1)
_KEY = "key"
_HEADERS = {
    401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750: what was wrong with the key"}},
    429: {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "seconds to wait"}},
}
_HOW = "`churn-drift keys add NAME` makes a key; a path names the scopes of which one opens it"


def document(settings: Settings, *, needs: Callable[[str], Sequence[str]]) -> dict[str, Any]:
    """The whole of it; a server's clients and its tests are generated from this.

    needs  the scopes of which one opens a path, none where no key is asked for
    """
    paths = {
        "/predict": {"post": _predict(settings)},
        "/predict/batch": {"post": _batch(settings)},
        "/invocations": {"post": _invocations(settings)},
        **{path: {"get": operation} for path, operation in _states().items()},
    }
    keyed = {path: {m: _keyed(o, needs(path)) for m, o in methods.items()} for path, methods in paths.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "churn-drift",
            "version": metadata.version("churn-drift"),
            "description": "Churn probability and decision of customers, by the champion model.",
        },
        "paths": keyed,
        "components": {
            "schemas": _schemas(settings),
            "securitySchemes": {_KEY: {"type": "http", "scheme": "bearer", "description": _HOW}},
        },
    }


def _keyed(operation: dict[str, Any], needed: Sequence[str]) -> dict[str, Any]:
    """The operation, with what it answers to those without a fitting key."""
    if not needed:
        return operation
    responses = operation["responses"] | _refusals(401, 403, 429, 503)
    return operation | {
        "security": [{_KEY: [scope]} for scope in needed],
        "responses": dict(sorted(responses.items())),
    }


def _predict(settings: Settings) -> dict[str, Any]:
    return {
        "operationId": "predict",
        "summary": "Score one customer, or a list of them",
        "description": f"At most {settings.max_records:,} customers and {settings.max_body // MEBIBYTE} MiB; "
        f"with explanations, {settings.max_explained:,} customers. Absent and null fields are missing.",
        "parameters": [_EXPLAIN, _TRIAL],
        "requestBody": {"required": True, "content": {"application/json": _customers()}},
        "responses": {
            "200": _answer("Predictions, in the order of the request", "Predictions"),
            **_refusals(400, 408, 413, 415, 422, 503),
        },
    }


def _batch(settings: Settings) -> dict[str, Any]:
    return {
        "operationId": "predict_batch",
        "summary": "Score a CSV or Parquet file, answered in kind",
        "description": f"At most {settings.max_rows:,} customers and {settings.max_batch // MEBIBYTE} MiB, unpacked. "
        f"Columns of the schema; those that are not there are missing. {schema.ID} comes back where it was given.",
        "requestBody": {"required": True, "content": _files()},
        "responses": {
            "200": {
                "description": f"{schema.ID}, probability, decision: a row for each of the request, in its order",
                "headers": {"X-Model-Version": {"schema": {"type": "string"}}},
                "content": _files(answer=True),
            },
            **_refusals(400, 408, 413, 415, 422, 503),
        },
    }


def _invocations(settings: Settings) -> dict[str, Any]:
    one, many = _predict(settings), _batch(settings)
    return {
        "operationId": "invocations",
        "summary": "SageMaker's path: as /predict for JSON, as /predict/batch for CSV and Parquet",
        "requestBody": {
            "required": True,
            "content": one["requestBody"]["content"] | many["requestBody"]["content"],
        },
        "responses": one["responses"]
        | {"200": {"description": "As there", "content": one["responses"]["200"]["content"] | _files(answer=True)}},
    }


def _states() -> dict[str, dict[str, Any]]:
    page = {"description": "The page", "content": {"text/html": {"schema": {"type": "string"}}}}
    plain = {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    itself = {"description": "OpenAPI 3.1", "content": {"application/json": {"schema": {"type": "object"}}}}
    ready = {"200": _answer("A model is loaded", "State"), **_refusals(503)}
    return {
        "/model": _get(
            "model",
            "The model that serves, and where it came from",
            {"200": _answer("The model", "Model"), **_refusals(503)},
        ),
        "/": _get("page", "The page for people: the run, what serves, live traffic, a form", {"200": page}),
        "/traffic": _get(
            "traffic",
            "What was asked of all workers since the server began; the paths that score",
            {"200": _answer("Traffic", "Traffic")},
        ),
        "/drift": _get(
            "drift",
            "The customers of the last hours against those that the model was fitted on; one look, by one model",
            {"200": _answer("Drift of the live window", "Drift"), **_refusals(400, 404, 503)},
        )
        | {"parameters": [_WINDOW]},
        "/health": _get("health", "Alive", {"200": _answer("The process answers", "State")}),
        "/ready": _get("ready", "A model is loaded; an alarm says why a newer one is refused", ready),
        "/ping": _get("ping", "SageMaker's path: as /ready", ready),
        "/metrics": _get("metrics", "Counts of all workers", {"200": plain}),
        "/openapi.json": _get("openapi", "This document", {"200": itself}),
        "/docs": _get("docs", "The same to read", {"200": page}),
    }


def _get(name: str, summary: str, responses: dict[str, Any]) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, "responses": responses}


_WINDOW = {
    "name": "hours",
    "in": "query",
    "description": "hours of the window (UTC), the present one included",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_HOURS, "default": HOURS},
}
_EXPLAIN = {
    "name": "explain",
    "in": "query",
    "description": "1 adds what moves each customer's risk most",
    "schema": {"type": "string", "enum": list(YES_NO), "default": "0"},
}


_TRIAL = {
    "name": "trial",
    "in": "query",
    "description": "1 for a customer who is only tried: answered, but neither logged nor counted as scored",
    "schema": {"type": "string", "enum": list(YES_NO), "default": "0"},
}


def _customers() -> dict[str, Any]:
    return {"schema": _ref("Customers"), "examples": {"one": {"value": EXAMPLE}, "two": {"value": [EXAMPLE, {}]}}}


def _files(*, answer: bool = False) -> dict[str, Any]:
    kinds = dict.fromkeys(batch.MEDIA_TYPES.values() if answer else batch.MEDIA_TYPES)
    return {kind: {"schema": {"type": "string"} if kind == batch.CSV else {}} for kind in kinds}


def _answer(description: str, name: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": _ref(name)}}}


def _refusals(*statuses: int) -> dict[str, Any]:
    return {str(status): _refusal(status) for status in statuses}


def _refusal(status: int) -> dict[str, Any]:
    first, *others = (kind.title for kind in KINDS.values() if kind.status == status)
    refusal = {
        "description": " or ".join([first, *(f"{other[0].lower()}{other[1:]}" for other in others)]),
        "content": {problems.MEDIA_TYPE: {"schema": _ref("Problem")}},
    }
    return refusal | ({"headers": _HEADERS[status]} if status in _HEADERS else {})


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas(settings: Settings) -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    probability = {**number, "minimum": 0, "maximum": 1}
    share = {"type": ["number", "null"], "minimum": 0, "maximum": 1}
    counts = {"type": "object", "additionalProperties": number}
    return {
        "Customer": contract.json_schema(),
        "Customers": {
            "oneOf": [
                _ref("Customer"),
                {"type": "array", "items": _ref("Customer"), "minItems": 1, "maxItems": settings.max_records},
            ]
        },
        "Predictions": _object(
            {
                "model_version": text,
                "threshold": {**probability, "description": "a probability of this or more is decided to churn"},
                "request_id": text,
                "predictions": {"type": "array", "items": _ref("Prediction")},
            }
        ),
        "Prediction": _object(
            {
                "probability": {**probability, "description": "of churn, calibrated"},
                "decision": {"type": "boolean", "description": "true: will churn"},
                "unseen": {
                    "type": "array",
                    "items": text,
                    "description": "columns whose value the model never saw, scored as missing",
                },
                "contributions": {"type": "array", "items": _ref("Contribution")},
            },
            optional=("contributions",),
        ),
        "Contribution": _object(
            {
                "feature": text,
                "value": {"type": ["number", "string", "null"]},
                "contribution": {**number, "description": "log odds, before calibration; above 0 raises the risk"},
                "text": text,
            }
        ),
        "Model": _object(
            {
                "version": text,
                "challenger": {"type": ["string", "null"], "description": "scores a share beside it, unanswered"},
                "threshold": probability,
                "zero_is_missing": {"type": "boolean"},
                "evaluator": text,
                "facts": {"type": "object", "description": "parent, reason, training batches, rows, data, settings"},
            }
        ),
        "Drift": {
            "type": "object",
            "properties": {
                "model_version": text,
                "window": _object(
                    {
                        "hours": {"type": "integer"},
                        "first": {"type": ["string", "null"]},
                        "last": {"type": ["string", "null"]},
                    }
                ),
                "verdict": {"enum": ["drifted", "stable", "insufficient"]},
                "reason": text,
                "rows_batch": {"type": "integer", "description": "customers scored in the window"},
                "features": {"type": "array", "items": {"type": "object"}},
                "scores": _object(
                    {
                        "cells": {"type": "array", "items": text, "description": "of the score, lowest first"},
                        "reference": {"type": "array", "items": share, "description": "of the customers, by cell"},
                        "window": {"type": "array", "items": share},
                    }
                ),
            },
            "required": ["model_version", "window", "verdict", "reason", "rows_batch", "features"],
        },
        "Traffic": _object(
            {
                "at": {**number, "description": "seconds since 1970"},
                "routes": {
                    "type": "object",
                    "description": "by path",
                    "additionalProperties": _object(
                        {
                            "requests": {**counts, "description": "by class of status: 2xx, 4xx, 5xx"},
                            "seconds": {**counts, "description": "answered in at most so many seconds, by the bound"},
                        }
                    ),
                },
                "decisions": {**counts, "description": "customers: churn, stay"},
                "unseen": {**counts, "description": "values unknown to the model, by column"},
                "log": {**counts, "description": "rows: written, dropped"},
                "shadow": {**counts, "description": "whether the challenger decides alike: yes, no"},
            }
        ),
        "State": _object(
            {
                "status": {"enum": ["alive", "ready"]},
                "version": text,
                "alarm": {**text, "description": "why the champion that lies there is refused"},
            },
            optional=("version", "alarm"),
        ),
        "Problem": _object(
            {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "instance": {**text, "description": "the request id"},
                "errors": {
                    "type": "array",
                    "maxItems": problems.MOST_ERRORS,
                    "items": _object(
                        {"pointer": {**text, "description": "JSON pointer into the body"}, "detail": text}
                    ),
                },
            },
            optional=("errors",),
        ),
    }


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
