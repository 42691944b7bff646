"""What the template promises, checked on the plain CloudFormation that SAM makes of it."""

import copy
import re
from pathlib import Path

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "sam" / "template.yaml"

# Everything the two functions call, and nothing else. Lambda itself polls the queue and the stream with the
# function's role, and writes the logs.
GRANTED = {
    "ImporterRole": {
        ("s3:GetObject", "UploadBucket/uploads/*"),
        ("s3:PutObject", "UploadBucket/reports/*"),
        ("s3:AbortMultipartUpload", "UploadBucket/reports/*"),
        ("dynamodb:DescribeTable", "InventoryTable.Arn"),
        ("dynamodb:BatchWriteItem", "InventoryTable.Arn"),
        ("sqs:ReceiveMessage", "ImportsQueue.Arn"),
        ("sqs:DeleteMessage", "ImportsQueue.Arn"),
        ("sqs:GetQueueAttributes", "ImportsQueue.Arn"),
        ("logs:CreateLogStream", "ImporterLogs.Arn"),
        ("logs:PutLogEvents", "ImporterLogs.Arn"),
    },
    "NotifierRole": {
        ("dynamodb:DescribeStream", "InventoryTable.StreamArn"),
        ("dynamodb:GetRecords", "InventoryTable.StreamArn"),
        ("dynamodb:GetShardIterator", "InventoryTable.StreamArn"),
        ("dynamodb:ListStreams", "InventoryTable.Arn/stream/*"),
        ("sns:Publish", "InventoryAlerts"),
        ("logs:CreateLogStream", "NotifierLogs.Arn"),
        ("logs:PutLogEvents", "NotifierLogs.Arn"),
    },
}


class NoManagedPolicies:
    """Stands for the IAM call with which SAM looks up managed policies: this template uses none."""

    def load(self):
        return {}


@pytest.fixture(scope="module")
def sam():
    """The template as written."""
    return yaml_parse(TEMPLATE.read_text())


@pytest.fixture(scope="module")
def plain(sam):
    """The template as CloudFormation gets it."""
    packaged = copy.deepcopy(sam)
    packaged["Globals"]["Function"]["CodeUri"] = {"Bucket": "code", "Key": "function.zip"}
    return transform(packaged, {}, NoManagedPolicies())


def of_type(template, kind):
    return {name: r for name, r in template["Resources"].items() if r["Type"] == kind}


def only(template, kind):
    (resource,) = of_type(template, kind).values()
    return resource["Properties"]


def as_list(value):
    return value if isinstance(value, list) else [value]


def readable(arn):
    """An ARN as `Resource.Attribute`, with the bucket's spelt-out name turned back into the bucket."""
    if "Fn::GetAtt" in arn:
        return ".".join(arn["Fn::GetAtt"])
    if "Ref" in arn:
        return arn["Ref"]
    text = arn["Fn::Sub"]
    bucket = "arn:${AWS::Partition}:s3:::inventory-upload-${Suffix}"
    return text.replace(bucket, "UploadBucket").replace("${", "").replace("}", "")


def statements(template):
    """Every policy statement of the template: (the resource it stands in, statement)."""
    for name, resource in template["Resources"].items():
        properties = resource["Properties"]
        documents = [properties[key] for key in ("PolicyDocument", "AssumeRolePolicyDocument") if key in properties]
        if resource["Type"] == "AWS::IAM::Role":
            documents += [policy["PolicyDocument"] for policy in properties["Policies"]]
        for document in documents:
            for statement in as_list(document["Statement"]):
                yield name, statement


def test_no_action_and_no_resource_is_allowed_wholesale(plain):
    checked = 0
    for name, statement in statements(plain):
        if statement["Effect"] == "Deny":
            continue
        for action in as_list(statement["Action"]):
            assert "*" not in action, f"{name}: {action}"
        for resource in as_list(statement.get("Resource", [])):
            assert resource != "*", f"{name}: {statement['Sid']}"
        assert statement.get("Principal") != "*", name
        checked += 1
    assert checked >= 12


