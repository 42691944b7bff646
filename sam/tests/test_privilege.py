"""Least privilege: what is granted is what is called, nowhere more and nowhere less.

The checks return what is wrong, so that the last tests can plant faults and see that they are found.
"""

import pytest

import calls
from template import as_list, branches, branches_of_all, of_type, readable, statements

CRATES = {"ImporterRole": "importer", "ImportLargeStepsRole": "importer", "NotifierRole": "notifier"}

# Two functions run the importer's executable, and neither does all of it: (operation, file that it stands in), and why.
BY_THE_OTHER = {
    "ImporterRole": {
        ("s3.ListObjectsV2", "large/prefix.rs"): "the step plan lists the objects under a prefix",
        ("dynamodb.Query", "jobs/ranges.rs"): "the steps add up the ranges of a job",
    },
    "ImportLargeStepsRole": {
        ("sqs.SendMessage", "function/context.rs"): "the state machine goes on with what a step leaves",
        ("stepfunctions.StartExecution", "large/hand_over.rs"): "the importer hands over; children are started by the machine",
    },
    "NotifierRole": {},
}

# Lambda polls, logs, traces and keeps what failed with the function's role; no line of the functions' does.
BY_LAMBDA = {
    "ImporterRole": {
        "sqs:ReceiveMessage": "Lambda polls the queue",
        "sqs:DeleteMessage": "Lambda deletes what was imported",
        "sqs:GetQueueAttributes": "Lambda watches how full the queue is",
        "logs:CreateLogStream": "Lambda writes the log",
        "logs:PutLogEvents": "Lambda writes the log",
        "xray:PutTraceSegments": "Lambda writes the trace",
        "xray:PutTelemetryRecords": "Lambda writes the trace",
        "kms:Decrypt": "S3, DynamoDB and SNS decrypt for the caller",
        "kms:GenerateDataKey": "S3, DynamoDB and SNS encrypt for the caller",
    },
    "ImportLargeStepsRole": {
        "logs:CreateLogStream": "Lambda writes the log",
        "logs:PutLogEvents": "Lambda writes the log",
        "xray:PutTraceSegments": "Lambda writes the trace",
        "xray:PutTelemetryRecords": "Lambda writes the trace",
        "kms:Decrypt": "S3, DynamoDB and SNS decrypt for the caller",
        "kms:GenerateDataKey": "S3, DynamoDB and SNS encrypt for the caller",
    },
    "NotifierRole": {
        "dynamodb:DescribeStream": "Lambda reads the stream",
        "dynamodb:GetRecords": "Lambda reads the stream",
        "dynamodb:GetShardIterator": "Lambda reads the stream",
        "dynamodb:ListStreams": "Lambda reads the stream",
        "s3:PutObject": "Lambda keeps the records that could not be told",
        "s3:ListBucket": "Lambda keeps the records that could not be told",
        "logs:CreateLogStream": "Lambda writes the log",
        "logs:PutLogEvents": "Lambda writes the log",
        "xray:PutTraceSegments": "Lambda writes the trace",
        "xray:PutTelemetryRecords": "Lambda writes the trace",
        "kms:Decrypt": "SNS and S3 decrypt for the caller",
        "kms:GenerateDataKey": "SNS and S3 encrypt for the caller",
    },
}

TABLE = {"InventoryTable.Arn", "dynamodb:table/ExistingTableName"}
STREAM = {"InventoryTable.StreamArn", "dynamodb:table/ExistingTableName/stream/ExistingTableStreamLabel"}
STREAMS = {"InventoryTable.Arn/stream/*", "dynamodb:table/ExistingTableName/stream/*"}
SUB = "cognito-identity.amazonaws.com:sub"

# The state machine's executions, and those that are children of its maps.
EXECUTIONS = {"states:execution:AWS::StackName-import-large:*", "states:execution:AWS::StackName-import-large/*"}
EVENTS_RULE = {"events:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"}

