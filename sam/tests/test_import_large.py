"""The state machine `ImportLarge`, executed by moto's interpreter, with the built importer behind its `lambda:invoke`.

What is executed is made of the shipped definition by `machine.variant`, which replaces what the interpreter lacks, and
only that; each replacement says why:

- `ItemBatcher`: batches of one item (`without_batches`);
- `ToleratedFailurePercentage: 0`: states that count the children (`with_thresholds`);
- `states:startExecution.sync:2`: made by the front of the tests (`with_own_calls_by_the_front`).

moto has no RedriveExecution and no `$$.Execution.RedriveTime`. A redrive is tried by entering the machine at the state
that failed, with the same input and a later time, which is what Step Functions does
(https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html). Not looked at at all: IAM, the limits of
history, payloads and concurrency, and `TimeoutSeconds`.

The function is a process that speaks the Lambda Runtime API (functions.py), and its AWS is moto (cloud.py).
"""

import copy
import csv
import gzip
import io
import json
import os
import random
import time

import pytest

import machine
from cloud import REGION, Cloud
from functions import Function
from template import ROOT

PROGRAM = os.environ.get("INTAKE_IMPORTER_BIN", "")
pytestmark = pytest.mark.skipif(not PROGRAM, reason="`make sam` says where the built importer is (INTAKE_IMPORTER_BIN)")

BUCKET = "inventory-upload-test"
ROLE = "arn:aws:iam::123456789012:role/ImportLargeRole"
NAME = "intake-import-large"
ARN = f"arn:aws:states:{REGION}:123456789012:stateMachine:{NAME}"
RANGE_BYTES = 20_000
# An object that is not cut stays a killed worker's until its invocation would have ended: another one waits for that.
LEASE_SECONDS = 8


