"""What people are told of a run, built from its reports. Nothing of a single customer stands in a message.

A key is made of content: the batch and the hash of its records, the version, the time at which a failure began. The
same reports give the same keys, so that a run that is repeated tells nothing twice.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from churn_drift import paths
from churn_drift.errors import DataError
from churn_drift.ports import Message
from churn_drift.production.inbox import ERROR, Taken, shown
from churn_drift.publishing.note import number

MOST = 3
"""Features that a message names."""

Record = Mapping[str, Any]


def of_batch(event: Record, row: Mapping[str, str], *, content: str) -> Iterator[Message]:
    """Drift, where the batch has drifted; a hold, where an alarm was raised and the champion stayed.

    event    the decision record of the batch
    row      its row of the timeline
    content  hash of the batch's records
    """
    name, drift = event["batch"], event["drift"]
    link = str(paths.TIMELINE)
    decided = f"{event['decision']}: {event['reason']}"
    if drift["verdict"] == "drifted":
        share = number(drift["share_drifted"], ".0%")
        facts = {
            "batch": f"{name}, {drift['rows_batch']:,} customers",
            "share of features": share,
            "features": _features(drift),
            **({"AUC": auc} if (auc := number(row.get("auc_policy"), ".4f")) != "n/a" else {}),
            "champion": event["champion"],
            "decision": decided,
        }
        title = f"{name} has drifted: {share} of the features by weight, {_worst(drift)}"
        yield Message("drift", f"drift/{name}/{content}", title, facts, link)
    if event["alarms"] and event["decision"] == "hold":
        facts = {
            "batch": name,
            "alarm": " and ".join(event["alarms"]),
            "champion": event["champion"],
            "reason": event["reason"],
        }
        title = f"Champion {event['champion']} stays after {name}: {event['reason']}"
        yield Message("hold", f"hold/{name}/{content}/{_hash(event['reason'])}", title, facts, link)


def of_promotion(entry: Record) -> Message:
    """A promotion's line of the ledger."""
    version, metrics = entry["version"], entry.get("metrics", {})
    auc = [number(metrics.get(name), ".4f") for name in ("auc_policy", "auc_never")]
    facts = {
        "version": version,
        "replaces": entry["replaces"] or "nothing",
        "reason": entry["reason"],
        "AUC": f"{auc[0]}, never retraining {auc[1]}",
        "gain": number(metrics.get("gain"), "+.4f"),
    }
    return Message("promotion", f"promotion/{version}", f"Champion is now {version}", facts, str(paths.LEDGER))


def of_worse(summary: Record, *, champion: str | None) -> Message:
    """The whole experiment's verdict, where the policy was significantly worse than never retraining."""
    candidate = summary["candidate"]
    facts = {
        "candidate": candidate,
        "gain": f"{number(summary['gain'], '+.4f')} (at most {number(summary['gain_high'], '+.4f')})",
        "reason": "the policy is significantly worse than never retraining",
    }
    title = f"Champion {champion or 'none'} stays: the policy is worse than never retraining"
    return Message("hold", f"hold/worse/{candidate}", title, facts, str(paths.SUMMARY))


def of_refusal(one: Taken) -> Message:
    """A file that was refused."""
    key = f"failure/{shown(one.name)}/{one.digest[:12]}"
    title = f"{shown(one.name)} was refused: {one.said}"
    return Message("failure", key, title, {"lies in": one.place}, f"{one.place}{ERROR}")


def of_failure(what: str, error: str, *, since: str) -> Message:
    """Something of the run that failed, told once while it fails in the same way."""
    return Message("failure", f"failure/{what}/{since}/{_hash(error)}", f"{what} failed: {error}", {"since": since})


def of_recovery(what: str, error: str, *, since: str) -> Message:
    """Something that failed and now works."""
    facts = {"failed since": since, "with": error}
    return Message("recovery", f"recovery/{what}/{since}", f"{what} works again", facts)


def told(error: BaseException) -> str:
    """An error in one line, for people outside: one about data may quote a customer's cell."""
    if isinstance(error, DataError):
        return "its input was refused; the run's own output says why"
    return " ".join(str(error).split()) or type(error).__name__


def _features(drift: Record) -> str:
    psi = {feature["name"]: feature["psi"] for feature in drift["features"]}
    names = drift["drifted_features"]
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(f"{name} (PSI {number(psi[name], '.2f')})" for name in names[:MOST]) + more or "none"


def _worst(drift: Record) -> str:
    return f"{drift['drifted_features'][0]} most" if drift["drifted_features"] else "the score"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