# Actions that know no resource: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html and
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
SAMPLING = {"xray:GetSamplingRules", "xray:GetSamplingTargets"}
DELIVERY_OF_LOGS = {
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
WITHOUT_RESOURCE = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"} | SAMPLING | DELIVERY_OF_LOGS

# Every grant of every role, and what it is granted on.
GRANTED = {
    "ImporterRole": {
        "s3:GetObject": {"UploadBucket/uploads/*", "UploadBucket/reports/*/parts/*"},
        "s3:PutObject": {"UploadBucket/reports/*"},
        "dynamodb:DescribeTable": TABLE,
        "dynamodb:BatchWriteItem": TABLE,
        "dynamodb:GetItem": {"ImportJobs.Arn"},
        "dynamodb:UpdateItem": {"ImportJobs.Arn"},
        "dynamodb:Query": {"ImportJobs.Arn"},
        "sqs:SendMessage": {"ImportsQueue.Arn"},
        "sns:Publish": {"InventoryAlerts"},
        "states:StartExecution": {"ImportLarge"},
        "sqs:ReceiveMessage": {"ImportsQueue.Arn"},
        "sqs:DeleteMessage": {"ImportsQueue.Arn"},
        "sqs:GetQueueAttributes": {"ImportsQueue.Arn"},
        "logs:CreateLogStream": {"ImporterLogs.Arn"},
        "logs:PutLogEvents": {"ImporterLogs.Arn"},
        "xray:PutTraceSegments": {"*"},
        "xray:PutTelemetryRecords": {"*"},
        "kms:Decrypt": {"KmsKeyArn"},
        "kms:GenerateDataKey": {"KmsKeyArn"},
    },
    "NotifierRole": {
        "dynamodb:DescribeStream": STREAM,
        "dynamodb:GetRecords": STREAM,
        "dynamodb:GetShardIterator": STREAM,
        "dynamodb:ListStreams": STREAMS,
        "sns:Publish": {"InventoryAlerts"},
        "s3:PutObject": {"UploadBucket/aws/lambda/*", "UploadBucket/undelivered/*"},
        "dynamodb:GetItem": {"ImportJobs.Arn"},
        "dynamodb:PutItem": {"ImportJobs.Arn"},
        "s3:ListBucket": {"UploadBucket"},
        "logs:CreateLogStream": {"NotifierLogs.Arn"},
        "logs:PutLogEvents": {"NotifierLogs.Arn"},
        "xray:PutTraceSegments": {"*"},
        "xray:PutTelemetryRecords": {"*"},
        "kms:Decrypt": {"KmsKeyArn"},
        "kms:GenerateDataKey": {"KmsKeyArn"},
    },
    "ImportLargeStepsRole": {
        "s3:GetObject": {"UploadBucket/uploads/*", "UploadBucket/reports/*"},
        "s3:ListBucket": {"UploadBucket"},
        "s3:PutObject": {"UploadBucket/reports/*"},
        "dynamodb:DescribeTable": TABLE,
        "dynamodb:BatchWriteItem": TABLE,
        "dynamodb:GetItem": {"ImportJobs.Arn"},
        "dynamodb:Query": {"ImportJobs.Arn"},
        "dynamodb:UpdateItem": {"ImportJobs.Arn"},
        "sns:Publish": {"InventoryAlerts"},
        "logs:CreateLogStream": {"ImportLargeStepsLogs.Arn"},
        "logs:PutLogEvents": {"ImportLargeStepsLogs.Arn"},
        "xray:PutTraceSegments": {"*"},
        "xray:PutTelemetryRecords": {"*"},
        "kms:Decrypt": {"KmsKeyArn"},
        "kms:GenerateDataKey": {"KmsKeyArn"},
    },
    # What Step Functions does for the state machine.
    "ImportLargeRole": {
        "lambda:InvokeFunction": {"lambda:function:StepsName:*"},
        "s3:GetObject": {"UploadBucket/reports/*/plan.json", "UploadBucket/reports/*/ranges.json"},
        "states:StartExecution": {"states:stateMachine:AWS::StackName-import-large"},
        "states:DescribeExecution": EXECUTIONS,
        "states:StopExecution": EXECUTIONS,
        "states:RedriveExecution": {"states:execution:AWS::StackName-import-large/*"},
        **dict.fromkeys(("events:PutTargets", "events:PutRule", "events:DescribeRule"), EVENTS_RULE),
        **{action: {"*"} for action in DELIVERY_OF_LOGS | SAMPLING},
        "xray:PutTraceSegments": {"*"},
        "xray:PutTelemetryRecords": {"*"},
        "kms:Decrypt": {"KmsKeyArn"},
    },
    # What the dashboard does in the browser of somebody who signed in.
    "DashboardUserRole": {
        "s3:PutObject": {f"UploadBucket/uploads/{SUB}/*"},
        "s3:AbortMultipartUpload": {f"UploadBucket/uploads/{SUB}/*"},
        "s3:ListMultipartUploadParts": {f"UploadBucket/uploads/{SUB}/*"},
        "s3:GetObject": {f"UploadBucket/uploads/{SUB}/*", f"UploadBucket/reports/{SUB}/*"},
        "dynamodb:GetItem": {"ImportJobs.Arn"} | TABLE,
        "dynamodb:Query": {"ImportJobs.Arn"} | TABLE,
        "dynamodb:UpdateItem": {"ImportJobs.Arn"},
        "dynamodb:DescribeTable": TABLE,
        "dynamodb:Scan": TABLE,
        "kms:Decrypt": {"KmsKeyArn"},
        "kms:GenerateDataKey": {"KmsKeyArn"},
    },
    # What CodeDeploy does during an upgrade.
    "RolloutRole": {
        action: {
            f"lambda:function:{name}{alias}" for name in ("ImporterName", "NotifierName") for alias in ("", ":live")
        }
        for action in ("lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig")
    }
    | {"cloudwatch:DescribeAlarms": {"cloudwatch:alarm:*"}},
}


# Who besides the roles may do what to which resource.
RESOURCE_POLICIES = {
    ("ImportsQueuePolicy", "s3.amazonaws.com", "sqs:SendMessage", "ImportsQueue.Arn"),
    ("InventoryAlertsPolicy", "ImporterRole.Arn", "sns:Publish", "InventoryAlerts"),
    ("InventoryAlertsPolicy", "ImportLargeStepsRole.Arn", "sns:Publish", "InventoryAlerts"),
    ("InventoryAlertsPolicy", "NotifierRole.Arn", "sns:Publish", "InventoryAlerts"),
    ("OperationsPolicy", "cloudwatch.amazonaws.com", "sns:Publish", "Operations"),
    ("DashboardBucketPolicy", "cloudfront.amazonaws.com", "s3:GetObject", "DashboardBucket.Arn/*"),
}


def granted(plain, role):
    """The role's grants: each action and what it is granted on."""
    found = {}
    for name, statement in statements(plain):
        if name == role and statement["Effect"] == "Allow" and "Resource" in statement:
            for action in as_list(statement["Action"]):
                resources = {readable(resource) for resource in branches_of_all(statement["Resource"])}
                found.setdefault(action, set()).update(resources)
    return found


def wildcards(plain):
    for name, statement in statements(plain):
        if statement["Effect"] == "Deny":
            continue
        for key in ("NotAction", "NotResource", "NotPrincipal"):
            if key in statement:
                yield f"{name}: {key} grants whatever is not named"
        for action in as_list(statement.get("Action", [])):
            if "*" in action:
                yield f"{name}: action {action}"
            for resource in branches_of_all(statement.get("Resource", [])):
                if resource == "*" and action not in WITHOUT_RESOURCE:
                    yield f"{name}: {action} on every resource"
        if statement.get("Principal") in ("*", {"AWS": "*"}):
            yield f"{name}: granted to everybody"


def differences_to_the_code(plain, texts=None):
    for role, crate in CRATES.items():
        has = set(granted(plain, role)) - set(BY_LAMBDA[role])
        # What Lambda does as well as the code would hide a call of the code's; so would no other list.
        needs = calls.actions(calls.operations(crate, (texts or {}).get(crate), set(BY_THE_OTHER[role])))
        yield from (f"{role}: {action} is granted, and {crate} never calls it" for action in sorted(has - needs))
        needs -= set(granted(plain, role))
        yield from (f"{role}: {crate} calls {action} without a grant" for action in sorted(needs))


def differences_to_the_list(plain):
    for role in sorted(set(of_type(plain, "AWS::IAM::Role")) | set(GRANTED)):
        has, listed = granted(plain, role), GRANTED.get(role, {})
        for action in sorted(set(has) | set(listed)):
            if has.get(action) != listed.get(action):
                yield f"{role}: {action} on {has.get(action)}, not {listed.get(action)}"


def policies_of_others(plain):
    """Policies that do not stand in a role of this template, and could grant beyond the list."""
    for name, role in of_type(plain, "AWS::IAM::Role").items():
        if role["Properties"].get("ManagedPolicyArns"):
            yield f"{name}: managed policies"
    for kind in ("Policy", "ManagedPolicy", "RolePolicy", "UserPolicy", "User", "Group"):
        yield from (f"{name}: AWS::IAM::{kind}" for name in of_type(plain, f"AWS::IAM::{kind}"))
    yield from (f"{name}: AWS::Lambda::Permission" for name in of_type(plain, "AWS::Lambda::Permission"))


def resource_grants(plain):
    for name, statement in statements(plain):
        if statement["Effect"] != "Allow" or "Principal" not in statement or "Resource" not in statement:
            continue
        principals = [p for kind in statement["Principal"].values() for p in as_list(kind)]
        for principal in principals:
            for action in as_list(statement["Action"]):
                for resource in as_list(statement["Resource"]):
                    yield name, readable(principal), action, readable(resource)


# Encryption and retention ------------------------------------------------------------------------------------------


def bucket_is_safe(bucket):
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    algorithms = branches(rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"])
    assert set(algorithms) <= {"AES256", "aws:kms"}, "not encrypted"
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4, "not private"
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, "not private"
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert any("NoncurrentVersionExpiration" in rule for rule in rules), "old versions are kept for ever"
    assert any("AbortIncompleteMultipartUpload" in rule for rule in rules), "parts are kept for ever"


def queue_is_safe(queue):
    assert queue["SqsManagedSseEnabled"] is True, "not encrypted"
    assert queue["MessageRetentionPeriod"] == 14 * 24 * 3600, "messages are lost sooner than need be"


def topic_is_safe(topic):
    keys = branches(topic.get("KmsMasterKeyId", {"Ref": "AWS::NoValue"}))
    # CloudWatch cannot publish to a topic that the key AWS keeps for SNS encrypts; alarms hold no data.
    unencrypted = topic["TopicName"] == {"Fn::Sub": "${AWS::StackName}-operations"}
    assert keys == [{"Ref": "KmsKeyArn"}] + ([] if unencrypted else ["alias/aws/sns"]), "not encrypted"


def table_is_safe(table):
    # DynamoDB encrypts always: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/EncryptionAtRest.html
    (key,) = branches(table["SSESpecification"])
    assert key == {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "KmsKeyArn"}}, "not encrypted"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, "not restorable"


def machine_is_safe(machine):
    # Step Functions encrypts always: https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
    assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False, "logs what it hands on"
    assert machine["TracingConfiguration"] == {"Enabled": True}, "not traced"


def log_group_is_safe(group):
    # CloudWatch Logs encrypts always.
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}, "kept for ever"