class Bench:
    """A cloud with what the template creates, as far as the steps use it."""

    def __init__(self, cloud, log):
        self.cloud = cloud
        self.s3, self.dynamodb, self.sqs = cloud.client("s3"), cloud.client("dynamodb"), cloud.client("sqs")
        self.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for table, keys in (("InventoryTable", ["productId"]), ("ImportJobs", ["owner", "job"])):
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[{"AttributeName": k, "KeyType": t} for k, t in zip(keys, ("HASH", "RANGE"))],
            )
        self.queue = self.sqs.create_queue(QueueName="told")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        topic = cloud.client("sns").create_topic(Name="inventory-alerts")["TopicArn"]
        cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        variables = {
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": cloud.url,
            "INTAKE_TABLE": "InventoryTable",
            "INTAKE_JOBS_TABLE": "ImportJobs",
            "INTAKE_TOPIC_ARN": topic,
            "INTAKE_REPORT_PREFIX": "reports/",
            "INTAKE_RANGE_BYTES": str(RANGE_BYTES),
        }
        self.log, self.variables = log, variables
        self.function = Function(PROGRAM, "ImportLargeSteps", variables, log)
        cloud.function = self.function
        self.shipped = machine.shipped(
            Partition="aws", StepsFunction=self.function.arn, Concurrency="3", ThisStateMachine=ARN
        )
        self.machine = self.create(NAME, self.shipped)

    def create(self, name, shipped):
        definition = json.dumps(machine.variant(shipped))
        states = self.cloud.client("stepfunctions")
        return states.create_state_machine(name=name, definition=definition, roleArn=ROLE)["stateMachineArn"]

    def upload(self, key, body):
        """An object whose rows may be written in any order."""
        unique = {"intake-unique-keys": "true"}
        self.s3.put_object(Bucket=BUCKET, Key=f"uploads/{key}", Body=body, Metadata=unique)
        return {"bucket": BUCKET, "key": f"uploads/{key}"}

    def run(self, given, status):
        found = self.cloud.execute(self.machine, given)
        assert found["status"] == status, self.cloud.told(found["executionArn"])
        return found

    def items(self):
        """The table: each item's attributes as text, by key."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName="InventoryTable")
        items = [item for page in pages for item in page["Items"]]
        return {i["productId"]["S"]: {k: str(next(iter(v.values()))) for k, v in i.items()} for i in items}

    def jobs(self, prefix=""):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName="ImportJobs")
        jobs = [item for page in pages for item in page["Items"] if "status" in item]
        return [job for job in jobs if job["owner"]["S"].startswith(prefix)]

    def job(self):
        """The one job that is no range."""
        (job,) = [job for job in self.jobs() if not job["owner"]["S"].startswith("ranges/")]
        return job

    def told(self):
        """Status of each end that was told of."""
        found = []
        while messages := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            found += [json.loads(message["Body"]) for message in messages]
        return [m["MessageAttributes"]["status"]["Value"] for m in found if m["MessageAttributes"]["kind"]["Value"] == "import"]

    def steps(self, how=None):
        """The steps that were taken, in order."""
        return [step(payload) for payload, ended, _ in self.function.calls if how in (None, ended)]

    def answer(self, name):
        """What the one step of this name answered."""
        (answer,) = [answer for payload, _, answer in self.function.calls if step(payload) == name]
        return answer


def step(payload):
    return payload.get("step") or payload["BatchInput"]["step"]


@pytest.fixture
def bench(tmp_path):
    with open(tmp_path / "function.log", "wb") as log, Cloud() as cloud:
        yield Bench(cloud, log)
    # pytest shows it if the test failed.
    print((tmp_path / "function.log").read_text()[-20_000:])


def rows(count, seed=1):
    """Rows whose text has what is hard to cut: quotes, brackets, backslashes and line breaks."""
    chance = random.Random(seed)
    words = ["plain", 'a "quoted" word', "[bracket, {brace", "back\\slash", "line\nbreak", "\r\nwindows", "käse", "a,b;c"]
    return [
        {"productId": f"P{number:06}", "name": " ".join(chance.choices(words, k=6)), "quantity": str(chance.randrange(1000))}
        for number in range(count)
    ]


def json_array(some):
    return json.dumps(some, ensure_ascii=False, indent=1).encode()


def json_lines(some):
    return "".join(json.dumps(row) + "\n" for row in some).encode()


def csv_file(some):
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, some[0], quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(some)
    return text.getvalue().encode()


def expected(some):
    return {row["productId"]: row for row in some}


# Files that are split ----------------------------------------------------------------------------------------------


FILES = [("catalog.json", json_array), ("catalog.csv", csv_file), ("catalog.jsonl", json_lines)]


@pytest.mark.parametrize(("key", "encode"), FILES)
def test_a_file_in_ranges_ends_with_exactly_its_rows(bench, key, encode):
    some = rows(1001)
    body = encode(some)
    found = bench.run(bench.upload(key, body), "SUCCEEDED")
    assert bench.items() == expected(some)
    plan, composed = bench.answer("plan"), bench.answer("compose")
    assert plan["mode"] == "split" and plan["ranges"] >= len(body) // RANGE_BYTES >= 4
    steps = bench.steps()
    assert steps.count("scan") == plan["ranges"] and steps.count("import") >= composed["ranges"] >= 4
    assert (steps[0], steps.count("compose"), steps[-1], steps.count("finish")) == ("plan", 1, "finish", 1)
    job = bench.job()
    assert (job["status"]["S"], job["rows_written"]["N"]) == ("COMPLETED", str(len(some)))
    assert len(bench.jobs(prefix="ranges/")) == composed["ranges"]
    assert bench.told() == ["COMPLETED"]
    assert json.loads(found["output"])["status"] == "COMPLETED"


def test_the_workers_share_a_write_cap(bench):
    bench.function.variables["INTAKE_MAX_WCU"] = "10000"
    some = rows(1001)
    bench.run(bench.upload("catalog.csv", csv_file(some)), "SUCCEEDED")
    assert bench.items() == expected(some)
    shares = bench.dynamodb.query(
        TableName="ImportJobs",
        KeyConditionExpression="#owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": {"S": f"cap/{REGION}/InventoryTable"}},
    )
    assert shares["Count"] > 0


def test_a_step_that_is_not_done_is_taken_again_with_its_own_answer(bench):
    """As a step answers whose invocation's time is over before it got anywhere."""
    late = {"scan": 2, "import": 3}

    def instead(payload):
        taken = step(payload)
        if late.get(taken, 0) == 0:
            return None
        late[taken] -= 1
        given = payload.get("BatchInput", payload)
        return 200, {**{k: given[k] for k in ("step", "owner", "job")}, "done": False, "Items": payload["Items"]}

    bench.function.instead = instead
    some = rows(700)
    bench.run(bench.upload("catalog.json", json_array(some)), "SUCCEEDED")
    assert bench.items() == expected(some)
    again = [payload for payload, _, _ in bench.function.calls if step(payload) in ("scan", "import") and "BatchInput" not in payload]
    assert len(again) >= 5


