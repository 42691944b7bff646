"""The stack as moto creates it: references, conditions and names come together as CloudFormation would put them.

moto creates ten of the template's kinds of resources and passes over the rest without a word, so CREATE_COMPLETE alone says
little. The kinds it does not know are named here, left out, and checked in the template (test_template.py,
test_privilege.py); so are the properties it ignores, such as a bucket's notification.
"""

import ast
import copy
import json
import re
import warnings

import boto3
import pytest
from moto import mock_aws
from moto.cloudformation.parsing import resource_class_from_type

from template import references

ACCOUNT, REGION = "123456789012", "eu-central-1"
BUCKET = "inventory-upload-test"

UNKNOWN_TO_MOTO = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Cognito::IdentityPool",
    "AWS::Cognito::IdentityPoolRoleAttachment",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::Lambda::Alias",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def known(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return resource_class_from_type(kind) is not None


def without(value, left_out):
    """The value with references to resources that are left out as their names; an alias is its function."""
    if isinstance(value, list):
        return [without(inner, left_out) for inner in value]
    if not isinstance(value, dict):
        return value
    if value.get("Ref") in left_out:
        function, alias, _ = value["Ref"].partition("Aliaslive")
        return {"Ref": function} if alias else value["Ref"]
    if "Fn::GetAtt" in value and value["Fn::GetAtt"][0] in left_out:
        return ".".join(value["Fn::GetAtt"])
    if "Fn::Sub" in value:
        text, *values = value["Fn::Sub"] if isinstance(value["Fn::Sub"], list) else [value["Fn::Sub"]]
        text = re.sub(rf"\$\{{({'|'.join(left_out)})(\.\w+)?\}}", r"\1\2", text)
        return {"Fn::Sub": [text, *without(values, left_out)] if values else text}
    return {key: without(inner, left_out) for key, inner in value.items()}


class Stack:
    """What moto made of the template with some parameters."""

    def __init__(self, plain, **given):
        parameters = {name: str(p.get("Default", "")) for name, p in plain["Parameters"].items()}
        parameters |= {"Suffix": "test"} | given
        left_out = {name for name, r in plain["Resources"].items() if r["Type"] in UNKNOWN_TO_MOTO}
        template = copy.deepcopy(plain)
        template["Resources"] = {n: without(r, left_out) for n, r in plain["Resources"].items() if n not in left_out}
        # CloudFormation compares parameters as text; moto does so only if that is their type.
        for parameter in template["Parameters"].values():
            parameter["Type"] = "String"
        template["Outputs"] = without(plain["Outputs"], left_out)
        for resource in template["Resources"].values():
            after = resource.pop("DependsOn", [])
            after = [name for name in ([after] if isinstance(after, str) else after) if name not in left_out]
            if after:
                resource["DependsOn"] = after
        self.client("s3").create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
        self.client("s3").put_object(Bucket="code", Key="function.zip", Body=b"")
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName="intake",
            TemplateBody=json.dumps(template),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        (stack,) = formation.describe_stacks()["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"
        self.outputs = {o["OutputKey"]: o["OutputValue"] for o in stack["Outputs"]}
        resources = formation.list_stack_resources(StackName="intake")["StackResourceSummaries"]
        self.resources = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in resources}

    @staticmethod
    def client(service):
        return boto3.client(service, region_name=REGION)

    def tables(self):
        client = self.client("dynamodb")
        return {n: client.describe_table(TableName=n)["Table"] for n in client.list_tables()["TableNames"]}

    def queue(self, logical):
        url = self.resources[logical]
        return self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    def function(self, name):
        return self.client("lambda").get_function_configuration(FunctionName=name)

    def mappings(self):
        mappings = self.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        return {m["FunctionArn"].split(":")[6]: m for m in mappings}

    def grants(self, logical):
        """Each action of a role's policies and the ARNs it is granted on."""
        client, role = self.client("iam"), self.resources[logical]
        found = {}
        for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
            # moto gives the document as Python prints it.
            document = ast.literal_eval(client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
            for statement in document["Statement"]:
                # moto leaves None for a statement that is left out.
                for action in as_list(statement["Action"]) if statement else []:
                    found.setdefault(action, set()).update(as_list(statement["Resource"]))
        return found


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.fixture
def create(plain, monkeypatch):
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "test")
    with mock_aws(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield lambda **given: Stack(plain, **given)


def arn(service, rest):
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def test_what_moto_does_not_know_is_named(plain):
    kinds = {resource["Type"] for resource in plain["Resources"].values()}
    assert {kind for kind in kinds if not known(kind)} == UNKNOWN_TO_MOTO


def test_everything_moto_knows_is_created(create, plain):
    stack = create()
    expected = {
        name
        for name, resource in plain["Resources"].items()
        if resource["Type"] not in UNKNOWN_TO_MOTO and resource.get("Condition") not in ("IsProvisioned",)
    }
    assert set(stack.resources) == expected
    assert len(expected) >= 20


def test_outputs(create):
    outputs = create().outputs
    assert outputs["UploadTo"] == f"s3://{BUCKET}/uploads/"
    assert outputs["ImportsDeadLetterQueueUrl"].endswith("/intake-imports-dlq")
    config = json.loads(outputs["DashboardConfig"])
    assert (config["region"], config["bucket"], config["table"], config["jobsTable"]) == (
        REGION,
        BUCKET,
        "InventoryTable",
        "ImportJobs",
    )
    assert config["topic"] == "inventory-alerts"


def test_buckets(create):
    stack = create()
    s3 = stack.client("s3")
    assert stack.resources["UploadBucket"] == BUCKET
    for logical in ("UploadBucket", "DashboardBucket"):
        encryption = s3.get_bucket_encryption(Bucket=stack.resources[logical])["ServerSideEncryptionConfiguration"]
        assert encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}, logical


