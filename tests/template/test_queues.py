"""No acknowledged event is lost between the functions: retention, redrive, encryption and batches of the queues."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from benchmarks.importing import USUAL
from stripe_to_segment.delivery.deadline import CLOCKS_DIFFER
from stripe_to_segment.delivery.queues import SPREAD
from stripe_to_segment.delivery.retry_delay import MOST_RECEIVES
from stripe_to_segment.receiving.examine import MAX_MESSAGE_BYTES
from stripe_to_segment_tools.commands.importing.command import FEWEST_BATCHES
from tests.simulator.function_in_time import IMPORT_POLLERS

if TYPE_CHECKING:
    from tests.template.conftest import Template

QUEUES = ("EventsQueue", "ImportQueue", "DeadLetterQueue")
FOURTEEN_DAYS = 14 * 24 * 3600
LONGEST_BACKOFF = 3600
# With full jitter `deliver` waits half of the longest backoff on average.
MEAN_BACKOFF = LONGEST_BACKOFF / 2
DEVIATION = LONGEST_BACKOFF / math.sqrt(12)
LONGEST_RETRY_AFTER = 300
# The attempts until the backoff is at its longest, with the smallest base.
TRIES_WHILE_GROWING = 12


def receives_within(seconds: float) -> float:
    """How often a record is received during failures of so many seconds, in the worst of 1,000,000,000 cases."""
    mean = seconds / MEAN_BACKOFF
    return TRIES_WHILE_GROWING + mean + 6 * math.sqrt(mean) * DEVIATION / MEAN_BACKOFF


def test_a_record_stays_invisible_for_six_timeouts_and_the_longest_window(template: Template) -> None:
    for queue in ("EventsQueue", "ImportQueue"):
        assert template.properties(queue)["VisibilityTimeout"] == {
            "Fn::FindInMap": ["ByDeliverTimeout", {"Ref": "DeliverTimeout"}, "VisibilitySeconds"]
        }
    assert template.properties("DeliverFunction")["Timeout"] == {"Ref": "DeliverTimeout"}
    window = template.body["Parameters"]["BatchWindowSeconds"]["MaxValue"]
    mapping = template.body["Mappings"]["ByDeliverTimeout"]
    assert set(mapping) == set(template.body["Parameters"]["DeliverTimeout"]["AllowedValues"])
    for timeout, found in mapping.items():
        assert found["VisibilitySeconds"] >= 6 * int(timeout) + window


def test_a_record_that_always_ends_the_function_comes_back_no_later_than_by_its_timeout(template: Template) -> None:
    """It came back after up to an hour: SQS deleted it after 14 days, before the thousandth receive would bury it."""
    for timeout, found in template.body["Mappings"]["ByDeliverTimeout"].items():
        lease = int(timeout) + CLOCKS_DIFFER
        assert lease + SPREAD * lease / 2 <= found["VisibilitySeconds"]


def test_an_outage_of_three_days_does_not_fill_the_dead_letter_queue(template: Template) -> None:
    allowed = template.properties("EventsQueue")["RedrivePolicy"]["maxReceiveCount"]
    three_days = 3 * 24 * 3600
    assert receives_within(three_days) < allowed, "by deliver's own backoff"
    assert three_days / LONGEST_RETRY_AFTER < allowed, "by the longest accepted Retry-After"


def test_a_record_can_wait_for_a_missing_write_key_as_long_as_the_queue_keeps_it(template: Template) -> None:
    allowed = template.properties("EventsQueue")["RedrivePolicy"]["maxReceiveCount"]
    assert receives_within(FOURTEEN_DAYS) < allowed


def test_the_queues_keep_records_for_the_longest_possible_time(template: Template) -> None:
    for queue in QUEUES:
        assert template.properties(queue)["MessageRetentionPeriod"] == FOURTEEN_DAYS


def test_the_queues_take_the_largest_event_that_receive_accepts(template: Template) -> None:
    """The template sets the size, because sources differ about the default of a new queue: 256 KiB or 1 MiB."""
    for queue in QUEUES:
        assert template.properties(queue)["MaximumMessageSize"] == MAX_MESSAGE_BYTES


def test_worn_out_records_go_to_the_dead_letter_queue(template: Template) -> None:
    for queue in ("EventsQueue", "ImportQueue"):
        redrive = template.properties(queue)["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}
        assert redrive["maxReceiveCount"] > MOST_RECEIVES, "before SQS moves it, deliver names the reason"


def test_only_the_queues_of_deliver_may_use_the_dead_letter_queue(template: Template) -> None:
    names = [template.properties(queue)["QueueName"]["Fn::Sub"] for queue in ("EventsQueue", "ImportQueue")]
    allow = template.properties("DeadLetterQueue")["RedriveAllowPolicy"]
    assert allow["redrivePermission"] == "byQueue"
    assert allow["sourceQueueArns"] == [
        {"Fn::Sub": [f"arn:${{AWS::Partition}}:sqs:${{AWS::Region}}:${{AWS::AccountId}}:{name}", given]}
        for name, given in names
    ]


def test_queues_are_encrypted_and_refuse_clear_text(template: Template) -> None:
    policies = template.of_type("AWS::SQS::QueuePolicy")
    for queue in QUEUES:
        plain = template.given().properties(queue)
        assert plain["SqsManagedSseEnabled"] is True
        assert not {"KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds"} & set(plain)
        own = template.given(KmsKeyArn="arn:aws:kms:…:key/1").properties(queue)
        assert (own["KmsMasterKeyId"], own["KmsDataKeyReusePeriodSeconds"]) == ({"Ref": "KmsKeyArn"}, 3600)
        assert "SqsManagedSseEnabled" not in own, "a queue has one kind of encryption"
        (policy,) = [found for found in policies.values() if found["Queues"] == [{"Ref": queue}]]
        first, *others = policy["PolicyDocument"]["Statement"]
        assert (first["Effect"], first["Principal"], first["Action"]) == ("Deny", "*", "sqs:*")
        assert first["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
        assert first["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        # Every statement that allows access depends on a condition of the template.
        assert [list(each) for each in others] == ([] if queue == "ImportQueue" else [["Fn::If"]])


def mappings(template: Template) -> dict[str, dict[str, Any]]:
    """Deliver's event source mappings, by queue."""
    found = template.of_type("AWS::Lambda::EventSourceMapping").values()
    return {mapping["EventSourceArn"]["Fn::GetAtt"][0]: mapping for mapping in found}