def test_a_file_that_is_imported_is_not_imported_again(bench):
    given = bench.upload("catalog.csv", csv_file(rows(300)))
    bench.run(given, "SUCCEEDED")
    bench.function.calls.clear()
    found = bench.run(given, "SUCCEEDED")
    assert set(bench.steps()) == {"plan", "finish"}
    assert json.loads(found["output"])["status"] == "COMPLETED"
    assert bench.told() == ["COMPLETED"]


def test_the_importer_hands_a_large_file_over_once(bench):
    more = {"INTAKE_LARGE_STATE_MACHINE_ARN": bench.machine, "INTAKE_LARGE_BYTES": "1000"}
    importer = Function(PROGRAM, "ProcessInventoryFile", {**bench.variables, **more}, bench.log)
    try:
        some = rows(1001)
        given = bench.upload("catalog.json", json_array(some))
        tag = bench.s3.head_object(Bucket=BUCKET, Key=given["key"])["ETag"].strip('"')
        object_ = {"key": given["key"], "eTag": tag, "sequencer": "0055AED6DCD90281E5"}
        event = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "awsRegion": REGION,
            "eventTime": "2026-11-23T10:00:00.000Z",
            "eventName": "ObjectCreated:Put",
            "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": BUCKET}, "object": object_},
        }
        # S3 tells of an object twice now and then.
        for _ in range(2):
            assert importer.invoke({"Records": [event]}) == (200, False, None)
    finally:
        importer.stop()
    states = bench.cloud.client("stepfunctions")
    (execution,) = states.list_executions(stateMachineArn=bench.machine)["executions"]
    found = bench.cloud.ended(execution["executionArn"])
    assert found["status"] == "SUCCEEDED", bench.cloud.told(found["executionArn"])
    assert bench.answer("plan")["mode"] == "split"
    job = bench.job()
    assert (job["job"]["S"], job["status"]["S"]) == (execution["name"], "COMPLETED")
    assert bench.items() == expected(some)


# Failures that pass ------------------------------------------------------------------------------------------------

