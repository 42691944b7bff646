"""What the template promises, checked on the plain CloudFormation that SAM makes of it."""

import itertools
import json
import re

import pytest

from template import NO_VALUE, ROOT, TEMPLATE, branches, branches_of_all, of_type, properties, references, statements

FUNCTIONS = {"ProcessInventoryFile": "importer", "ImportLargeSteps": "importer", "NotifyInventoryUpdate": "notifier"}


def default(sam, parameter):
    return sam["Parameters"][parameter]["Default"]


def version_of(plain, function):
    (version,) = [
        v["Properties"]
        for v in of_type(plain, "AWS::Lambda::Version").values()
        if v["Properties"]["FunctionName"] == {"Ref": function}
    ]
    return version


# Names and parameters ----------------------------------------------------------------------------------------------


def test_names_are_the_labs(sam, plain):
    assert default(sam, "TableName") == "InventoryTable"
    assert default(sam, "TopicName") == "inventory-alerts"
    assert default(sam, "ImporterName") == "ProcessInventoryFile"
    assert default(sam, "NotifierName") == "NotifyInventoryUpdate"
    assert default(sam, "StepsName") == "ImportLargeSteps"
    assert properties(plain, "UploadBucket")["BucketName"] == {"Fn::Sub": "inventory-upload-${Suffix}"}
    assert properties(plain, "InventoryTable")["TableName"] == {"Ref": "TableName"}
    assert properties(plain, "InventoryAlerts")["TopicName"] == {"Ref": "TopicName"}
    for function, log, name in [
        ("ProcessInventoryFile", "ImporterLogs", "ImporterName"),
        ("ImportLargeSteps", "ImportLargeStepsLogs", "StepsName"),
        ("NotifyInventoryUpdate", "NotifierLogs", "NotifierName"),
    ]:
        assert properties(plain, function)["FunctionName"] == {"Ref": name}
        assert properties(plain, log)["LogGroupName"] == {"Fn::Sub": f"/aws/lambda/${{{name}}}"}


def test_only_the_suffix_has_to_be_filled_in(sam):
    assert [name for name, p in sam["Parameters"].items() if "Default" not in p] == ["Suffix"]


def test_every_parameter_is_used_described_bounded_and_in_a_group(sam):
    parameters = sam["Parameters"]
    used = set(references({key: value for key, value in sam.items() if key != "Parameters"}))
    conditions = set(references([sam["Conditions"], sam["Rules"]]))
    grouped = [
        name for group in sam["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"] for name in group["Parameters"]
    ]
    assert sorted(grouped) == sorted(parameters)
    for name, parameter in parameters.items():
        assert name in used | conditions, name
        assert parameter["Description"].endswith("."), name
        assert {"AllowedPattern", "AllowedValues", "MinValue"} & set(parameter), f"{name} takes anything"
        if "AllowedPattern" in parameter:
            assert parameter["ConstraintDescription"], name
        if "Default" in parameter and "AllowedPattern" in parameter:
            assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"]), name
        if "Default" in parameter and "AllowedValues" in parameter:
            assert parameter["Default"] in parameter["AllowedValues"], name


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
        ("DashboardUrl", "", True),
        ("DashboardUrl", "https://inventory.example.com/", True),
        ("DashboardUrl", "http://localhost:5173/", True),
        ("DashboardUrl", "http://localhost:5173", True),
        ("DashboardUrl", "http://inventory.example.com/", False),
        ("ExistingTableStreamLabel", "", True),
        ("ExistingTableStreamLabel", "2026-11-23T09:30:00.123", True),
        ("ExistingTableStreamLabel", "arn:aws:dynamodb:eu-central-1:1:table/T/stream/2026", False),
        ("MaxRejects", "", True),
        ("MaxRejects", "1000", True),
        ("MaxRejects", "5%", True),
        ("MaxRejects", "100%", True),
        ("MaxRejects", "101%", False),
        ("MaxRejects", "five", False),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
        ("KmsKeyArn", "alias/mine", False),
        ("AccessLogBucket", "my-logs", True),
        ("AccessLogBucket", "s3://my-logs", False),
    ],
)
def test_parameter_patterns(sam, parameter, value, accepted):
    pattern = sam["Parameters"][parameter]["AllowedPattern"]
    # CloudFormation matches the whole value.
    assert bool(re.fullmatch(pattern, value)) is accepted