@pytest.mark.parametrize("role", GRANTED)
def test_each_role_grants_what_its_function_needs(plain, role):
    granted = {
        (action, readable(resource))
        for name, statement in statements(plain)
        if name == role and "Resource" in statement
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }
    assert granted == GRANTED[role]


def test_roles_are_only_the_two_written_out(plain):
    roles = of_type(plain, "AWS::IAM::Role")
    assert set(roles) == set(GRANTED)
    for name, role in roles.items():
        assert "ManagedPolicyArns" not in role["Properties"], name


def test_names_are_the_labs(plain):
    functions = {f["Properties"]["FunctionName"] for f in of_type(plain, "AWS::Lambda::Function").values()}
    assert functions == {"ProcessInventoryFile", "NotifyInventoryUpdate"}
    logs = {g["Properties"]["LogGroupName"] for g in of_type(plain, "AWS::Logs::LogGroup").values()}
    assert logs == {f"/aws/lambda/{name}" for name in functions}
    assert only(plain, "AWS::DynamoDB::Table")["TableName"] == "InventoryTable"
    assert only(plain, "AWS::SNS::Topic")["TopicName"] == "inventory-alerts"
    assert only(plain, "AWS::S3::Bucket")["BucketName"] == {"Fn::Sub": "inventory-upload-${Suffix}"}


def test_uploads_reach_the_queue(plain):
    bucket = only(plain, "AWS::S3::Bucket")
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert notification["Queue"] == {"Fn::GetAtt": ["ImportsQueue", "Arn"]}
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    assert "ImportsQueuePolicy" in as_list(plain["Resources"]["UploadBucket"]["DependsOn"])
    (statement,) = [statement for name, statement in statements(plain) if name == "ImportsQueuePolicy"]
    # The policy spells the bucket out, so it has to be the bucket's name.
    source = statement["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(":s3:::" + bucket["BucketName"]["Fn::Sub"])
    assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_failed_imports_are_kept(plain):
    queues = of_type(plain, "AWS::SQS::Queue")
    imports = queues["ImportsQueue"]["Properties"]
    dead = queues["ImportsDeadLetterQueue"]["Properties"]
    assert imports["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["ImportsDeadLetterQueue", "Arn"]}
    assert imports["RedrivePolicy"]["maxReceiveCount"] == 3
    (source,) = dead["RedriveAllowPolicy"]["sourceQueueArns"]
    assert source["Fn::Sub"].endswith(":" + imports["QueueName"])
    # Lambda refuses a queue that hands a message out again while the function may still work on it.
    timeout = plain["Resources"]["ProcessInventoryFile"]["Properties"]["Timeout"]
    assert imports["VisibilityTimeout"] > timeout


def test_event_source_mappings(plain):
    mappings = {m["Properties"]["FunctionName"]["Ref"]: m["Properties"] for m in
                of_type(plain, "AWS::Lambda::EventSourceMapping").values()}
    assert set(mappings) == {"ProcessInventoryFile", "NotifyInventoryUpdate"}
    for mapping in mappings.values():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    imports, changes = mappings["ProcessInventoryFile"], mappings["NotifyInventoryUpdate"]
    assert imports["EventSourceArn"] == {"Fn::GetAtt": ["ImportsQueue", "Arn"]}
    assert imports["BatchSize"] == 1
    assert imports["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaxConcurrentImports"}}
    assert changes["EventSourceArn"] == {"Fn::GetAtt": ["InventoryTable", "StreamArn"]}
    assert changes["StartingPosition"] == "TRIM_HORIZON"


def test_functions(sam, plain):
    for name, function in of_type(plain, "AWS::Lambda::Function").items():
        properties = function["Properties"]
        assert properties["Runtime"] == "provided.al2023", name
        assert properties["Architectures"] == [{"Ref": "Architecture"}], name
        assert properties["LoggingConfig"]["LogFormat"] == "JSON", name
    binaries = {name: f["Metadata"] for name, f in of_type(sam, "AWS::Serverless::Function").items()}
    assert {name: m["BuildProperties"]["Binary"] for name, m in binaries.items()} == {
        "ProcessInventoryFile": "importer",
        "NotifyInventoryUpdate": "notifier",
    }
    assert {m["BuildMethod"] for m in binaries.values()} == {"rust-cargolambda"}
    assert (TEMPLATE.parent / sam["Globals"]["Function"]["CodeUri"]).resolve() == ROOT


@pytest.mark.parametrize("function", ["ProcessInventoryFile", "NotifyInventoryUpdate"])
def test_functions_read_the_variables_they_are_given(sam, function):
    resource = sam["Resources"][function]
    crate = ROOT / resource["Metadata"]["BuildProperties"]["Binary"]
    code = "".join(path.read_text() for path in (crate / "src").rglob("*.rs"))
    for variable in resource["Properties"]["Environment"]["Variables"]:
        assert f'"{variable}"' in code, f"{crate.name} does not read {variable}"


def test_table(plain):
    table = only(plain, "AWS::DynamoDB::Table")
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "productId", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "productId", "AttributeType": "S"}]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}