KEEPS_DATA = {
    "AWS::S3::Bucket": bucket_is_safe,
    "AWS::SQS::Queue": queue_is_safe,
    "AWS::SNS::Topic": topic_is_safe,
    "AWS::DynamoDB::Table": table_is_safe,
    "AWS::Logs::LogGroup": log_group_is_safe,
    "AWS::StepFunctions::StateMachine": machine_is_safe,
}
# Cognito encrypts its users always; the others are configuration.
KEEPS_NONE = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudFront::Distribution",
    "AWS::CloudFront::OriginAccessControl",
    "AWS::CloudFront::ResponseHeadersPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Cognito::IdentityPool",
    "AWS::Cognito::IdentityPoolRoleAttachment",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::Cognito::UserPoolDomain",
    "AWS::IAM::Role",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Version",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


def unsafe(plain):
    for name, resource in plain["Resources"].items():
        check = KEEPS_DATA.get(resource["Type"])
        if check is None:
            if resource["Type"] not in KEEPS_NONE:
                yield f"{name}: nobody has said whether {resource['Type']} keeps data"
            continue
        try:
            check(resource["Properties"])
        except (AssertionError, KeyError, ValueError) as problem:
            yield f"{name}: {problem}"


def without_tls(plain):
    """Buckets, queues and topics whose policy takes requests without TLS."""
    refusing = set()
    for _, statement in statements(plain):
        if statement["Effect"] == "Deny" and statement.get("Condition") == {"Bool": {"aws:SecureTransport": False}}:
            assert statement["Principal"] == "*"
            refusing |= {readable(r).split(".")[0] for r in as_list(statement["Resource"])}
    for kind in ("AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SNS::Topic"):
        yield from (f"{name} takes requests without TLS" for name in of_type(plain, kind) if name not in refusing)


