"""The HTTP side: parse, type, score, answer. Every path and every error is a method or a few lines."""

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Flask, Request, Response, g, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from churn_drift.drift import Limits
from churn_drift.serving import batch, body, logs, openapi, problems
from churn_drift.serving.contract import Fault, Typed, typed
from churn_drift.serving.gate import Gate
from churn_drift.serving.headers import secured
from churn_drift.serving.inference_log import InferenceLog
from churn_drift.serving.metrics import MEDIA_TYPE as METRICS_TYPE
from churn_drift.serving.metrics import Metrics
from churn_drift.serving.model import ServedModel
from churn_drift.serving.page.view import FILTERS, View
from churn_drift.serving.problems import Problem, invalid, problem
from churn_drift.serving.seat import Seat
from churn_drift.serving.settings import Settings

log = logging.getLogger(__name__)

JSON = "application/json"
_LIMITS = Limits()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_HIDDEN = "the champion that lies there is refused; ask with a key, or see the server's log"


def create_app(
    seat: Seat,
    *,
    settings: Settings,
    metrics: Metrics,
    gate: Gate,
    kept: InferenceLog | None = None,
    limits: Limits = _LIMITS,
) -> Flask:
    """The application that answers by the model in the seat, to those whom the gate lets in.

    kept    where what is answered goes; None: nowhere
    limits  of drift, for the page

    Whoever changes the seat is somebody else.

    Opens nothing and starts nothing.
    """
    app = _Application(__name__)
    api = _Api(seat, settings, metrics, gate, kept=kept, page=View(limits))
    for path, answer in api.gets().items():
        app.add_url_rule(path, answer.__name__, answer, methods=["GET"])
    app.add_url_rule("/ping", "ping", api.ready, methods=["GET"])
    for path, answer in (("/predict", api.predict), ("/predict/batch", api.batch), ("/invocations", api.invocations)):
        app.add_url_rule(path, answer.__name__, answer, methods=["POST"])
    app.jinja_env.filters.update(FILTERS)
    app.before_request(api.begin)
    app.after_request(api.finish)
    app.register_error_handler(Problem, _refused)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _failed)
    app.wsgi_app = secured(app.wsgi_app)  # type: ignore[method-assign]  # Flask's way to wrap itself
    return app


