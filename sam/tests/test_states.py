"""The definition of the state machine `ImportLarge` as it is shipped. test_import_large.py executes it."""

import json
import os
import random
import re
import subprocess

import pytest

import machine
from machine import ASL
from template import branches_of_all, properties

VALIDATOR = os.environ.get("ASL_VALIDATOR", "")
ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:intake-import-large"
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:ImportLargeSteps:1"
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
OUTPUT_BYTES_MAX = 256 * 1024
# Of the plan: importer/src/large/plan.rs and prefix.rs.
ITEMS_MAX = 100_000


@pytest.fixture
def shipped():
    return machine.shipped(Partition="aws", StepsFunction=FUNCTION, Concurrency="40", ThisStateMachine=ARN)


def following(state):
    """The states that may come after a state."""
    rules = [state, *state.get("Choices", []), *state.get("Catch", [])]
    return {rule[key] for rule in rules for key in ("Next", "Default") if key in rule}


# What Step Functions would say of it -------------------------------------------------------------------------------


def validated(definition, tmp_path):
    path = tmp_path / "definition.asl.json"
    path.write_text(json.dumps(definition))
    return subprocess.run([VALIDATOR, "--json-path", path], capture_output=True, text=True, check=False)


needs_validator = pytest.mark.skipif(not VALIDATOR, reason="`make sam` says where asl-validator is (ASL_VALIDATOR)")


@needs_validator
def test_the_definition_is_valid(shipped, tmp_path):
    done = validated(shipped, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def nowhere(definition):
    definition["States"]["Compose"]["Next"] = "Imports"


def nowhere_in_a_map(definition):
    definition["States"]["Import"]["ItemProcessor"]["States"]["AllImported"]["Default"] = "ImportRanges"


def no_end(definition):
    del definition["States"]["Compose"]["Next"]


def wrong_type(definition):
    definition["States"]["Scan"]["ItemBatcher"]["MaxItemsPerBatch"] = "1"


def wrong_retry(definition):
    definition["States"]["Plan"]["Retry"][0]["MaxAttempts"] = "many"


def wrong_path(definition):
    definition["States"]["Finish"]["ResultPath"] = "finished"


@needs_validator
@pytest.mark.parametrize("breaks", [nowhere, nowhere_in_a_map, no_end, wrong_type, wrong_retry, wrong_path])
def test_a_broken_definition_is_refused(breaks, shipped, tmp_path):
    breaks(shipped)
    done = validated(shipped, tmp_path)
    assert done.returncode == 1 and "is invalid" in done.stdout + done.stderr


# What it promises --------------------------------------------------------------------------------------------------


def test_the_template_fills_in_what_the_definition_leaves_open(plain):
    substitutions = properties(plain, "ImportLarge")["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{(\w+)\}", ASL.read_text())) == set(substitutions)
    assert substitutions["Concurrency"] == {"Ref": "LargeConcurrency"}
    # A version of the steps, so that an execution ends with the code it began with.
    version = substitutions["StepsFunction"]["Ref"]
    assert plain["Resources"][version]["Type"] == "AWS::Lambda::Version"
    assert plain["Resources"][version]["Properties"]["FunctionName"] == {"Ref": "ImportLargeSteps"}
    assert plain["Resources"][version]["DeletionPolicy"] == "Retain"
    # The machine cannot refer to itself: it is spelt out by its name.
    name = properties(plain, "ImportLarge")["StateMachineName"]["Fn::Sub"]
    assert substitutions["ThisStateMachine"]["Fn::Sub"].endswith(f":stateMachine:{name}")
    assert properties(plain, "ImportLarge")["StateMachineType"] == "STANDARD"


def test_every_state_can_be_reached(shipped):
    """Nor does one lead out of its map, which the validator does not see."""

    def reached(some):
        found, new = set(), {some["StartAt"]}
        while new:
            found |= new
            new = set().union(*(following(some["States"][name]) for name in new)) - found
        assert found == set(some["States"])
        for state in some["States"].values():
            if "ItemProcessor" in state:
                reached(state["ItemProcessor"])

    reached(shipped)


def test_every_step_is_retried_longer_than_a_lease(shipped):
    policies = [state["Retry"] for _, state in machine.states(shipped) if "lambda:invoke" in state.get("Resource", "")]
    assert len(policies) == 7 and all(policy == policies[0] for policy in policies)
    (retry,) = policies[0]
    assert retry["JitterStrategy"] == "FULL"
    # https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html: Lambda's own, and of a worker that
    # is killed or out of time.
    assert {
        "Intake.Retry",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.TooManyRequestsException",
        "Lambda.Unknown",
        "Sandbox.Timedout",
        "Runtime.ExitError",
        "States.Timeout",
    } <= set(retry["ErrorEquals"])
    assert not {"Intake.Fatal", "States.ALL", "States.TaskFailed"} & set(retry["ErrorEquals"])
    # A worker that died holds its range until its invocation would have ended. Whoever comes after it must still be
    # trying then, however the dice fall.
    chance = random.Random(8)
    for _ in range(1000):
        delays = [retry["IntervalSeconds"] * retry["BackoffRate"] ** n for n in range(retry["MaxAttempts"])]
        waited = sum(chance.uniform(0, min(delay, retry["MaxDelaySeconds"])) for delay in delays)
        assert waited > 900


