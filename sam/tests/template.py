"""Ways through the template that the tests share."""

import re
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "sam" / "template.yaml"
NO_VALUE = {"Ref": "AWS::NoValue"}


def read():
    return yaml_parse(TEMPLATE.read_text())


def of_type(template, kind):
    return {name: r for name, r in template["Resources"].items() if r["Type"] == kind}


def properties(template, name):
    return template["Resources"][name]["Properties"]


def as_list(value):
    return value if isinstance(value, list) else [value]


def branches(value):
    """What a value may be: both sides of each `Fn::If`, without those that leave it out."""
    if isinstance(value, dict) and "Fn::If" in value:
        _, yes, no = value["Fn::If"]
        return branches(yes) + branches(no)
    return [] if value == NO_VALUE else [value]


def branches_of_all(values):
    return [branch for value in as_list(values) for branch in branches(value)]


def condition_of(value):
    """The condition a value depends on, or `None`."""
    return value["Fn::If"][0] if isinstance(value, dict) and "Fn::If" in value else None


def statements(template):
    """Every policy statement of the template: (the resource it stands in, statement)."""
    for name, resource in template["Resources"].items():
        found = resource.get("Properties", {})
        documents = [found[key] for key in ("PolicyDocument", "AssumeRolePolicyDocument") if key in found]
        documents += [policy["PolicyDocument"] for policy in found.get("Policies", []) if isinstance(policy, dict)]
        for document in documents:
            for statement in branches_of_all(document["Statement"]):
                yield name, statement


def readable(arn):
    """An ARN as `Resource.Attribute`, with spelt-out names turned back into what bears them."""
    if isinstance(arn, str):
        return arn
    if "Fn::GetAtt" in arn:
        return ".".join(arn["Fn::GetAtt"])
    if "Ref" in arn:
        return arn["Ref"]
    text = arn["Fn::Sub"]
    for spelt_out, name in [
        ("arn:${AWS::Partition}:s3:::inventory-upload-${Suffix}", "UploadBucket"),
        (":${AWS::Region}:${AWS::AccountId}:", ":"),
        ("arn:${AWS::Partition}:", ""),
    ]:
        text = text.replace(spelt_out, name)
    return re.sub(r"\$\{!?([^}]*)\}", r"\1", text)


def references(value):
    """Names that a value refers to, by `Ref`, `Fn::GetAtt` or `Fn::Sub`, and the conditions it depends on."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("Ref", "Condition") and isinstance(inner, str):
                yield inner
            elif key == "Fn::GetAtt":
                yield as_list(inner)[0].split(".")[0]
            elif key == "Fn::Sub":
                text, own = (inner, {}) if isinstance(inner, str) else inner
                names = re.findall(r"\$\{([^!}][^}.]*)[^}]*\}", text)
                yield from (name for name in names if name not in own)
                yield from references(own)
            elif key == "Fn::If":
                yield inner[0]
                yield from references(inner[1:])
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)