def test_data_is_encrypted_and_private(plain):
    bucket = only(plain, "AWS::S3::Bucket")
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    (tls_only,) = [statement for name, statement in statements(plain) if name == "UploadBucketPolicy"]
    assert (tls_only["Effect"], tls_only["Principal"], tls_only["Action"]) == ("Deny", "*", "s3:*")
    assert tls_only["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    for name, queue in of_type(plain, "AWS::SQS::Queue").items():
        assert queue["Properties"]["SqsManagedSseEnabled"] is True, name
    assert only(plain, "AWS::SNS::Topic")["KmsMasterKeyId"] == "alias/aws/sns"
    # DynamoDB and CloudWatch Logs always encrypt.


def test_data_outlives_the_stack(plain):
    for name in ("UploadBucket", "InventoryTable", "Users"):
        resource = plain["Resources"][name]
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name
    for name, group in of_type(plain, "AWS::Logs::LogGroup").items():
        assert group["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}, name


def test_sign_in(plain):
    pool = only(plain, "AWS::Cognito::UserPool")
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["MfaConfiguration"] == "OPTIONAL"
    assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
    client = only(plain, "AWS::Cognito::UserPoolClient")
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert only(plain, "AWS::Cognito::UserPoolDomain")["UserPoolId"] == {"Ref": "Users"}


def test_email_is_subscribed_only_when_given(plain):
    (subscription,) = of_type(plain, "AWS::SNS::Subscription").values()
    assert plain["Conditions"][subscription["Condition"]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlertEmail"}, ""]}]}


@pytest.mark.parametrize(
    ("parameter", "value", "accepted"),
    [
        ("Suffix", "yourname", True),
        ("Suffix", "a", True),
        ("Suffix", "x" * 46, True),
        ("Suffix", "x" * 47, False),
        ("Suffix", "Your-Name", False),
        ("Suffix", "-name", False),
        ("Suffix", "name-", False),
        ("Suffix", "my-cognito", False),
        ("AlertEmail", "", True),
        ("AlertEmail", "you@example.com", True),
        ("AlertEmail", "you@example", False),
        ("EventNames", "INSERT", True),
        ("EventNames", "INSERT,MODIFY,REMOVE", True),
        ("EventNames", "INSERT, MODIFY", False),
        ("EventNames", "DELETE", False),
        ("DashboardUrl", "https://inventory.example.com/", True),
        ("DashboardUrl", "http://localhost:5173/", True),
        ("DashboardUrl", "http://inventory.example.com/", False),
    ],
)
def test_parameter_patterns(sam, parameter, value, accepted):
    pattern = sam["Parameters"][parameter]["AllowedPattern"]
    # CloudFormation matches the whole value.
    assert bool(re.fullmatch(pattern, value)) is accepted