# The tests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "problems",
    [wildcards, differences_to_the_code, differences_to_the_list, policies_of_others, unsafe, without_tls],
)
def test_there_is_none_of(problems, plain):
    assert list(problems(plain)) == []


def test_resource_policies_are_the_listed_ones(plain):
    assert set(resource_grants(plain)) == RESOURCE_POLICIES
    conditions = {
        name: statement.get("Condition", {})
        for name, statement in statements(plain)
        if statement["Effect"] == "Allow" and "Service" in statement.get("Principal", {}) and "Resource" in statement
    }
    for name, condition in conditions.items():
        # A service acts for many customers: it must be ours.
        keys = {key for operator in condition.values() for key in operator}
        assert "aws:SourceArn" in keys, name


def test_the_calls_are_found():
    """The derivation itself: were it to find nothing, everything granted would be too much."""
    assert calls.operations("importer") >= {
        "s3.HeadObject",
        "s3.GetObject",
        "s3.PutObject",
        "s3.CompleteMultipartUpload",
        "dynamodb.BatchWriteItem",
        "dynamodb.DescribeTable",
        "dynamodb.UpdateItem",
        "sqs.SendMessage",
        "sns.Publish",
    }
    assert "sns.Publish" in calls.operations("notifier")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fn a() { let mut granted = self.granted.subscribe(); }", set()),
        ("fn a() { sns.subscribe()\n    .topic_arn(arn).send().await }", {"sns.Subscribe"}),
    ],
)
def test_a_channels_subscription_is_no_call_of_aws(text, found):
    assert calls.operations("importer", [("new.rs", text)]) == found