class _Application(Flask):
    """Flask without a look, thrice a request, whether a function is a coroutine: none is."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


@dataclass
class _Asked:
    """What is known of a request.

    start  of the clock time.perf_counter; key: by whose it came in, None where none is needed
    noted  what its line in the log says besides
    """

    start: float
    request_id: str
    key: str | None = None
    noted: dict[str, object] = field(default_factory=dict)


class _Api:
    """The paths."""

    def __init__(
        self,
        seat: Seat,
        settings: Settings,
        metrics: Metrics,
        gate: Gate,
        *,
        kept: InferenceLog | None,
        page: View,
    ) -> None:
        self._seat, self._settings, self._metrics, self._gate, self._kept = seat, settings, metrics, gate, kept
        self._page = page
        self._document = openapi.document(settings, needs=gate.needs)
        self._openapi = orjson.dumps(self._document, option=orjson.OPT_INDENT_2)

    def gets(self) -> dict[str, Callable[[], Response | str]]:
        """The paths that only tell something."""
        return {
            "/": self.page,
            "/model": self.model,
            "/drift": self.drift,
            "/traffic": self.traffic,
            "/health": self.health,
            "/ready": self.ready,
            "/metrics": self.metrics,
            "/openapi.json": self.openapi,
            "/docs": self.docs,
        }

    def begin(self) -> None:
        """Name the request, and let it in or not, before anything of its body is read."""
        environ, rule = request.environ, request.url_rule
        wanted = environ.get("HTTP_X_REQUEST_ID", "")
        g.asked = asked = _Asked(time.perf_counter(), wanted if _REQUEST_ID.fullmatch(wanted) else secrets.token_hex(8))
        if rule:
            asked.key = self._gate.enter(rule.rule, told=_authorization(environ), host=_host(environ))

    def predict(self) -> Response:
        """One customer or a list of them, as JSON; with explanations where they are asked for."""
        return self._predicted(explained=_flag(request, "explain"), trial=_flag(request, "trial"))

    def _predicted(self, *, explained: bool, trial: bool) -> Response:
        if request.mimetype != JSON:
            raise problem("wrong-type", f"Content-Type is {request.mimetype or 'not set'}; send {JSON}")
        given = body.json_of(request, limit=self._settings.max_body)
        model = self._serving()
        records = self._records(given, model, explained=explained)
        asked: _Asked = g.asked
        asked.noted.update(rows=len(records), version=model.version)
        answers = model.score(records)
        if not trial:
            self._metrics.answers(model.version, answers)
        if self._kept and not trial:
            raw = given if isinstance(given, list) else [given]
            self._kept.records(asked.request_id, time.time(), model=model, given=raw, records=records, answers=answers)
        predictions = [{"probability": a.probability, "decision": a.decision, "unseen": a.unseen} for a in answers]
        if explained:
            for record, prediction in zip(records, predictions, strict=True):
                prediction["contributions"] = model.explain(record, top=self._settings.contributions)
        return _json(
            {
                "model_version": model.version,
                "threshold": model.threshold,
                "request_id": asked.request_id,
                "predictions": predictions,
            }
        )

    def batch(self) -> Response:
        """A CSV or Parquet file of customers."""
        kind = batch.MEDIA_TYPES.get(request.mimetype)
        if kind is None:
            legal = ", ".join(batch.MEDIA_TYPES)
            raise problem("wrong-type", f"Content-Type is {request.mimetype or 'not set'}; send one of {legal}")
        model = self._serving()
        with body.spooled(request, limit=self._settings.max_batch) as stream:
            answers = batch.score(stream, kind=kind, model=model, most=self._settings.max_rows)
        g.asked.noted.update(rows=len(answers.decision), version=model.version)
        churn = int(answers.decision.sum())
        self._metrics.scored(model.version, churn=churn, stay=len(answers.decision) - churn, unseen=answers.unseen)
        if self._kept:
            self._kept.batch(g.asked.request_id, time.time(), model=model, answers=answers)
        return Response(
            batch.to_bytes(answers, kind=kind), content_type=kind, headers={"X-Model-Version": model.version}
        )

    def invocations(self) -> Response:
        """SageMaker's path: the body's type chooses."""
        return self.batch() if request.mimetype in batch.MEDIA_TYPES else self._predicted(explained=False, trial=False)

    def model(self) -> Response:
        """What serves, and where it came from."""
        model = self._serving()
        return _json(
            {
                "version": model.version,
                "challenger": self._challenger(),
                "threshold": model.threshold,
                "zero_is_missing": model.zero_is_missing,
                "evaluator": model.evaluator,
                "facts": model.bundle.facts,
            }
        )

    def drift(self) -> Response:
        """How those who were scored in the last hours differ from those that the model was fitted on."""
        if self._kept is None:
            raise problem("not-kept", "SERVE_LOG is off, so nothing is counted")
        return _json(self._kept.live(self._serving(), hours=_hours(request)).to_dict())

    def traffic(self) -> Response:
        """What was asked of all workers since the server began, and how long it took."""
        return _json({"at": time.time(), **self._metrics.traffic().to_dict()})

    def page(self) -> str:
        """What the run found, what serves now, and a form for one customer; needs no network."""
        shown = self._page(model=self._seat.model, alarm=self._seat.alarm, challenger=self._challenger())
        return render_template("page.html", **shown)

    def health(self) -> Response:
        """Alive."""
        return _json({"status": "alive"})

    def ready(self) -> Response:
        """A model is loaded. An alarm does not make it 503: the model before goes on serving."""
        state = {"status": "ready", "version": self._serving().version}
        if self._seat.alarm is None:
            return _json(state)
        return _json(
            {**state, "alarm": self._seat.alarm if self._gate.knows(_authorization(request.environ)) else _HIDDEN}
        )

    def metrics(self) -> Response:
        """Counts of every worker."""
        return Response(self._metrics.page(), content_type=METRICS_TYPE)

    def openapi(self) -> Response:
        """The contract, for machines."""
        return Response(self._openapi, content_type=JSON)

    def docs(self) -> str:
        """The contract, for people; needs no network."""
        return render_template(
            "docs.html",
            document=self._document,
            kinds=problems.KINDS.values(),
            example=_indented(openapi.EXAMPLE),
            keyed=self._gate.keyed,
            rate=self._settings.rate,
        )

    def finish(self, response: Answer) -> Answer:
        """Headers that every answer bears, its count, and its line in the log."""
        asked: _Asked = g.asked
        response.headers["X-Request-Id"] = asked.request_id
        seconds, rule = time.perf_counter() - asked.start, request.url_rule
        route, method, status = rule.rule if rule else "none", _method(request), response.status_code
        self._metrics.request(route=route, method=method, status=status, seconds=seconds)
        if self._settings.access_log:
            told = {"request_id": asked.request_id, "key": asked.key, "method": method, "route": route}
            logs.tell(log, "request", {**told, "status": status, "ms": round(seconds * 1000, 3), **asked.noted})
        return response

    def _challenger(self) -> str | None:
        challenger = self._kept.shadow.challenger if self._kept else None
        return challenger.version if challenger else None

    def _serving(self) -> ServedModel:
        model = self._seat.model
        if model is None:
            raise problem("no-model", "no model is loaded yet; the server's log says why")
        return model

    def _records(self, given: Any, model: ServedModel, *, explained: bool) -> list[Typed]:
        """Every customer typed, or a Problem with all their faults."""
        many = isinstance(given, list)
        places = [f"/{place}" for place in range(len(given))] if many else [""]
        self._check_number(len(places), explained=explained)
        values, faults = [], list[Fault]()
        for record, pointer in zip(given if many else [given], places, strict=True):
            value, wrong = typed(record, pointer=pointer, zero_is_missing=model.zero_is_missing)
            values.append(value)
            faults += wrong
        if faults:
            raise invalid(faults)
        return values

    def _check_number(self, customers: int, *, explained: bool) -> None:
        most = self._settings.max_explained if explained else self._settings.max_records
        if customers > most:
            what = " with explanations" if explained else ""
            raise problem("too-large", f"{customers:,} customers; at most {most:,} are taken at once{what}")
        if not customers:
            raise invalid([Fault("", "an empty list; send at least one customer")])


def _authorization(environ: Mapping[str, Any]) -> str:
    told: str = environ.get("HTTP_AUTHORIZATION", "")
    return told


def _host(environ: Mapping[str, Any]) -> str:
    """The name by which the server was asked, without the port."""
    host: str = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _flag(request: Request, name: str) -> bool:
    said = request.args.get(name, "0") if request.query_string else "0"
    if said not in openapi.YES_NO:
        raise problem("bad-parameter", f"{name} is {said[:60]!r}; give one of {', '.join(openapi.YES_NO)}")
    return said in ("1", "true")


def _hours(request: Request) -> int:
    said = request.args.get("hours", str(openapi.HOURS))
    if not (said.isascii() and said.isdigit() and 1 <= int(said[:9]) <= openapi.MOST_HOURS):
        raise problem("bad-parameter", f"hours is {said[:60]!r}; give a whole number from 1 to {openapi.MOST_HOURS}")
    return int(said)


def _method(request: Request) -> str:
    return request.method if request.method in ("GET", "HEAD", "POST", "OPTIONS") else "other"


def _json(document: dict[str, Any]) -> Response:
    return Response(orjson.dumps(document), content_type=JSON)


def _indented(document: Any) -> str:
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _refused(found: Problem) -> Response:
    """As a problem document; as a page to a browser that was sent here by a person."""
    if request.method == "GET" and "text/html" in request.environ.get("HTTP_ACCEPT", ""):
        content = render_template("problem.html", found=found, request_id=g.asked.request_id)
        return Response(content, found.kind.status, found.headers, content_type="text/html; charset=utf-8")
    document = problems.document(found, request_id=g.asked.request_id)
    return Response(document, found.kind.status, found.headers, content_type=problems.MEDIA_TYPE)


def _http(error: HTTPException) -> Response:
    """What Flask itself refuses: unknown paths, wrong methods, bodies that broke off."""
    allow = {name: value for name, value in error.get_headers() if name == "Allow"}
    return _refused(problems.of_status(error.code or 500, error.description or error.name, allow))


def _failed(error: Exception) -> Response:
    """A fault of ours: the log has the trace, the caller has the request id."""
    log.error("request %s failed", g.asked.request_id, exc_info=error)
    return _refused(problem("failed", "the server failed; its log has the reason under this request id"))
