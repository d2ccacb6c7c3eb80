"""People are told once by each channel, whatever fails meanwhile. The receivers are real."""

import json
import threading

import pytest

from churn_drift.errors import ConfigError, PipelineError
from churn_drift.notify import notifier, outbox
from churn_drift.notify.outbox import Outbox, RefusedError
from churn_drift.notify.webhook import Webhook
from churn_drift.ports import STATE
from tests.notify.conftest import HANG, receiving


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


class Memory:
    """A channel that a test can look into and break."""

    def __init__(self, name="memory", *, fails=None):
        self.name, self.fails, self.told = name, fails, []

    def send(self, message):
        if self.fails is not None:
            raise self.fails
        self.told.append(message.key)


def outbox_of(receiver, **options):
    """A run's notifier: it knows nothing of the one before but what lies in STATE."""
    return Outbox([Webhook(receiver.url, **{"seconds": 5, "pause": 0.01, **options})])


def test_a_message_is_a_line_in_the_log_and_a_post_that_slack_and_teams_understand(receiver, message, capsys):
    notifier({"NOTIFY_WEBHOOK_URL": receiver.url}).send(message())
    assert capsys.readouterr().err == "drift: Batch 7 has drifted (share: 31 %) see reports/drift_check\n"
    assert receiver.got == [
        {
            "text": "Batch 7 has drifted\n\nshare: 31 %\nsee: reports/drift_check",
            "kind": "drift",
            "key": "drift-7",
            "title": "Batch 7 has drifted",
            "facts": {"share": "31 %"},
            "link": "reports/drift_check",
        }
    ]
    assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"
    assert receiver.headers[0]["Idempotency-Key"] == "drift-7"


def test_without_a_webhook_the_log_is_told_and_nothing_else(message, capsys):
    notifier({}).send(message())
    assert capsys.readouterr().err.count("\n") == 1


def test_the_name_of_a_file_calls_nobody_in_slack(receiver, message):
    outbox_of(receiver).send(message(title="<!channel> & co.csv"))
    assert receiver.got[0]["text"].startswith("&lt;!channel&gt; &amp; co.csv")
    assert receiver.got[0]["title"] == "<!channel> & co.csv"


def test_the_same_key_is_told_once_also_by_the_next_run(receiver, message, capsys):
    for _ in range(2):
        run = notifier({"NOTIFY_WEBHOOK_URL": receiver.url})
        run.send(message())
        run.send(message(title="the same event, worded otherwise"))
    assert receiver.keys == ["drift-7"]
    assert capsys.readouterr().err.count("drift:") == 1


def test_a_receiver_that_fails_twice_gets_it_by_the_third_try(receiver, message):
    receiver.answers = [500, 503]
    outbox_of(receiver).send(message())
    outbox_of(receiver).send(message())
    assert receiver.keys == ["drift-7"] * 3


def test_what_a_receiver_that_is_down_has_missed_it_gets_from_the_next_run_in_order(receiver, message, capsys):
    receiver.answers = [502] * 3
    run = Outbox([Memory("log"), *outbox_of(receiver)._channels])
    with pytest.raises(PipelineError, match=r"^webhook: 127.0.0.1:\d+: answered 502 Bad Gateway; kept in .*told.jsonl"):
        run.send(message("first"))
    with pytest.raises(PipelineError, match="webhook"):
        run.send(message("second"))
    assert receiver.keys == ["first"] * 3  # a channel that is down is not asked again by the same run
    outbox_of(receiver).resend()
    outbox_of(receiver).resend()
    assert receiver.keys == ["first"] * 3 + ["first", "second"]


def test_a_receiver_that_is_not_there_is_named_without_the_secret(message, capsys):
    with receiving() as gone:
        pass
    with pytest.raises(PipelineError) as caught:
        outbox_of(gone).send(message())
    assert "no answer ([Errno 111] Connection refused)" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_receiver_that_hangs_is_left_after_its_time_and_told_by_the_next_run(receiver, message):
    receiver.answers = [HANG] * 3
    with pytest.raises(PipelineError, match="no answer \\(timed out\\)"):
        outbox_of(receiver, seconds=0.1).send(message())
    outbox_of(receiver).resend()
    assert len(receiver.got) == 4


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_for_the_secret_would_go_along(receiver, message, status):
    with receiving() as elsewhere:
        receiver.answers, receiver.location = [status], elsewhere.url
        with pytest.raises(PipelineError, match=r"redirects elsewhere .*set NOTIFY_WEBHOOK_URL") as caught:
            outbox_of(receiver).send(message())
    assert elsewhere.got == []
    assert len(receiver.got) == 1
    assert "secret" not in str(caught.value)


def test_a_refusal_of_the_sender_is_not_tried_again_at_once_but_by_the_next_run(receiver, message):
    receiver.answers = [404]
    with pytest.raises(PipelineError, match="refused us \\(404 Not Found\\); check NOTIFY_WEBHOOK_URL"):
        outbox_of(receiver).send(message())
    outbox_of(receiver).resend()
    assert receiver.keys == ["drift-7", "drift-7"]