def test_the_commands_own_calls_are_not_the_functions():
    store = ("jobs/store.rs", "pub async fn newest(&self) { self.client.query().send().await }")
    assert calls.operations("importer", [store]) == set()
    calling = ("lambda.rs", "fn import() { self.jobs.newest(owner, 1).await }")
    assert calls.operations("importer", [store, calling]) == {"dynamodb.Query"}


def test_what_the_other_function_does_is_called_at_all():
    """A reason for a call that is gone would hide nothing yet, and something one day."""
    for role, others in BY_THE_OTHER.items():
        for call in others:
            without = calls.operations("importer", without=set(others) - {call})
            assert call[0] in without, f"{role}: {call} is not called there"


def test_only_uploads_are_listed(plain):
    (listing,) = [s for name, s in statements(plain) if name == "ImportLargeStepsRole" and s.get("Sid") == "ListUploads"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": "uploads/*"}}


def test_people_are_kept_to_their_own(plain):
    own = ["${cognito-identity.amazonaws.com:sub}"]
    by_sid = {s.get("Sid"): s for name, s in statements(plain) if name == "DashboardUserRole"}
    for sid in ("ReadOwnJobs", "CancelOwnJobs"):
        condition = by_sid[sid]["Condition"]
        assert condition["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"] == own
        # Without this, ForAllValues holds for a Scan, which has no leading key.
        assert condition["Null"]["dynamodb:LeadingKeys"] is False
        assert "dynamodb:Scan" not in as_list(by_sid[sid]["Action"])
    cancel = by_sid["CancelOwnJobs"]["Condition"]
    assert cancel["ForAllValues:StringEquals"]["dynamodb:Attributes"] == ["owner", "job", "cancel_requested"]
    assert cancel["Null"]["dynamodb:Attributes"] is False
    assert cancel["StringEqualsIfExists"] == {"dynamodb:ReturnValues": "NONE"}
    trust = by_sid[None]
    assert trust["Principal"] == {"Federated": "cognito-identity.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": {"Ref": "Identities"}},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": "authenticated"},
    }


def test_only_their_services_assume_the_other_roles(plain):
    trusted = {
        name: statement["Principal"]
        for name, statement in statements(plain)
        if "Resource" not in statement and name != "DashboardUserRole"
    }
    assert trusted == {
        "ImporterRole": {"Service": "lambda.amazonaws.com"},
        "ImportLargeStepsRole": {"Service": "lambda.amazonaws.com"},
        "ImportLargeRole": {"Service": "states.amazonaws.com"},
        "NotifierRole": {"Service": "lambda.amazonaws.com"},
        "RolloutRole": {"Service": "codedeploy.amazonaws.com"},
    }


# Faults, planted ---------------------------------------------------------------------------------------------------


def policy(plain, role):
    return plain["Resources"][role]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]


def add(role, action, resource):
    def plant(plain):
        policy(plain, role).append({"Effect": "Allow", "Action": action, "Resource": resource})

    return plant


def drop(role, sid):
    def plant(plain):
        policy(plain, role)[:] = [s for s in policy(plain, role) if s.get("Sid") != sid]

    return plant


def change(resource, key, value):
    def plant(plain):
        found = plain["Resources"][resource]["Properties"]
        if value is None:
            del found[key]
        else:
            found[key] = value

    return plant


def add_resource(name, resource):
    def plant(plain):
        plain["Resources"][name] = resource

    return plant


def open_topic(plain):
    statement = plain["Resources"]["InventoryAlertsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    statement["Principal"] = "*"


def plain_http(plain):
    document = plain["Resources"]["UploadBucketPolicy"]["Properties"]["PolicyDocument"]
    document["Statement"] = []


TABLE_ARN = {"Fn::GetAtt": ["InventoryTable", "Arn"]}


@pytest.mark.parametrize(
    ("plant", "finds", "says"),
    [
        (add("ImporterRole", "s3:*", "*"), wildcards, "ImporterRole: action s3:*"),
        (add("ImporterRole", "s3:Get*", TABLE_ARN), wildcards, "ImporterRole: action s3:Get*"),
        (add("NotifierRole", "sns:Publish", "*"), wildcards, "NotifierRole: sns:Publish on every resource"),
        (add("NotifierRole", "sns:Publish", "*"), differences_to_the_list, "NotifierRole: sns:Publish on"),
        (open_topic, wildcards, "InventoryAlertsPolicy: granted to everybody"),
        (
            add("ImporterRole", "dynamodb:DeleteItem", TABLE_ARN),
            differences_to_the_code,
            "ImporterRole: dynamodb:DeleteItem is granted, and importer never calls it",
        ),
        (
            add("ImporterRole", "s3:AbortMultipartUpload", TABLE_ARN),
            differences_to_the_code,
            "ImporterRole: s3:AbortMultipartUpload is granted, and importer never calls it",
        ),
        (
            drop("ImporterRole", "KeepJobs"),
            differences_to_the_code,
            "ImporterRole: importer calls dynamodb:UpdateItem without a grant",
        ),
        (
            drop("NotifierRole", "PublishDigests"),
            differences_to_the_code,
            "NotifierRole: notifier calls sns:Publish without a grant",
        ),
        (drop("DashboardUserRole", "ReadOwnJobs"), differences_to_the_list, "DashboardUserRole: dynamodb:Query on"),
        (change("ImporterRole", "ManagedPolicyArns", ["arn:aws:iam::aws:policy/X"]), policies_of_others, "managed"),
        (
            add_resource("More", {"Type": "AWS::IAM::Policy", "Properties": {}}),
            policies_of_others,
            "More: AWS::IAM::Policy",
        ),
        (change("UploadBucket", "BucketEncryption", None), unsafe, "UploadBucket: 'BucketEncryption'"),
        (change("ImportsQueue", "SqsManagedSseEnabled", False), unsafe, "ImportsQueue: not encrypted"),
        (change("InventoryAlerts", "KmsMasterKeyId", None), unsafe, "InventoryAlerts: not encrypted"),
        (change("ImporterLogs", "RetentionInDays", None), unsafe, "ImporterLogs: 'RetentionInDays'"),
        (
            add_resource("More", {"Type": "AWS::Kinesis::Stream", "Properties": {}}),
            unsafe,
            "More: nobody has said whether AWS::Kinesis::Stream keeps data",
        ),
        (plain_http, without_tls, "UploadBucket takes requests without TLS"),
    ],
)
def test_a_planted_fault_is_found(plant, finds, says, plain):
    plant(plain)
    assert [problem for problem in finds(plain) if says in problem] != []


def test_a_new_call_is_found(plain):
    texts = [*calls.sources("importer"), ("new.rs", "fn new() { s3.abort_multipart_upload().bucket(b).send() }")]
    assert list(differences_to_the_code(plain, {"importer": texts})) == [
        "ImporterRole: importer calls s3:AbortMultipartUpload without a grant",
        "ImportLargeStepsRole: importer calls s3:AbortMultipartUpload without a grant",
    ]


def test_a_call_nobody_has_thought_of_is_found(plain):
    texts = [*calls.sources("importer"), ("new.rs", "fn new() { client.delete_table().table_name(t).send() }")]
    with pytest.raises(KeyError, match="dynamodb.DeleteTable"):
        list(differences_to_the_code(plain, {"importer": texts}))