def test_a_call_has_longer_than_its_function(shipped, plain):
    timeout = properties(plain, "ImportLargeSteps")["Timeout"]
    for name, state in machine.states(shipped):
        if "lambda:invoke" in state.get("Resource", ""):
            assert timeout < state["TimeoutSeconds"] <= timeout + 60, name


def test_every_failure_ends_the_job_and_the_execution(shipped):
    states = shipped["States"]
    # Before the plan there may be no job; and an end that cannot be published cannot be published elsewhere, either.
    ends = {"Unplanned", "FinishWithError"}
    for name in {name for name, state in states.items() if state["Type"] in ("Task", "Map")} - {"Plan", *ends}:
        (catch,) = states[name]["Catch"]
        assert catch == {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "FinishWithError"}, name
    (catch,) = states["Plan"]["Catch"]
    assert catch == {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "PlanFailed"}
    assert following(states["PlanFailed"]) == {"Unplanned"}
    assert following(states["Unplanned"]) == {"Failed"}
    assert following(states["FinishWithError"]) == {"Failed"} == following(states["EndedAsFailed"])
    assert [name for name, state in states.items() if state["Type"] == "Succeed"] == ["Done"]
    assert [name for name, state in states.items() if "Done" in following(state)] == ["Status"]


def test_a_redrive_begins_again(shipped):
    states = shipped["States"]
    # A Fail state would be entered again by every redrive, and fail again.
    assert "Fail" not in {state["Type"] for _, state in machine.states(shipped)}
    failed = states["Failed"]
    assert failed["Type"] == "Choice" and "Default" not in failed
    assert following(failed) == {shipped["StartAt"]}
    # What is changed on the way is not what the beginning takes.
    assert "$$.Execution.Input" in states["Plan"]["Parameters"]["Payload.$"]


def test_maps(shipped):
    maps = {name: state for name, state in machine.states(shipped) if state["Type"] == "Map"}
    assert set(maps) == {"Scan", "Import", "Objects"}
    for name, state in maps.items():
        config = state["ItemProcessor"]["ProcessorConfig"]
        # Express ones end after five minutes, and are not driven again where they were.
        assert config == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, name
        assert state["ResultPath"] is None, name
        ends = [child for child in state["ItemProcessor"]["States"].values() if child.get("End")]
        (result,) = [end["Result"] for end in ends]
        # All children's outputs come together before the map throws them away: [1,1,...]
        assert ITEMS_MAX * (len(json.dumps(result)) + 1) + 1 < OUTPUT_BYTES_MAX, name
    for name in ("Scan", "Import"):
        assert maps[name]["ToleratedFailurePercentage"] == 0
        assert maps[name]["MaxConcurrencyPath"] == "$.concurrency"
        # A slow range holds up no other.
        assert maps[name]["ItemBatcher"]["MaxItemsPerBatch"] == 1
        # Whoever dies with a range is followed by the same holder; a scan holds nothing.
        holder = {"holder.$": "$.plan.holder"} if name == "Import" else {}
        batch = maps[name]["ItemBatcher"]["BatchInput"]
        executor = {"executor.$": "$.plan.executor"}
        assert batch == {"step": name.lower(), "owner.$": "$.plan.owner", "job.$": "$.plan.job", **executor, **holder}
    assert maps["Objects"]["ToleratedFailurePercentage"] == 100


def test_the_items_are_where_the_role_may_read(shipped, plain):
    """Plan and compose say where; importer/src/large/documents.rs has the names."""
    places = [
        resource["Fn::Sub"].rsplit("/", 1)[1]
        for statement in properties(plain, "ImportLargeRole")["Policies"][0]["PolicyDocument"]["Statement"]
        if statement.get("Sid") == "ReadItems"
        for resource in branches_of_all(statement["Resource"])
    ]
    assert places == ["plan.json", "ranges.json"]


# What is executed --------------------------------------------------------------------------------------------------


def test_the_variant_differs_in_what_it_says_only(shipped):
    variant = machine.variant(shipped)
    names = [name for name, _ in machine.states(shipped)]
    others = dict(machine.states(variant))
    assert set(others) - set(names) == {f"{m}{s}" for m in ("Scan", "Import") for s in ("Count", "Threshold", "Exceeded")}
    replaced = {
        "Scan": {"ItemBatcher", "ToleratedFailurePercentage", "ResultPath", "Next"},
        "Import": {"ItemBatcher", "ToleratedFailurePercentage", "ResultPath", "Next"},
        "Objects": {"ToleratedFailurePercentage"},
        "Object": {"Resource", "Parameters"},
    }
    for name, state in machine.states(shipped):
        for key, value in state.items():
            if key == "ItemProcessor":
                assert {**value, "States": None} == {**others[name][key], "States": None}
            elif key in replaced.get(name, set()):
                assert others[name].get(key) != value, f"{name}: {key} need not be replaced"
            else:
                assert others[name][key] == value, f"{name}: {key}"