def test_a_refusal_of_one_message_holds_up_no_other(receiver, message):
    receiver.answers = [400]
    run = outbox_of(receiver)
    with pytest.raises(PipelineError, match="refused it \\(400 Bad Request\\); it is not sent again"):
        run.send(message("bad"))
    run.send(message("good"))
    outbox_of(receiver).resend()
    assert receiver.keys == ["bad", "good"]


def test_a_channel_that_fails_keeps_no_other_from_telling(message):
    broken, works = Memory("sns", fails=PipelineError("no such topic")), Memory("memory")
    with pytest.raises(PipelineError, match=r"^sns: no such topic; kept in"):
        Outbox([broken, works]).send(message())
    assert works.told == ["drift-7"]


def test_more_channels_than_the_environments_are_told_too(message, capsys):
    more = Memory("sns")
    notifier({}, more=[more]).send(message())
    assert more.told == ["drift-7"]


def test_who_is_killed_while_it_sends_has_lost_nothing(message):
    with pytest.raises(KeyboardInterrupt):
        Outbox([Memory(fails=KeyboardInterrupt())]).send(message())
    after = Memory()
    Outbox([after]).resend()
    Outbox([after]).resend()
    assert after.told == ["drift-7"]


def test_a_line_that_a_power_loss_has_torn_costs_no_other(message):
    first = Memory()
    Outbox([first]).send(message("a"))
    with (STATE / "told.jsonl").open("ab") as stream:
        stream.write(b'{"at": "2026-11-24T02:00:00+00:00", "channel": "mem')
    with pytest.raises(PipelineError, match="away"):
        Outbox([Memory(fails=PipelineError("away"))]).send(message("b"))
    Outbox([first]).resend()
    Outbox([first]).send(message("a"))
    assert first.told == ["a", "b"]


def test_two_runs_at_once_tell_once(receiver, message):
    threads = [threading.Thread(target=outbox_of(receiver).send, args=(message(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert receiver.keys == ["drift-7"]


def test_the_memory_stays_small_and_keeps_what_waits(message, monkeypatch):
    monkeypatch.setattr(outbox, "LINES", 20)
    monkeypatch.setattr(outbox, "MOST", 5)
    down, works = Memory("down", fails=PipelineError("away")), Memory()
    with pytest.raises(PipelineError):
        Outbox([down]).send(message("waits"))
    for number in range(50):
        Outbox([works]).send(message(f"k{number}"))
    lines = [json.loads(line) for line in (STATE / "told.jsonl").read_text().splitlines()]
    assert len(lines) <= 22
    back = Memory("down")
    Outbox([back]).resend()
    Outbox([works]).send(message("k49"))
    assert back.told == ["waits"]
    assert len(works.told) == 50


def test_of_too_many_that_wait_the_oldest_gives_way_and_that_is_told(message, monkeypatch):
    monkeypatch.setattr(outbox, "WAITING", 2)
    run = Outbox([Memory(fails=PipelineError("away"))])
    for key in ("a", "b"):
        with pytest.raises(PipelineError, match="away"):
            run.send(message(key))
    with pytest.raises(PipelineError, match="more than 2 messages wait; a is given up"):
        run.send(message("c"))
    back = Memory()
    Outbox([back]).resend()
    assert back.told == ["b", "c"]


def test_a_refused_message_is_told_and_never_sent_again(message):
    with pytest.raises(PipelineError, match="memory: too long; it is not sent again"):
        Outbox([Memory(fails=RefusedError("too long"))]).send(message())
    after = Memory()
    Outbox([after]).send(message())
    assert after.told == []


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("hooks.example.com/the-secret", "not an address"),
        ("ftp://hooks.example.com/the-secret", "not an address"),
        ("https://[bad/the-secret", "not an address"),
        ("https:///the-secret", "not an address"),
        ("https://hooks.example.com:port/the-secret", "not an address"),
        ("https://hooks.example.com/the-secret\nHost: x", "not an address"),
        ("https://me:the-secret@hooks.example.com/", "holds a user or password"),
        ("http://hooks.example.com/the-secret", "would show the secret on the way to hooks.example.com"),
        ("http://127.0.0.1.example.com/the-secret", "would show the secret"),
    ],
)
def test_an_address_that_is_none_or_gives_the_secret_away_is_refused_without_showing_it(url, fault):
    with pytest.raises(ConfigError, match=f"NOTIFY_WEBHOOK_URL: .*{fault}") as caught:
        notifier({"NOTIFY_WEBHOOK_URL": url})
    assert "the-secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://hooks.example.com/x", "http://localhost:1/x", "http://[::1]:1/x", "", "  "])
def test_https_anywhere_and_http_on_this_machine_are_taken(url):
    notifier({"NOTIFY_WEBHOOK_URL": url})
