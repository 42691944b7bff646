"""checkov's findings are exactly the ones the template gives a reason for."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from template import TEMPLATE, read

CHECKOV = os.environ.get("CHECKOV", "")


def suppressions():
    """(resource, check, reason) of every suppression."""
    for name, resource in read()["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            yield f"{resource['Type']}.{name}", skip["id"], skip["comment"]


def without_suppressions():
    """The template's text without them."""
    lines, depth = [], None
    for line in TEMPLATE.read_text().splitlines():
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent > depth:
            continue
        depth = indent if line.strip() == "checkov:" else None
        if depth is None:
            lines.append(line)
    return "\n".join(lines)


def test_every_suppression_has_a_reason():
    found = list(suppressions())
    assert found
    for resource, check, reason in found:
        assert len(re.findall(r"\w+", reason)) >= 5 and reason.endswith("."), f"{resource} {check}: {reason}"


@pytest.mark.skipif(not CHECKOV, reason="`make sam` says where checkov is (CHECKOV)")
def test_findings_are_the_suppressed_ones(tmp_path):
    bare = tmp_path / "template.yaml"
    bare.write_text(without_suppressions())
    command = [CHECKOV, "-f", bare, "--framework", "cloudformation", "--skip-download", "--compact", "-o", "json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=Path(tmp_path))
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] >= 40 and report["summary"]["parsing_errors"] == 0
    findings = {(check["resource"], check["check_id"]) for check in report["results"]["failed_checks"]}
    assert findings == {(resource, check) for resource, check, _ in suppressions()}
