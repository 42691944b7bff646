"""The documents name what the template has."""

import json
import re

import pytest

from template import ROOT, of_type, properties

OPERATIONS = (ROOT / "docs" / "OPERATIONS.md").read_text()
LAB = (ROOT / "docs" / "LAB.md").read_text()
DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "docs/OPERATIONS.md", "docs/SECURITY.md", "docs/LAB.md")}


def table(document, heading):
    """The first table below a heading, without its header: rows of cells."""
    section = document.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def shown(plain):
    """(metric, service) of each metric of Intake on the CloudWatch dashboard."""
    text, _ = properties(plain, "Overview")["DashboardBody"]["Fn::Sub"]
    found = set()
    for widget in json.loads(re.sub(r"\$\{[^}]*\}", "x", text))["widgets"]:
        before = []
        for entry in widget["properties"].get("metrics", []):
            names = [name for name in entry if isinstance(name, str)]
            if not names:
                continue
            # "." repeats what stands above, "..." all but the last.
            names = [*before[:-1], names[-1]] if names[0] == "..." else names
            names = [above if name == "." else name for name, above in zip(names, [*before, *names][: len(names)])]
            before = names
            if names[0] == "Intake":
                found.add((names[1], names[3]))
    return found


def test_metrics_are_the_same_in_the_template_and_in_operations(plain):
    documented = {(cells[0].strip("`"), cells[1]) for cells in table(OPERATIONS, "Metrics")}
    assert len(documented) == 20
    assert shown(plain) == documented
    alarms = [a["Properties"] for a in of_type(plain, "AWS::CloudWatch::Alarm").values()]
    watched = {(a["MetricName"], a["Dimensions"][0]["Value"]) for a in alarms if a.get("Namespace") == "Intake"}
    assert watched and watched <= documented


@pytest.mark.parametrize(("service", "file"), [("importer", "function/metrics.rs"), ("notifier", "metrics.rs")])
def test_metrics_are_the_same_in_the_code_and_in_operations(service, file):
    documented = {(cells[0].strip("`"), cells[2]) for cells in table(OPERATIONS, "Metrics") if cells[1] == service}
    code = (ROOT / service / "src" / file).read_text()
    assert set(re.findall(r'\("(\w+)", Unit::(\w+)\)', code)) == documented


def test_every_alarm_says_what_to_do(plain):
    documented = {cells[0].strip("`"): cells for cells in table(OPERATIONS, "Alarms")}
    alarms = of_type(plain, "AWS::CloudWatch::Alarm")
    names = {a["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-") for a in alarms.values()}
    assert set(documented) == names
    for name, (_, means, do) in documented.items():
        assert means and do, name
    assert f"{len(alarms)} alarms" in OPERATIONS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_outputs_and_parameters_exist(name, plain):
    text = DOCUMENTS[name]
    outputs = set(re.findall(r"\$\(out (\w+)\)|(?:^|`) *out ([A-Z]\w+)", text, re.MULTILINE))
    outputs = {a or b for a, b in outputs}
    assert outputs <= set(plain["Outputs"]), outputs - set(plain["Outputs"])
    overrides = re.findall(r"--parameter-overrides ([^\n`]*)", text)
    parameters = {word.split("=")[0] for line in overrides for word in line.split() if "=" in word}
    assert parameters <= set(plain["Parameters"]), parameters - set(plain["Parameters"])


def test_every_output_is_used(plain):
    everything = "".join(DOCUMENTS.values())
    assert [name for name in plain["Outputs"] if not re.search(rf"\bout {name}\b", everything)] == []


@pytest.mark.parametrize("name", ["docs/LAB.md", "docs/SECURITY.md"])
def test_tests_that_are_named_exist(name):
    tests = "".join(path.read_text() for path in (ROOT / "sam" / "tests").glob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", DOCUMENTS[name]))
    assert named
    assert {test for test in named if f"def {test}(" not in tests} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_resources_that_are_named_exist(name, plain):
    known = set(plain["Resources"]) | set(plain["Parameters"]) | set(plain["Outputs"])
    # Of AWS and of the lab.
    others = {
        "AccessDeniedException",
        "AuthorizationError",
        "BatchWriteItem",
        "ConcurrentExecutions",
        "JSONDecodeError",
        "LatestStreamLabel",
        "LeadingKeys",
        "RedriveExecution",
        "StartExecution",
        "PreventUserExistenceErrors",
        "ReadTable",
        "ReplicationLatency",
        "UpdateItem",
    }
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z][A-Za-z]+|[A-Z]+[a-z]+[A-Z]\w+)`", DOCUMENTS[name]))
    assert named <= known | others, named - known - others


def test_the_labs_resources_are_all_there(plain):
    for resource in (
        "ImporterRole",
        "NotifierRole",
        "UploadBucket",
        "InventoryTable",
        "ProcessInventoryFile",
        "InventoryAlerts",
        "NotifyInventoryUpdate",
        "Users",
        "DashboardClient",
        "SignInDomain",
    ):
        assert resource in plain["Resources"]
        assert f"`{resource}`" in LAB, resource
    for number in range(1, 6):
        assert f"### Test {number}:" in LAB
    for number in range(1, 9):
        assert f"\n| {number} " in LAB.split("## The eight bugs")[1]


def test_every_alarm_stands_on_the_monitoring_checklist(plain):
    checklist = LAB.split("## Monitoring checklist")[1]
    assert {name for name in of_type(plain, "AWS::CloudWatch::Alarm") if f"`{name}`" not in checklist} == set()


@pytest.mark.parametrize("name", [*DOCUMENTS, "CHANGELOG.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)]+)\)", (ROOT / name).read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (folder / path).resolve() if path else ROOT / name
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, target


def test_files_that_contributors_are_sent_to_exist():
    named = set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert len(named) > 40
    assert {path for path in named if not (ROOT / path).exists()} == set()


def test_the_readme_and_operations_agree_on_costs():
    for amount in ("$0.80", "$5.06", "$0.63"):
        assert amount in DOCUMENTS["README.md"] and amount.strip("$") in OPERATIONS


def test_examples_are_json():
    examples = sorted((ROOT / "samples" / "events").glob("*.json"))
    assert len(examples) >= 10
    for example in examples:
        json.loads(example.read_text())