def test_one_failed_record_does_not_hold_up_its_batch(template: Template) -> None:
    for mapping in mappings(template).values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_deliver_reads_its_queues_in_bounded_batches_through_its_alias(template: Template) -> None:
    assert set(mappings(template)) == {"EventsQueue", "ImportQueue"}
    for mapping in mappings(template).values():
        assert mapping["FunctionName"] == {"Ref": "DeliverFunctionAliaslive"}
        assert mapping["BatchSize"] == {"Ref": "BatchSize"}
        assert mapping["MaximumBatchingWindowInSeconds"] == {"Ref": "BatchWindowSeconds"}
    assert mappings(template)["EventsQueue"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaximumConcurrency"}}
    assert template.default("BatchSize") == "100"


def test_an_import_leaves_the_accounts_concurrency_to_the_events(template: Template) -> None:
    """Two is the least that Lambda takes; https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html."""
    assert mappings(template)["ImportQueue"]["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "ImportConcurrency"}}
    assert template.default("ImportConcurrency") == "2"
    assert {IMPORT_POLLERS, FEWEST_BATCHES, USUAL} == {2}, "as the commands, the bench and the simulation have it"


def test_every_allowed_batch_size_has_the_window_that_it_needs(template: Template) -> None:
    """Lambda refuses batches of more than 10 records without a window of at least a second."""
    assert template.body["Parameters"]["BatchWindowSeconds"]["MinValue"] >= 1