def test_queues(create):
    stack = create()
    imports, dead = stack.queue("ImportsQueue"), stack.queue("ImportsDeadLetterQueue")
    assert imports["QueueArn"] == arn("sqs", "intake-imports")
    assert imports["VisibilityTimeout"] == "960"
    assert json.loads(imports["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 10}
    for queue in (imports, dead):
        assert queue["SqsManagedSseEnabled"] == "true"
        assert queue["MessageRetentionPeriod"] == str(14 * 24 * 3600)


def test_topics(create):
    stack = create()
    sns = stack.client("sns")
    alerts = sns.get_topic_attributes(TopicArn=arn("sns", "inventory-alerts"))["Attributes"]
    assert alerts["KmsMasterKeyId"] == "alias/aws/sns"
    assert stack.outputs["OperationsTopicArn"] == arn("sns", "intake-operations")
    assert sns.get_topic_attributes(TopicArn=arn("sns", "intake-operations"))["Attributes"].get("KmsMasterKeyId") is None


def test_tables(create):
    tables = create().tables()
    assert set(tables) == {"InventoryTable", "ImportJobs"}
    inventory, jobs = tables["InventoryTable"], tables["ImportJobs"]
    assert inventory["KeySchema"] == [{"AttributeName": "productId", "KeyType": "HASH"}]
    assert inventory["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert inventory["DeletionProtectionEnabled"] is True
    assert [key["AttributeName"] for key in jobs["KeySchema"]] == ["owner", "job"]
    for table in tables.values():
        assert table["BillingModeSummary"] == {"BillingMode": "PAY_PER_REQUEST"}


def test_functions(create):
    stack = create()
    importer, notifier = stack.function("ProcessInventoryFile"), stack.function("NotifyInventoryUpdate")
    assert importer["Environment"]["Variables"] == {
        "INTAKE_TABLE": "InventoryTable",
        "INTAKE_JOBS_TABLE": "ImportJobs",
        "INTAKE_QUEUE_URL": stack.outputs["ImportsQueueUrl"],
        "INTAKE_TOPIC_ARN": arn("sns", "inventory-alerts"),
        "INTAKE_REPORT_PREFIX": "reports/",
        "INTAKE_LARGE_STATE_MACHINE_ARN": arn("states", "stateMachine:intake-import-large"),
        "INTAKE_LARGE_BYTES": str(10 * 1024**3),
    }
    assert notifier["Environment"]["Variables"]["INTAKE_TOPIC_ARN"] == arn("sns", "inventory-alerts")
    assert importer["Role"].endswith(stack.resources["ImporterRole"])
    assert notifier["Role"].endswith(stack.resources["NotifierRole"])
    assert (importer["Timeout"], importer["MemorySize"]) == (900, 512)
    for name in ("ProcessInventoryFile", "ImportLargeSteps", "NotifyInventoryUpdate"):
        versions = stack.client("lambda").list_versions_by_function(FunctionName=name)["Versions"]
        assert [version["Version"] for version in versions] == ["$LATEST", "1"]


def test_event_source_mappings(create):
    stack = create()
    mappings = stack.mappings()
    imports, changes = mappings["ProcessInventoryFile"], mappings["NotifyInventoryUpdate"]
    assert imports["EventSourceArn"] == arn("sqs", "intake-imports")
    assert imports["ScalingConfig"] == {"MaximumConcurrency": 2}
    assert changes["EventSourceArn"] == stack.tables()["InventoryTable"]["LatestStreamArn"]
    assert changes["FilterCriteria"] == {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]}
    assert (changes["TumblingWindowInSeconds"], changes["ParallelizationFactor"]) == (60, 1)
    assert changes["DestinationConfig"] == {"OnFailure": {"Destination": f"arn:aws:s3:::{BUCKET}"}}


def test_log_groups(create):
    groups = create(LogRetentionDays="7").client("logs").describe_log_groups()["logGroups"]
    assert {group["logGroupName"]: int(group["retentionInDays"]) for group in groups} == {
        "/aws/lambda/ProcessInventoryFile": 7,
        "/aws/lambda/NotifyInventoryUpdate": 7,
        "/aws/lambda/ImportLargeSteps": 7,
        "/aws/vendedlogs/states/intake-import-large": 7,
    }


def test_grants_are_on_what_was_created(create):
    stack = create()
    importer, notifier = stack.grants("ImporterRole"), stack.grants("NotifierRole")
    assert importer["dynamodb:BatchWriteItem"] == {stack.tables()["InventoryTable"]["TableArn"]}
    assert importer["dynamodb:UpdateItem"] == {stack.tables()["ImportJobs"]["TableArn"]}
    assert importer["sqs:SendMessage"] == {stack.queue("ImportsQueue")["QueueArn"]}
    assert importer["s3:GetObject"] == {f"arn:aws:s3:::{BUCKET}/uploads/*", f"arn:aws:s3:::{BUCKET}/reports/*/parts/*"}
    assert importer["sns:Publish"] == notifier["sns:Publish"] == {arn("sns", "inventory-alerts")}
    assert notifier["dynamodb:GetRecords"] == {stack.tables()["InventoryTable"]["LatestStreamArn"]}
    user = stack.grants("DashboardUserRole")
    assert user["s3:PutObject"] == {f"arn:aws:s3:::{BUCKET}/uploads/${{cognito-identity.amazonaws.com:sub}}/*"}
    assert "kms:Decrypt" not in importer | notifier | user


def test_the_state_machine_may_start_itself_and_its_steps(create):
    stack = create()
    machine = stack.outputs["LargeStateMachineArn"]
    assert machine == arn("states", "stateMachine:intake-import-large")
    own, importer, steps = (stack.grants(role) for role in ("ImportLargeRole", "ImporterRole", "ImportLargeStepsRole"))
    assert own["states:StartExecution"] == importer["states:StartExecution"] == {machine}
    executions = machine.replace(":stateMachine:", ":execution:")
    assert own["states:StopExecution"] == {f"{executions}:*", f"{executions}/*"}
    assert own["lambda:InvokeFunction"] == {stack.function("ImportLargeSteps")["FunctionArn"] + ":*"}
    assert steps["dynamodb:Query"] == {stack.tables()["ImportJobs"]["TableArn"]}
    assert stack.function("ImportLargeSteps")["Role"].endswith(stack.resources["ImportLargeStepsRole"])
    assert "sqs:SendMessage" not in steps


def test_the_overview_is_json(create):
    stack = create()
    body = stack.client("cloudwatch").get_dashboard(DashboardName=f"intake-{REGION}")["DashboardBody"]
    metrics = json.dumps(json.loads(body)["widgets"])
    assert "intake-imports-dlq" in metrics and "InventoryTable" in metrics


# Other parameters --------------------------------------------------------------------------------------------------


def test_an_existing_table_is_not_created(create):
    table = Stack.client("dynamodb").create_table(
        TableName="Products",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "sku", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "sku", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    stack = create(ExistingTableName="Products", ExistingTableStreamLabel=table["LatestStreamLabel"])
    assert set(stack.tables()) == {"ImportJobs", "Products"}
    assert stack.outputs["TableName"] == "Products"
    assert stack.function("ProcessInventoryFile")["Environment"]["Variables"]["INTAKE_TABLE"] == "Products"
    assert stack.mappings()["NotifyInventoryUpdate"]["EventSourceArn"] == table["LatestStreamArn"]
    assert stack.grants("ImporterRole")["dynamodb:BatchWriteItem"] == {table["TableArn"]}
    assert stack.grants("NotifierRole")["dynamodb:GetRecords"] == {table["LatestStreamArn"]}


def test_an_existing_table_needs_no_stream(create):
    stack = create(ExistingTableName="Products")
    assert set(stack.mappings()) == {"ProcessInventoryFile"}
    assert "dynamodb:GetRecords" not in stack.grants("NotifierRole")


def test_provisioned_capacity(create):
    table = create(TableWcu="100", TableRcu="20", DeletionProtection="false").tables()["InventoryTable"]
    assert table["BillingModeSummary"] == {"BillingMode": "PROVISIONED"}
    throughput = table["ProvisionedThroughput"]
    assert (throughput["WriteCapacityUnits"], throughput["ReadCapacityUnits"]) == (100, 20)
    assert table["DeletionProtectionEnabled"] is False


def test_a_key_of_ones_own(create):
    key = arn("kms", "key/1234abcd-12ab-34cd-56ef-1234567890ab")
    stack = create(KmsKeyArn=key)
    for role in ("ImporterRole", "ImportLargeStepsRole", "ImportLargeRole", "NotifierRole", "DashboardUserRole"):
        assert stack.grants(role)["kms:Decrypt"] == {key}, role
    rules = stack.client("s3").get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"]
    encryption = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == encryption
    for topic in ("inventory-alerts", "intake-operations"):
        attributes = stack.client("sns").get_topic_attributes(TopicArn=arn("sns", topic))["Attributes"]
        assert attributes["KmsMasterKeyId"] == key, topic


def test_limits(create):
    stack = create(MaxWcu="500", MaxRejects="5%", EventNames="INSERT,REMOVE")
    variables = stack.function("ProcessInventoryFile")["Environment"]["Variables"]
    assert (variables["INTAKE_MAX_WCU"], variables["INTAKE_MAX_REJECTS"]) == ("500", "5%")
    pattern = stack.mappings()["NotifyInventoryUpdate"]["FilterCriteria"]["Filters"][0]["Pattern"]
    assert json.loads(pattern) == {"eventName": ["INSERT", "REMOVE"]}


def test_a_second_stack_can_have_names_of_its_own(create):
    names = {
        "TableName": "T2",
        "JobsTableName": "Jobs2",
        "TopicName": "alerts2",
        "ImporterName": "I2",
        "NotifierName": "N2",
        "StepsName": "S2",
    }
    stack = create(**names)
    assert set(stack.tables()) == {"T2", "Jobs2"}
    assert stack.function("I2")["Environment"]["Variables"]["INTAKE_TOPIC_ARN"] == arn("sns", "alerts2")
    groups = stack.client("logs").describe_log_groups()["logGroups"]
    # The state machine's has the stack's name.
    assert {group["logGroupName"] for group in groups} == {
        "/aws/lambda/I2",
        "/aws/lambda/N2",
        "/aws/lambda/S2",
        "/aws/vendedlogs/states/intake-import-large",
    }


def test_no_reference_is_lost(plain):
    """Every name that is referred to exists, in the whole template: also where moto does not look."""
    names = set(plain["Resources"]) | set(plain["Parameters"]) | set(plain["Conditions"])
    used = {name for name in references({k: v for k, v in plain.items() if k != "Parameters"}) if "::" not in name}
    assert used <= names, used - names
