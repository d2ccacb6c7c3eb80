"""A message by SNS reaches who has subscribed. SNS and SQS are moto's, over HTTP."""

import json

import pytest

from churn_drift.aws.sns import SnsNotifier, subject
from churn_drift.errors import ConfigError, PipelineError
from churn_drift.notify import notifier
from churn_drift.notify.outbox import Outbox
from churn_drift.ports import Message
from tests.aws.servers import ISOLATED, user_of
from tests.remote.conftest import client, enforce, iam_user, moto

MESSAGE = Message("promotion", "promote-0911c00f5e5b", "Schätzer 0911 is champion", {"gain": "+0.012"}, "reports/")


@pytest.fixture(scope="module")
def owner(tmp_path_factory):
    with moto(tmp_path_factory.mktemp("moto")) as owner:
        yield owner


@pytest.fixture
def topic(owner, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with user_of({**owner, **ISOLATED}):
        yield client(owner, service="sns").create_topic(Name="churn-drift")["TopicArn"]


@pytest.fixture
def received(owner, topic):
    sqs = client(owner, service="sqs")
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    client(owner, service="sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def receive():
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=0).get("Messages", [])
        return [json.loads(message["Body"]) for message in found]

    return receive


def test_a_subscriber_gets_subject_text_kind_and_key_once(topic, received, capsys):
    for _ in range(2):
        notifier({}, more=[SnsNotifier(topic)]).send(MESSAGE)
    (got,) = received()
    assert got["Subject"] == "Schatzer 0911 is champion"
    assert got["Message"] == "Schätzer 0911 is champion\n\ngain: +0.012\nsee: reports/"
    attributes = {name: attribute["Value"] for name, attribute in got["MessageAttributes"].items()}
    assert attributes == {"kind": "promotion", "key": "promote-0911c00f5e5b"}


def test_a_message_of_any_length_is_taken(topic, received):
    SnsNotifier(topic).send(Message("failure", "k", "no\nline " * 100, {"said": "ü" * 200_000}))
    (got,) = [one for one in received() if one["MessageAttributes"]["key"]["Value"] == "k"]
    assert len(got["Subject"]) == 99
    assert len(got["Message"].encode()) <= 200_000


@pytest.mark.parametrize("title", ["", "\x00\x07", "ü" * 300, "a\r\nBcc: b", "€"])
def test_a_subject_is_one_line_of_printable_ascii(title):
    text = subject(title)
    assert text.isascii()
    assert text.isprintable()
    assert 0 < len(text) <= 99


def test_a_topic_that_is_not_there_is_told_and_the_message_waits(topic):
    with pytest.raises(PipelineError, match=r"sns: arn:aws:sns:us-east-1:\d+:gone: .*not exist; kept in"):
        Outbox([SnsNotifier(topic.replace("churn-drift", "gone"))]).send(MESSAGE)


@pytest.mark.parametrize("arn", ["churn-drift", "arn:aws:sqs:us-east-1:123456789012:x", "arn:aws:sns::1:x", ""])
def test_what_is_no_topics_arn_is_refused(arn):
    with pytest.raises(ConfigError, match=r"SNS_TOPIC_ARN: .* is no topic; give its ARN"):
        SnsNotifier(arn)


def test_a_user_without_the_permission_is_told_how_to_find_it(owner, topic):
    nobody = iam_user(owner, "GetObject")
    enforce(owner)
    with user_of({**nobody, **ISOLATED}), pytest.raises(PipelineError, match="`churn-drift doctor --aws` names"):
        SnsNotifier(topic).send(MESSAGE)