def test_a_stream_needs_its_table(sam):
    (rule,) = sam["Rules"].values()
    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ExistingTableStreamLabel"}, ""]}]}
    (assertion,) = rule["Assertions"]
    assert assertion["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ExistingTableName"}, ""]}]}


# Upload ------------------------------------------------------------------------------------------------------------


def test_uploads_reach_the_queue(plain):
    bucket = properties(plain, "UploadBucket")
    (notification,) = bucket["NotificationConfiguration"]["QueueConfigurations"]
    assert notification["Event"] == "s3:ObjectCreated:*"
    assert notification["Queue"] == {"Fn::GetAtt": ["ImportsQueue", "Arn"]}
    assert notification["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "uploads/"}]
    assert plain["Resources"]["UploadBucket"]["DependsOn"] == "ImportsQueuePolicy"
    (allow,) = [s for name, s in statements(plain) if name == "ImportsQueuePolicy" and s["Effect"] == "Allow"]
    # The policy spells the bucket out, so it has to be the bucket's name.
    source = allow["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(":s3:::" + bucket["BucketName"]["Fn::Sub"])
    assert allow["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_files_end_some_day(plain):
    rules = {rule["Id"]: rule for rule in properties(plain, "UploadBucket")["LifecycleConfiguration"]["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    ends = {rule["Prefix"]: rule["ExpirationInDays"]["Ref"] for rule in rules.values() if "Prefix" in rule}
    assert ends == {
        "uploads/": "UploadRetentionDays",
        "reports/": "ReportRetentionDays",
        "aws/lambda/": "ReportRetentionDays",
        "undelivered/": "ReportRetentionDays",
    }
    assert rules["abort-incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_the_browser_may_upload_in_parts_from_the_dashboard_only(plain):
    (rule,) = properties(plain, "UploadBucket")["CorsConfiguration"]["CorsRules"]
    assert "*" not in rule["AllowedOrigins"]
    assert rule["AllowedOrigins"][0] == {"Fn::Sub": "https://${Dashboard.DomainName}"}
    assert {"PUT", "POST", "DELETE"} <= set(rule["AllowedMethods"])
    assert "ETag" in rule["ExposedHeaders"]


def test_failed_imports_are_kept(plain):
    imports, dead = properties(plain, "ImportsQueue"), properties(plain, "ImportsDeadLetterQueue")
    assert imports["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["ImportsDeadLetterQueue", "Arn"]}
    assert imports["RedrivePolicy"]["maxReceiveCount"] == 10
    (source,) = dead["RedriveAllowPolicy"]["sourceQueueArns"]
    assert source["Fn::Sub"].endswith(":" + imports["QueueName"]["Fn::Sub"])
    # Lambda refuses a queue that hands a message out again while the function may still work on it; so does the lease,
    # which ends with the invocation.
    assert imports["VisibilityTimeout"] > properties(plain, "ProcessInventoryFile")["Timeout"]


# Functions ---------------------------------------------------------------------------------------------------------


def test_functions(sam, plain):
    for name, crate in FUNCTIONS.items():
        function = properties(plain, name)
        assert function["Runtime"] == "provided.al2023", name
        assert function["Architectures"] == [{"Ref": "Architecture"}], name
        assert function["TracingConfig"] == {"Mode": "Active"}, name
        logging = function["LoggingConfig"]
        assert (logging["LogFormat"], logging["ApplicationLogLevel"]) == ("JSON", {"Ref": "LogLevel"}), name
        build = sam["Resources"][name]["Metadata"]
        assert (build["BuildMethod"], build["BuildProperties"]["Binary"]) == ("rust-cargolambda", crate)
        assert (ROOT / crate / "Cargo.toml").exists()
    assert set(of_type(plain, "AWS::Lambda::Function")) == set(FUNCTIONS)
    assert (TEMPLATE.parent / sam["Globals"]["Function"]["CodeUri"]).resolve() == ROOT
    assert properties(plain, "ProcessInventoryFile")["Timeout"] == 900
    # Only the importer sends itself messages.
    assert properties(plain, "ProcessInventoryFile")["RecursiveLoop"] == "Allow"
    assert "RecursiveLoop" not in properties(plain, "NotifyInventoryUpdate")
    assert "RecursiveLoop" not in properties(plain, "ImportLargeSteps")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_read_the_variables_they_are_given(sam, function):
    sources = (ROOT / FUNCTIONS[function] / "src").rglob("*.rs")
    code = "".join(path.read_text() for path in sources)
    for variable in sam["Resources"][function]["Properties"]["Environment"]["Variables"]:
        assert f'"{variable}"' in code, f"{FUNCTIONS[function]} does not read {variable}"


def test_the_importer_knows_its_resources(plain):
    variables = properties(plain, "ProcessInventoryFile")["Environment"]["Variables"]
    assert branches(variables["INTAKE_TABLE"]) == [{"Ref": "InventoryTable"}, {"Ref": "ExistingTableName"}]
    assert variables["INTAKE_JOBS_TABLE"] == {"Ref": "ImportJobs"}
    assert variables["INTAKE_QUEUE_URL"] == {"Ref": "ImportsQueue"}
    assert variables["INTAKE_TOPIC_ARN"] == {"Ref": "InventoryAlerts"}
    assert variables["INTAKE_LARGE_STATE_MACHINE_ARN"] == {"Ref": "ImportLarge"}
    assert variables["INTAKE_LARGE_BYTES"] == {"Ref": "LargeBytes"}


def test_the_steps_are_set_up_as_the_importer_is(plain):
    steps, importer = properties(plain, "ImportLargeSteps"), properties(plain, "ProcessInventoryFile")
    assert (steps["Timeout"], steps["MemorySize"]) == (900, importer["MemorySize"])
    variables, others = steps["Environment"]["Variables"], importer["Environment"]["Variables"]
    # The state machine goes on, not a message; and it does not start itself.
    own = {"INTAKE_QUEUE_URL", "INTAKE_LARGE_STATE_MACHINE_ARN", "INTAKE_LARGE_BYTES"}
    assert variables == {k: v for k, v in others.items() if k not in own} | {"INTAKE_RANGE_BYTES": {"Ref": "RangeBytes"}}


def test_imports_are_taken_from_the_queue(plain):
    mapping = properties(plain, "ProcessInventoryFileImports")
    assert mapping["EventSourceArn"] == {"Fn::GetAtt": ["ImportsQueue", "Arn"]}
    assert mapping["FunctionName"] == {"Ref": "ProcessInventoryFileAliaslive"}
    assert mapping["BatchSize"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": {"Ref": "MaxConcurrentImports"}}


def test_changes_are_told_in_windows(plain):
    assert plain["Resources"]["TableChanges"]["Condition"] == "HasStream"
    mapping = properties(plain, "TableChanges")
    assert mapping["FunctionName"] == {"Ref": "NotifyInventoryUpdateAliaslive"}
    assert mapping["EventSourceArn"]["Fn::If"][1] == {"Fn::GetAtt": ["InventoryTable", "StreamArn"]}
    assert mapping["StartingPosition"] == "TRIM_HORIZON"
    assert mapping["TumblingWindowInSeconds"] == {"Ref": "NotifyWindowSeconds"}
    assert mapping["ParallelizationFactor"] == 1
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["BisectBatchOnFunctionError"] is True
    assert mapping["MaximumRetryAttempts"] > 0
    # Given up well before the stream forgets, and kept whole.
    assert mapping["MaximumRecordAgeInSeconds"] <= 12 * 3600
    assert mapping["DestinationConfig"] == {"OnFailure": {"Destination": {"Fn::GetAtt": ["UploadBucket", "Arn"]}}}


@pytest.mark.parametrize(
    ("names", "pattern"),
    [("INSERT", {"eventName": ["INSERT"]}), ("INSERT,MODIFY,REMOVE", {"eventName": ["INSERT", "MODIFY", "REMOVE"]})],
)
def test_the_filter_is_made_of_the_event_names(plain, names, pattern):
    (entry,) = properties(plain, "TableChanges")["FilterCriteria"]["Filters"]
    text, values = entry["Pattern"]["Fn::Sub"]
    joiner, split = values["Names"]["Fn::Join"]
    assert split == {"Fn::Split": [",", {"Ref": "EventNames"}]}
    assert json.loads(text.replace("${Names}", joiner.join(names.split(",")))) == pattern


# Upgrades ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_changed_parameter_makes_a_version(plain, function):
    """SAM's own hash does not see parameters, so the alias would stay with the old ones."""
    configuration = {
        key: value
        for key, value in properties(plain, function).items()
        # Another name is another function, another processor another build, and a role is no configuration.
        if key not in ("FunctionName", "Architectures", "Role", "LoggingConfig")
    }
    level = properties(plain, function)["LoggingConfig"]["ApplicationLogLevel"]
    named = set(references([configuration, level]))
    # What a resource is called changes with the parameter that names it.
    names = [
        properties(plain, resource).get(key)
        for resource in named & set(plain["Resources"])
        for key in ("TableName", "TopicName")
    ]
    parameters = (named | set(references(names))) & set(plain["Parameters"])
    assert parameters >= {"LogLevel", "TopicName"}
    version = version_of(plain, function)
    assert parameters <= set(references(version["Description"]))
    version = [v for v in of_type(plain, "AWS::Lambda::Version").values() if v["Properties"] == version][0]
    # The version before is what a rollback goes back to.
    assert (version["DeletionPolicy"], version["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_a_versions_description_fits(sam, plain):
    longest = {"MaxWcu": 10, "ImporterMemoryMb": 5, "MaxRejects": 12, "Architecture": 6, "LogLevel": 5, "EventNames": 20, "MessagesPerMinute": 3, "LargeBytes": 14, "RangeBytes": 11}
    for function in FUNCTIONS:
        description = version_of(plain, function)["Description"]["Fn::Sub"]
        if isinstance(description, list):
            description = description[0].replace("${Table}", "${ExistingTableName}")
        for name in set(references({"Fn::Sub": description})):
            pattern = sam["Parameters"][name].get("AllowedPattern", "")
            limits = [int(limit) for limit in re.findall(r"\{\d+,(\d+)\}", pattern)]
            length = longest[name] if name in longest else limits[0]
            description = description.replace(f"${{{name}}}", "x" * length)
        # https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
        assert len(description) <= 256, function


@pytest.mark.parametrize(
    ("function", "alarm"),
    [("ProcessInventoryFile", "ImporterErrorsAlarm"), ("NotifyInventoryUpdate", "NotifierErrorsAlarm")],
)
def test_upgrades_are_gradual_and_stop_at_errors(plain, function, alarm):
    alias = plain["Resources"][f"{function}Aliaslive"]
    group = alias["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]["DeploymentGroupName"]["Ref"]
    group = properties(plain, group)
    assert group["DeploymentConfigName"] == {
        "Fn::Sub": ["CodeDeployDefault.Lambda${ConfigName}", {"ConfigName": "Canary10Percent5Minutes"}]
    }
    assert group["AlarmConfiguration"] == {"Enabled": True, "Alarms": [{"Name": {"Ref": alarm}}]}
    assert "DEPLOYMENT_FAILURE" in group["AutoRollbackConfiguration"]["Events"]
    assert group["ServiceRoleArn"] == {"Fn::GetAtt": ["RolloutRole", "Arn"]}


# Tables ------------------------------------------------------------------------------------------------------------


def test_table(plain):
    assert plain["Resources"]["InventoryTable"]["Condition"] == "CreateTable"
    table = properties(plain, "InventoryTable")
    assert table["BillingMode"] == {"Fn::If": ["IsProvisioned", "PROVISIONED", "PAY_PER_REQUEST"]}
    assert table["KeySchema"] == [{"AttributeName": "productId", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "productId", "AttributeType": "S"}]
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsProtected", True, False]}
    warm = table["WarmThroughput"]["Fn::If"]
    assert warm[0] == "IsWarm" and warm[2] == NO_VALUE


def test_provisioned_capacity_follows_use(plain):
    targets = of_type(plain, "AWS::ApplicationAutoScaling::ScalableTarget")
    policies = of_type(plain, "AWS::ApplicationAutoScaling::ScalingPolicy")
    assert {r["Condition"] for r in [*targets.values(), *policies.values()]} == {"IsProvisioned"}
    dimensions = {t["Properties"]["ScalableDimension"] for t in targets.values()}
    assert dimensions == {"dynamodb:table:WriteCapacityUnits", "dynamodb:table:ReadCapacityUnits"}
    assert {p["Properties"]["ScalingTargetId"]["Ref"] for p in policies.values()} == set(targets)


def test_jobs(plain):
    jobs = properties(plain, "ImportJobs")
    assert [(k["AttributeName"], k["KeyType"]) for k in jobs["KeySchema"]] == [("owner", "HASH"), ("job", "RANGE")]
    assert jobs["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert jobs["BillingMode"] == "PAY_PER_REQUEST"


def test_nothing_of_the_created_table_is_used_with_an_existing_one(plain):
    """A reference to a resource whose condition does not hold stops a deployment."""

    def unguarded(value, guards):
        if isinstance(value, dict):
            if "Fn::If" in value:
                condition, yes, no = value["Fn::If"]
                yield from unguarded(yes, guards | {condition})
                yield from unguarded(no, guards)
                return
            if isinstance(value.get("Fn::Sub"), list):
                text, values = value["Fn::Sub"]
                value = {"Fn::Sub": text, "values": values}
            own = {key: inner for key, inner in value.items() if key in ("Ref", "Fn::GetAtt", "Fn::Sub")}
            if "InventoryTable" in set(references(own)) and not guards & {"CreateTable", "IsProvisioned"}:
                yield value
            value = list(value.values())
        if isinstance(value, list):
            yield from itertools.chain.from_iterable(unguarded(inner, guards) for inner in value)

    for name, resource in plain["Resources"].items():
        assert list(unguarded(resource.get("Properties", {}), {resource.get("Condition")})) == [], name
    assert list(unguarded(plain["Outputs"], set())) == []


def test_data_outlives_the_stack(plain):
    for name in ("UploadBucket", "InventoryTable", "Users"):
        resource = plain["Resources"][name]
        assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
        assert resource["UpdateReplacePolicy"] == "Retain", name
    # What is protected comes after what may fail for a name that is taken: it would block the rollback.
    assert plain["Resources"]["InventoryTable"]["DependsOn"] == ["UploadBucket", "SignInDomain"]
    assert plain["Resources"]["Users"]["DependsOn"] == "UploadBucket"


# Notifications, sign-in, dashboard ---------------------------------------------------------------------------------


def test_nobody_but_the_functions_publishes(plain):
    roles = [{"Fn::GetAtt": [role, "Arn"]} for role in ("ImporterRole", "ImportLargeStepsRole", "NotifierRole")]
    by_sid = {s["Sid"]: s for name, s in statements(plain) if name == "InventoryAlertsPolicy"}
    deny = by_sid["NobodyElsePublishes"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
    assert deny["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": roles}}
    assert by_sid["TheFunctionsPublish"]["Principal"] == {"AWS": roles}


@pytest.mark.parametrize(
    ("subscription", "parameter", "topic"),
    [
        ("AlertEmailSubscription", "AlertEmail", "InventoryAlerts"),
        ("OperationsEmailSubscription", "OperationsEmail", "Operations"),
    ],
)
def test_email_is_subscribed_only_when_given(plain, subscription, parameter, topic):
    resource = plain["Resources"][subscription]
    assert resource["Properties"] == {"TopicArn": {"Ref": topic}, "Protocol": "email", "Endpoint": {"Ref": parameter}}
    assert plain["Conditions"][resource["Condition"]] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}


def test_sign_in(plain):
    pool = properties(plain, "Users")
    assert pool["UsernameAttributes"] == ["email"]
    assert pool["MfaConfiguration"] == "OPTIONAL"
    assert pool["EnabledMfas"] == ["SOFTWARE_TOKEN_MFA"]
    assert pool["DeletionProtection"] == {"Fn::If": ["IsProtected", "ACTIVE", "INACTIVE"]}
    assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": {"Fn::If": ["IsClosed", True, False]}}
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    client = properties(plain, "DashboardClient")
    assert client["GenerateSecret"] is False
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert properties(plain, "SignInDomain")["UserPoolId"] == {"Ref": "Users"}
    for urls in (client["CallbackURLs"], client["LogoutURLs"]):
        assert branches_of_all(urls) == [{"Fn::Sub": "https://${Dashboard.DomainName}/"}, {"Ref": "DashboardUrl"}]


def test_nobody_is_open_to_strangers_by_default(sam):
    assert default(sam, "SelfSignUp") == "false"
    assert default(sam, "DashboardUrl") == ""
    assert default(sam, "DeletionProtection") == "true"


def test_identities(plain):
    pool = properties(plain, "Identities")
    assert pool["AllowUnauthenticatedIdentities"] is False
    assert pool["AllowClassicFlow"] is False
    (provider,) = pool["CognitoIdentityProviders"]
    assert provider["ServerSideTokenCheck"] is True
    roles = properties(plain, "IdentityRoles")["Roles"]
    assert roles == {"authenticated": {"Fn::GetAtt": ["DashboardUserRole", "Arn"]}}


def test_dashboard_is_served_by_cloudfront_only(plain):
    distribution = properties(plain, "Dashboard")["DistributionConfig"]
    (origin,) = distribution["Origins"]
    assert origin["OriginAccessControlId"] == {"Fn::GetAtt": ["DashboardAccess", "Id"]}
    behavior = distribution["DefaultCacheBehavior"]
    assert behavior["ViewerProtocolPolicy"] == "redirect-to-https"
    assert behavior["ResponseHeadersPolicyId"] == {"Ref": "DashboardHeaders"}
    (allow,) = [s for name, s in statements(plain) if name == "DashboardBucketPolicy" and s["Effect"] == "Allow"]
    source = allow["Condition"]["StringEquals"]["aws:SourceArn"]["Fn::Sub"]
    assert source.endswith(":distribution/${Dashboard}")


def test_security_headers(plain):
    config = properties(plain, "DashboardHeaders")["ResponseHeadersPolicyConfig"]
    headers = config["SecurityHeadersConfig"]
    assert headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 365 * 24 * 3600
    assert headers["FrameOptions"]["FrameOption"] == "DENY"
    assert headers["ContentTypeOptions"]["Override"] is True
    joiner, directives = headers["ContentSecurityPolicy"]["ContentSecurityPolicy"]["Fn::Join"]
    assert joiner == "; "
    written = {d.split(" ")[0]: d.split(" ")[1:] for d in directives if isinstance(d, str)}
    assert written["default-src"] == ["'none'"]
    for directive in ("script-src", "style-src", "img-src", "font-src"):
        assert written[directive] == ["'self'"], directive
    assert written["frame-ancestors"] == ["'none'"]
    assert written["base-uri"] == ["'none'"]
    (connect,) = [d["Fn::Join"][1] for d in directives if isinstance(d, dict)]
    assert connect[0] == "connect-src 'self'"
    for source in connect[1:]:
        # No wildcard host, and only AWS' own.
        assert re.fullmatch(r"https://[^*/ ]+\.(\$\{AWS::URLSuffix\}|amazoncognito\.com)", source["Fn::Sub"]), source


# Operation ---------------------------------------------------------------------------------------------------------


def test_alarms_reach_the_operations_topic(plain):
    alarms = of_type(plain, "AWS::CloudWatch::Alarm")
    for name, alarm in alarms.items():
        alarm = alarm["Properties"]
        assert alarm["AlarmActions"] == [{"Ref": "Operations"}], name
        assert alarm["TreatMissingData"] == "notBreaching", name
        assert alarm["AlarmDescription"].endswith("."), name
        # The topic's policy takes alarms of this stack, which it knows by their names.
        assert alarm["AlarmName"]["Fn::Sub"].startswith("${AWS::StackName}-"), name
    metrics = {a["Properties"].get("MetricName") for a in alarms.values()}
    assert metrics >= {
        "ApproximateNumberOfMessagesVisible",
        "jobs_failed",
        "rows_rejected",
        "Throttles",
        "IteratorAge",
        "Errors",
        "Duration",
        "publish_failures",
    }
    large = [a["Properties"] for a in alarms.values() if a["Properties"].get("Namespace") == "AWS/States"]
    assert {a["MetricName"] for a in large} == {"ExecutionsFailed", "ExecutionsTimedOut"}
    assert all(a["Dimensions"] == [{"Name": "StateMachineArn", "Value": {"Ref": "ImportLarge"}}] for a in large)
    near_timeout = properties(plain, "ImporterDurationAlarm")["Threshold"]
    assert near_timeout < properties(plain, "ProcessInventoryFile")["Timeout"] * 1000


def test_the_overview_shows_every_alarm(plain):
    text, _ = properties(plain, "Overview")["DashboardBody"]["Fn::Sub"]
    shown = set(re.findall(r"\$\{(\w+)\.Arn\}", text))
    assert shown == set(of_type(plain, "AWS::CloudWatch::Alarm"))
    widgets = json.loads(re.sub(r"\$\{[^}]*\}", "x", text))["widgets"]
    places = [(w["x"], w["y"]) for w in widgets]
    assert len(set(places)) == len(places)