# One for each step; the steps' policies are the same (test_states.py).
PASSING = {
    "plan": (429, {"code": "TooManyRequestsException", "Type": "User", "message": "Rate Exceeded."}),
    "scan": (200, {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 900.00 seconds"}),
    "compose": (500, {"code": "ServiceException", "Type": "Service", "message": "Service encountered an error."}),
    "import": (200, {"errorType": "Intake.Retry", "errorMessage": "somebody else has the lease"}),
    "finish": (200, {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited with error: signal: killed"}),
}


def test_a_step_that_fails_is_retried(bench):
    failures = dict(PASSING)
    bench.function.instead = lambda payload: failures.pop(step(payload), None)
    some = rows(300)
    bench.run(bench.upload("catalog.csv", csv_file(some)), "SUCCEEDED")
    assert failures == {}
    assert bench.items() == expected(some)
    assert bench.job()["rows_written"]["N"] == str(len(some))


@pytest.mark.parametrize(("key", "encode", "seed"), [(*FILES[0], 1), (*FILES[1], 2)])
def test_a_worker_that_is_killed_in_each_step_changes_no_count(bench, key, encode, seed):
    """The process dies after one of its first requests of the step: what that asked for is done, and it never hears."""
    chance = random.Random(seed)
    last = {name: chance.randrange(1, 4) for name in ("plan", "scan", "compose", "finish")}

    def dies(payload, requests, request):
        taken = step(payload)
        # In an import, when rows were just written.
        now = request == "BatchWriteItem" if taken == "import" else last[taken] <= requests
        if now and taken in left:
            left.discard(taken)
            return True
        return False

    left = {*last, "import"}
    bench.function.dies = dies
    some = rows(700, seed)
    bench.run(bench.upload(key, encode(some)), "SUCCEEDED")
    killed = bench.steps("killed")
    # A step may have had less to ask for than what was to kill it.
    assert "import" in killed and len(killed) >= 3
    # The next attempt takes over at once, though the dead worker's invocation would have lasted for longer.
    assert bench.steps().count("import") == len(bench.jobs("ranges/")) + 1
    assert bench.items() == expected(some)
    job = bench.job()
    assert (job["status"]["S"], job["rows_written"]["N"]) == ("COMPLETED", str(len(some)))
    assert set(bench.told()) == {"COMPLETED"}


def test_a_worker_that_is_killed_at_an_object_that_is_not_cut_is_waited_for(bench):
    """The order of its rows counts, and Lambda may be wrong about a worker's end."""
    began, writes, later_writes = [], [], []

    def timeout(payload):
        if step(payload) != "import":
            return 120
        began.append(time.time())
        return LEASE_SECONDS if len(began) == 1 else 120

    def dies(payload, requests, request):
        if request != "BatchWriteItem":
            return False
        # Other lanes of the worker that is killed may have sent theirs before.
        (writes if len(began) == 1 else later_writes).append(time.time())
        return len(writes) == 1 and not later_writes

    bench.function.timeout = timeout
    bench.function.dies = dies
    some = rows(1001)
    bench.run(bench.upload("catalog.json.gz", gzip.compress(json_array(some))), "SUCCEEDED")
    assert bench.steps("killed") == ["import"]
    # Function tells the deadline in whole milliseconds.
    assert later_writes[0] >= began[0] + LEASE_SECONDS - 0.001
    assert bench.items() == expected(some)
    assert bench.job()["rows_written"]["N"] == str(len(some))


# Failures that stay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("cut.json", json_array(rows(700))[:-5]),
        ("comma.json", json_array(rows(700)).replace(b'},\n {\n  "productId": "P000350"', b'}\n {\n  "productId": "P000350"')),
        ("quote.csv", csv_file(rows(700)) + b'"P1","never closed'),
    ],
)
def test_a_broken_file_is_a_failed_execution(bench, key, body):
    found = bench.run(bench.upload(key, body), "FAILED")
    assert found.get("error") or "output" not in found
    assert bench.job()["status"]["S"] == "FAILED"
    assert bench.told() == ["FAILED"]
    good = expected(rows(700))
    assert all(good.get(key) == item for key, item in bench.items().items())


@pytest.fixture
def failed(bench):
    """An execution that has failed for a reason that is gone now: (rows, input, execution)."""

    def instead(payload):
        if step(payload) == "import" and {item.get("range") for item in payload["Items"]} & {2, 3}:
            return 200, {"errorType": "Intake.Fatal", "errorMessage": "the table is being restored"}
        return None

    bench.function.instead = instead
    some = rows(1000)
    given = bench.upload("catalog.json", json_array(some))
    found = bench.run(given, "FAILED")
    assert bench.job()["status"]["S"] == "FAILED"
    assert bench.told() == ["FAILED"]
    bench.function.instead = lambda payload: None
    bench.function.calls.clear()
    return some, given, found["executionArn"]


def test_running_again_completes(bench, failed):
    some, given, _ = failed
    bench.run(given, "SUCCEEDED")
    assert bench.items() == expected(some)
    job = bench.job()
    assert (job["status"]["S"], job["rows_written"]["N"]) == ("COMPLETED", str(len(some)))
    assert bench.told() == ["COMPLETED"]


def test_a_redrive_completes(bench, failed):
    some, given, execution = failed
    (entered,) = [
        event["stateEnteredEventDetails"]
        for event in bench.cloud.events(execution)
        if event.get("stateEnteredEventDetails", {}).get("name") == "Failed"
    ]
    # As Step Functions would go on: in the state that failed, with what it was given, and knowing of the redrive.
    redriven = copy.deepcopy(bench.shipped)
    redriven["StartAt"] = "Failed"
    text = json.dumps(redriven)
    for name, stand_in in (("$$.Execution.RedriveTime", "$.redriven"), ("$$.Execution.Input", "$$.Execution.Input.given")):
        assert name in text
        text = text.replace(name, stand_in)
    arn = bench.create("redriven", json.loads(text))
    state = json.loads(entered["input"])
    # moto compares times only in the form in which AWS has them.
    state["failed"]["at"] = state["failed"]["at"].split(".")[0] + "Z"
    found = bench.cloud.execute(arn, {**given, **state, "given": given, "redriven": "2999-01-01T00:00:00Z"})
    assert found["status"] == "SUCCEEDED", bench.cloud.told(found["executionArn"])
    assert bench.items() == expected(some)
    assert bench.told() == ["COMPLETED"]
    # Without a redrive, or after one that failed again, it stays failed.
    for redrive in ({}, {"redriven": "2001-01-01T00:00:00Z"}):
        assert bench.cloud.execute(arn, {**given, **state, **redrive})["status"] == "FAILED"


# Whole files, and many ---------------------------------------------------------------------------------------------


def test_a_compressed_file_is_imported_whole_and_says_why(bench):
    some = rows(1001)
    given = bench.upload("catalog.json.gz", gzip.compress(json_array(some)))
    # Larger than a range: a small one is not cut for that reason.
    bench.run({**given, "range_bytes": 2000}, "SUCCEEDED")
    assert bench.items() == expected(some)
    assert set(bench.steps()) == {"plan", "import", "finish"}
    plan = bench.answer("plan")
    assert (plan["mode"], plan["ranges"]) == ("whole", 1)
    assert "gzip" in plan["why"]


@pytest.fixture
def objects(bench):
    """Objects under a prefix: (rows of them all, input)."""
    some = rows(900)
    bench.upload("many/a.json", json_array(some[:300]))
    bench.upload("many/b.csv", csv_file(some[300:600]))
    bench.upload("many/c.json.gz", gzip.compress(json_array(some[600:])))
    bench.upload("other.json", json_array([{"productId": "not under the prefix"}]))
    return some, {"bucket": BUCKET, "prefix": "uploads/many/"}


def test_every_object_under_a_prefix_is_imported(bench, objects):
    some, given = objects
    found = bench.run(given, "SUCCEEDED")
    assert bench.items() == expected(some)
    assert json.loads(found["output"])["status"] == "COMPLETED"
    of_objects = [job for job in bench.jobs() if job.get("key", {"S": ""})["S"] != "uploads/many/"]
    of_objects = [job for job in of_objects if not job["owner"]["S"].startswith("ranges/")]
    assert [job["status"]["S"] for job in of_objects] == ["COMPLETED"] * 3


def test_an_object_that_fails_keeps_no_other_from_being_imported(bench, objects):
    some, given = objects
    bench.upload("many/aa.json", b'[{"productId": "X", ')
    bench.run(given, "FAILED")
    assert bench.items() == expected(some)
    assert "FAILED" in bench.told()
