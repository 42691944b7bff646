"""The state machine `ImportLarge` as it is shipped, and as moto's interpreter can execute it."""

import copy
import json
import re

from template import ROOT

ASL = ROOT / "sam" / "import_large.asl.json"

# Functions that are none of the importer's: the test's front (cloud.py) stands for Step Functions' own API.
FRONT = "front:"


def shipped(**substitutions):
    """The definition with the template's `DefinitionSubstitutions` as CloudFormation puts them in: as text."""
    text = ASL.read_text()
    for name, value in substitutions.items():
        assert f"${{{name}}}" in text, name
        text = text.replace(f"${{{name}}}", value)
    return json.loads(text)


def states(machine):
    """Every state of the machine and of the machines in its maps: (name, state)."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def without_batches(machine):
    """ItemBatcher is refused: each item is a batch of its own, in the shape in which a child gets it from the batcher."""
    for _, state in states(machine):
        batcher = state.pop("ItemBatcher", None)
        if batcher:
            state["ItemSelector"] = {
                "BatchInput": batcher["BatchInput"],
                "Items.$": "States.Array($$.Map.Item.Value)",
            }


def with_thresholds(machine):
    """ToleratedFailurePercentage has no effect, and 0 is refused for want of a decimal point: a map that tolerates none
    is followed by states that count its children, and fail as Step Functions does if one failed."""
    for name, state in list(machine["States"].items()):
        if state.pop("ToleratedFailurePercentage", None) != 0:
            continue
        (catch,) = state["Catch"]
        states = machine["States"]
        states[f"{name}Count"] = {
            "Type": "Task",
            "Resource": "arn:aws:states:::aws-sdk:sfn:describeMapRun",
            "Parameters": {"MapRunArn.$": "$.run.MapRunArn"},
            "ResultSelector": {"succeeded.$": "$.ItemCounts.Succeeded", "total.$": "$.ItemCounts.Total"},
            "ResultPath": "$.run",
            "Next": f"{name}Threshold",
        }
        states[f"{name}Threshold"] = {
            "Type": "Choice",
            "Choices": [{"Variable": "$.run.succeeded", "NumericEqualsPath": "$.run.total", "Next": state["Next"]}],
            "Default": f"{name}Exceeded",
        }
        states[f"{name}Exceeded"] = {
            "Type": "Pass",
            "Result": {
                "Error": "States.ExceedToleratedFailureThreshold",
                "Cause": "The specified tolerated failure threshold was exceeded",
            },
            "ResultPath": catch["ResultPath"],
            "Next": catch["Next"],
        }
        # It says which run it was. Its paths would be looked for in the results.
        place = {"Bucket.$": "$$.Execution.Input.bucket", "Prefix": "reports/moto"}
        writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": place}
        state |= {"ResultWriter": writer, "ResultPath": "$.run", "Next": f"{name}Count"}


def with_own_calls_by_the_front(machine):
    """Calls of Step Functions' own API are sent with misspelt parameters: the front of the tests makes them."""
    for _, state in states(machine):
        own = re.fullmatch(r"arn:aws:states:::(?:states|aws-sdk:sfn):(.*)", state.get("Resource", ""))
        if own:
            state["Resource"] = "arn:aws:states:::lambda:invoke"
            state["Parameters"] = {"FunctionName": FRONT + own[1], "Payload": state["Parameters"]}
            if "ResultSelector" in state:
                selected = state["ResultSelector"]
                state["ResultSelector"] = {name: path.replace("$.", "$.Payload.", 1) for name, path in selected.items()}


# What moto's interpreter lacks, and what stands for it. Nothing else of the shipped definition is changed.
REPLACEMENTS = (without_batches, with_thresholds, with_own_calls_by_the_front)


def variant(machine):
    """The definition as moto's interpreter can execute it."""
    machine = copy.deepcopy(machine)
    for replace in REPLACEMENTS:
        replace(machine)
    return machine
