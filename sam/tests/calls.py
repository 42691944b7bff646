"""Which calls of AWS the functions make, read from their sources."""

import re

import botocore.session
from botocore import xform_name

from template import ROOT

# Each operation's IAM actions. An operation that is not here fails the tests: it may need a grant.
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
ACTIONS = {
    "s3.HeadObject": {"s3:GetObject"},
    "s3.GetObject": {"s3:GetObject"},
    "s3.ListObjectsV2": {"s3:ListBucket"},
    "s3.PutObject": {"s3:PutObject"},
    "s3.CreateMultipartUpload": {"s3:PutObject"},
    "s3.UploadPart": {"s3:PutObject"},
    "s3.UploadPartCopy": {"s3:PutObject", "s3:GetObject"},
    "s3.CompleteMultipartUpload": {"s3:PutObject"},
    "s3.AbortMultipartUpload": {"s3:AbortMultipartUpload"},
    "dynamodb.DescribeTable": {"dynamodb:DescribeTable"},
    "dynamodb.BatchWriteItem": {"dynamodb:BatchWriteItem"},
    "dynamodb.GetItem": {"dynamodb:GetItem"},
    "dynamodb.PutItem": {"dynamodb:PutItem"},
    "dynamodb.Query": {"dynamodb:Query"},
    # A transaction needs what its parts need: they are updates.
    "dynamodb.TransactWriteItems": {"dynamodb:UpdateItem"},
    "dynamodb.UpdateItem": {"dynamodb:UpdateItem"},
    "sqs.SendMessage": {"sqs:SendMessage"},
    "sns.Publish": {"sns:Publish"},
    "sns.PublishBatch": {"sns:Publish"},
    "stepfunctions.StartExecution": {"states:StartExecution"},
}

# Functions of the library that only the command line calls, with its user's credentials: (file, function), and how a
# call of it would look. That none stands in the importer's own sources is checked.
FOR_THE_COMMAND = {
    ("jobs/store.rs", "newest"): r"\.newest\(",
}


# Methods of other libraries that are called as an operation is: the SDK's, which take what the request needs, are followed by
# another call.
OTHERS = {"subscribe"}


def sources(crate):
    """The crate's sources without comments and without tests: (path in `src`, text)."""
    folder = ROOT / crate / "src"
    for path in sorted(folder.rglob("*.rs")):
        if path.name == "tests.rs":
            continue
        text = path.read_text().split("#[cfg(test)]\nmod tests {")[0]
        yield path.relative_to(folder).as_posix(), re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)


# Services that botocore calls otherwise than the SDK's crates.
NAMES = {"sfn": "stepfunctions"}


def services(crate):
    """The services whose SDK the crate depends on."""
    dependencies = (ROOT / crate / "Cargo.toml").read_text().split("[dev-dependencies]")[0]
    return [NAMES.get(name, name) for name in re.findall(r"^aws-sdk-(\w+)", dependencies, re.MULTILINE)]


def operations(crate, texts=None, without=frozenset()):
    """Every operation the crate calls, as `service.Operation`, but `without` those: (operation, file that it stands in)."""
    texts = list(sources(crate)) if texts is None else texts
    session = botocore.session.get_session()
    methods = {}
    for service in services(crate):
        for operation in session.get_service_model(service).operation_names:
            methods.setdefault(xform_name(operation), set()).add(f"{service}.{operation}")
    everything = "\n".join(text for _, text in texts)
    found = set()
    for path, text in texts:
        for call in re.finditer(r"\.(\w+)\(\)", text):
            if call[1] not in methods:
                continue
            if call[1] in OTHERS and not re.match(r"\s*\.", text[call.end() :]):
                continue
            function = re.findall(r"\bfn (\w+)", text[: call.start()])[-1]
            by_the_command = FOR_THE_COMMAND.get((path, function))
            if by_the_command and not re.search(by_the_command, everything):
                continue
            found |= {operation for operation in methods[call[1]] if (operation, path) not in without}
        # A request that is made without the SDK names its operation in a header.
        found |= {f"dynamodb.{operation}" for operation in re.findall(r"DynamoDB_20120810\.(\w+)", text)}
    return found


def actions(called):
    """The IAM actions of operations; a `KeyError` names one that nobody has thought of."""
    return set().union(*(ACTIONS[operation] for operation in called))
