use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use aws_sdk_s3::types::{
    Event, FilterRule, FilterRuleName, NotificationConfiguration, NotificationConfigurationFilter,
    QueueConfiguration, S3KeyFilter,
};
use intake::aws::Clients;
use local::{Endpoints, Fault, FaultPlan, LambdaProgram, Stack, StackOptions};
use serde_json::{Value, json};

use crate::support::{Ended, Fixture, LIMIT, sample, wait};

/// One change by which something breaks. `{queue}`, `{dlq}`, `{topic}`, `{subscription}`, `{imports}` and `{changes}`
/// stand for the URLs, ARNs and mappings of the stack.
#[derive(Clone, Copy)]
enum Plant {
    /// An action of SQS and its JSON.
    Sqs(&'static str, &'static str),
    /// An action of DynamoDB and its JSON.
    Dynamo(&'static str, &'static str),
    /// Parameters of a call of SNS.
    Sns(&'static str),
    /// Parameters of a call of IAM.
    Iam(&'static str),
    /// Method, path and body of a call of Lambda.
    Lambda(&'static str, &'static str, &'static str),
    /// The bucket's only notification: queue, event, prefix, suffix.
    Trigger(&'static str, &'static str, &'static str, &'static str),
    /// No notification at all.
    NoTrigger,
    /// A file beside the command.
    File(&'static str, &'static str),
}

use Plant::{Dynamo, File, Iam, Lambda, NoTrigger, Sns, Sqs, Trigger};

const IMPORTER: &str = "/2015-03-31/functions/ProcessInventoryFile";
const IMPORTER_SETTINGS: &str = "/2015-03-31/functions/ProcessInventoryFile/configuration";
const NOTIFIER_SETTINGS: &str = "/2015-03-31/functions/NotifyInventoryUpdate/configuration";
const IMPORTER_CONCURRENCY: &str = "/2017-10-31/functions/ProcessInventoryFile/concurrency";
const NOTIFIER_CONCURRENCY: &str = "/2017-10-31/functions/NotifyInventoryUpdate/concurrency";
const RECURSION: &str = "/2024-08-31/functions/ProcessInventoryFile/recursion-config";
const IMPORTS: &str = "/2015-03-31/event-source-mappings/{imports}";
const CHANGES: &str = "/2015-03-31/event-source-mappings/{changes}";
const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:intake-imports";
const CREATED: &str = "s3:ObjectCreated:*";
const STREAM_OFF: Plant = Dynamo(
    "UpdateTable",
    r#"{"TableName":"InventoryTable","StreamSpecification":{"StreamEnabled":false}}"#,
);

/// What is planted, what the doctor is called with, which finding there is to be, and words of it.
type Case = (
    &'static [Plant],
    &'static [&'static str],
    &'static str,
    &'static str,
);

/// Every way in which a deployment is known to break, each alone.
#[rustfmt::skip]
const CASES: &[Case] = &[
    // Bug 1: Lambda not triggered by S3.
    (&[], &["--bucket", "inventory-upload-nobody"], "bucket-missing", "does not exist"),
    (&[NoTrigger], &[], "trigger-missing", "the S3 trigger is not attached"),
    (&[Trigger(QUEUE, CREATED, "upload/", "")], &[], "trigger-prefix", "for the prefix upload/"),
    (&[], &["--prefix", "inventory/"], "trigger-prefix importer-permission", "files under inventory/ are not imported"),
    (&[Trigger(QUEUE, CREATED, "uploads/", ".json")], &[], "trigger-suffix", "end in .json only"),
    (&[Trigger(QUEUE, "s3:ObjectRemoved:*", "uploads/", "")], &[], "trigger-events", "wrong event type"),
    (&[Trigger(QUEUE, "s3:ObjectCreated:Put", "uploads/", "")], &[], "trigger-events", "CompleteMultipartUpload"),
    (&[Trigger("arn:aws:sqs:us-east-1:000000000000:other", CREATED, "uploads/", "")], &[], "trigger-target", "tells arn:aws:sqs:us-east-1:000000000000:other"),
    (&[Sqs("DeleteQueue", r#"{"QueueUrl":"{queue}"}"#)], &[], "queue-missing", "queue intake-imports"),
    (&[Sqs("SetQueueAttributes", r#"{"QueueUrl":"{queue}","Attributes":{"Policy":""}}"#)], &[], "queue-policy", "does not let bucket inventory-upload-local send"),
    (&[Lambda("DELETE", IMPORTS, "")], &[], "importer-mapping-missing", "create-event-source-mapping --function-name ProcessInventoryFile --event-source-arn arn:aws:sqs"),
    (&[Lambda("PUT", IMPORTS, r#"{"Enabled":false}"#)], &[], "importer-mapping-disabled", "is disabled"),
    (&[Lambda("PUT", IMPORTS, r#"{"FilterCriteria":{"Filters":[{"Pattern":"{}"}]}}"#)], &[], "importer-mapping-filter", "a filter on the mapping"),
    (&[Lambda("PUT", IMPORTS, r#"{"FunctionResponseTypes":[]}"#)], &[], "importer-mapping-failures", "ReportBatchItemFailures"),
    (&[Lambda("DELETE", IMPORTER, "")], &[], "importer-missing", "function ProcessInventoryFile, the importer, does not exist"),
    (&[Lambda("PUT", IMPORTER_CONCURRENCY, r#"{"ReservedConcurrentExecutions":0}"#)], &[], "importer-concurrency", "aws lambda delete-function-concurrency"),
    // Bug 2: AccessDenied.
    (&[Iam("Action=PutRolePolicy&RoleName=intake-importer&PolicyName=no&PolicyDocument={\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"dynamodb:*\",\"Resource\":\"*\"}}")], &[], "importer-permission", "may not dynamodb:DescribeTable on arn:aws:dynamodb"),
    (&[Iam("Action=DeleteRolePolicy&RoleName=intake-importer&PolicyName=own")], &[], "importer-permission importer-publish-permission", "\"Resource\":\"arn:aws:s3:::inventory-upload-local/uploads/*\""),
    (&[Iam("Action=PutRolePolicy&RoleName=intake-notifier&PolicyName=no&PolicyDocument={\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"dynamodb:GetRecords\",\"Resource\":\"*\"}}")], &[], "notifier-permission", "a policy forbids it"),
    // Bug 3: DynamoDB table empty.
    (&[Dynamo("DeleteTable", r#"{"TableName":"InventoryTable"}"#)], &[], "table-missing", "table InventoryTable does not exist"),
    (&[], &["--table", "Products"], "importer-table table-missing", "writes to table InventoryTable and not to Products"),
    (&[File("f.json", r#"[{"ProductID":"P1"}]"#)], &["--file", "f.json"], "file-key", "productId (String)"),
    (&[File("f.jsonl", r#"{"productId":7}"#)], &["--file", "f.jsonl"], "file-key", "f.jsonl does not match the key of table InventoryTable"),
    (&[File("f.jsonl", "{\"productId\":\"P1\"}\n{\"productId\":\"P2\",\"\":1}")], &["--file", "f.jsonl"], "file-row", "intake validate f.jsonl"),
    (&[Dynamo("DeleteTable", r#"{"TableName":"ImportJobs"}"#)], &[], "jobs-table-missing", "the table of jobs ImportJobs does not exist"),
    (&[Dynamo("UpdateTimeToLive", r#"{"TableName":"ImportJobs","TimeToLiveSpecification":{"AttributeName":"expires_at","Enabled":false}}"#)], &[], "jobs-table-ttl", "aws dynamodb update-time-to-live"),
    (&[], &["--jobs-table", "InventoryTable"], "jobs-table-key jobs-table-ttl importer-permission", "is no table of jobs"),
    // Bug 4: Lambda timeout.
    (&[Lambda("PUT", IMPORTER_SETTINGS, r#"{"Timeout":3}"#)], &[], "importer-timeout", "too low: 3 s"),
    (&[Lambda("PUT", NOTIFIER_SETTINGS, r#"{"Timeout":3}"#)], &[], "notifier-timeout", "--timeout 30"),
    (&[Sqs("SetQueueAttributes", r#"{"QueueUrl":"{queue}","Attributes":{"VisibilityTimeout":"30"}}"#)], &[], "queue-visibility-timeout", r#"{"VisibilityTimeout":"960"}"#),
    (&[Lambda("PUT", RECURSION, r#"{"RecursiveLoop":"Terminate"}"#)], &[], "importer-recursion", "16 times"),
    (&[Lambda("PUT", IMPORTER_SETTINGS, r#"{"Environment":{"Variables":{"INTAKE_TOPIC_ARN":"{topic}"}}}"#)], &[], "importer-queue-variable", "INTAKE_QUEUE_URL of the importer is not set"),
    (&[Lambda("PUT", IMPORTER_SETTINGS, r#"{"Environment":{"Variables":{"INTAKE_TOPIC_ARN":"{topic}","INTAKE_QUEUE_URL":"{queue}","INTAKE_MAX_WCU":"lots"}}}"#)], &[], "importer-variable", "INTAKE_MAX_WCU"),
    (&[Lambda("PUT", IMPORTER_SETTINGS, r#"{"Environment":{"Variables":{"INTAKE_TOPIC_ARN":"{topic}","INTAKE_QUEUE_URL":"{queue}","INTAKE_LARGE_STATE_MACHINE_ARN":"arn:aws:states:eu-central-1:1:stateMachine:large"}}}"#)], &[], "importer-permission", "may not states:StartExecution on arn:aws:states:eu-central-1:1:stateMachine:large"),
    // Bug 5: SNS e-mail not received.
    (&[Sns("Action=DeleteTopic&TopicArn={topic}")], &[], "topic-missing", "the ARN is incorrect"),
    (&[Sns("Action=Subscribe&TopicArn={topic}&Protocol=email&Endpoint=me@example.com")], &[], "subscription-unconfirmed", "the email subscription of me@example.com"),
    (&[Lambda("PUT", NOTIFIER_SETTINGS, r#"{"Environment":{"Variables":{}}}"#)], &[], "notifier-variable", "INTAKE_TOPIC_ARN"),
    (&[Lambda("PUT", NOTIFIER_SETTINGS, r#"{"Environment":{"Variables":{"INTAKE_TOPIC_ARN":"{topic}s"}}}"#)], &[], "topic-missing notifier-publish-permission", "inventory-alertss does not exist"),
    // Bug 6: DynamoDB stream not triggering Lambda.
    (&[STREAM_OFF], &[], "stream-disabled", "StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"),
    (&[STREAM_OFF, Dynamo("UpdateTable", r#"{"TableName":"InventoryTable","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"KEYS_ONLY"}}"#)], &[], "stream-view-type notifier-mapping-stream", "the wrong view type KEYS_ONLY"),
    (&[STREAM_OFF, Dynamo("UpdateTable", r#"{"TableName":"InventoryTable","StreamSpecification":{"StreamEnabled":true,"StreamViewType":"NEW_AND_OLD_IMAGES"}}"#)], &[], "notifier-mapping-stream", "a stream that is enabled again is a new one"),
    (&[Lambda("DELETE", CHANGES, "")], &[], "notifier-mapping-missing", "its stream's event source mapping is missing"),
    (&[Lambda("PUT", CHANGES, r#"{"Enabled":false}"#)], &[], "notifier-mapping-disabled", "from InventoryTable to function NotifyInventoryUpdate"),
    (&[Lambda("PUT", CHANGES, r#"{"FilterCriteria":{"Filters":[{"Pattern":"{\"eventName\":[\"REMOVE\"]}"}]}}"#)], &[], "notifier-mapping-filter", "keeps back INSERT"),
    (&[Lambda("PUT", CHANGES, r#"{"FunctionResponseTypes":[]}"#)], &[], "notifier-mapping-failures", "taken for done and lost"),
    (&[Lambda("PUT", NOTIFIER_CONCURRENCY, r#"{"ReservedConcurrentExecutions":0}"#)], &[], "notifier-concurrency", "it never runs"),
    (&[], &["--notifier", "Nobody"], "notifier-missing notifier-mapping-missing", "function Nobody, the notifier, does not exist"),
    // Bug 7: invalid JSON.
    (&[File("f.json", "[{\"productId\":\"P1\"},\n")], &["--file", "f.json"], "file-broken", "the file ends inside a value"),
    // Bug 8: SNS publish permission.
    (&[Iam("Action=PutRolePolicy&RoleName=intake-notifier&PolicyName=no&PolicyDocument={\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"sns:*\",\"Resource\":\"*\"}}")], &[], "notifier-publish-permission", "may not sns:Publish on arn:aws:sns"),
    (&[Iam("Action=PutRolePolicy&RoleName=intake-importer&PolicyName=no&PolicyDocument={\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"sns:*\",\"Resource\":\"*\"}}")], &[], "importer-publish-permission", "intake-importer"),
    // The monitoring checklist: nothing is left over.
    (&[Sqs("SendMessage", r#"{"QueueUrl":"{dlq}","MessageBody":"m"}"#)], &[], "dead-letters", "1 messages about files are in the dead-letter queue intake-imports-dlq"),
    (&[Sqs("DeleteQueue", r#"{"QueueUrl":"{dlq}"}"#)], &[], "dead-letter-queue-missing", "intake-imports-dlq"),
    (&[Sqs("SetQueueAttributes", r#"{"QueueUrl":"{queue}","Attributes":{"RedrivePolicy":""}}"#)], &[], "queue-redrive", "has no dead-letter queue"),
    (&[Sqs("SetQueueAttributes", r#"{"QueueUrl":"{queue}","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:intake-imports-dlq\",\"maxReceiveCount\":1}"}}"#)], &[], "queue-receives", "after 1 receives"),
];

/// A stack with both functions, which nothing ever starts, and a command that finds it.
struct World {
    bench: Fixture,
    stack: Stack,
}

impl World {
    async fn new() -> Self {
        let bench = Fixture::new();
        let function = |name: &str| Some(LambdaProgram::new(name, env!("CARGO_BIN_EXE_intake")));
        let options = StackOptions {
            importer: function("ProcessInventoryFile"),
            notifier: function("NotifyInventoryUpdate"),
            ..StackOptions::default()
        };
        let stack = Stack::start(options).await.unwrap();
        bench.announce(&stack);
        Self { bench, stack }
    }

    async fn doctor(&self, args: &[&str]) -> Ended {
        let all = ["doctor", "--local"].iter().chain(args);
        self.bench.run(all).await
    }

    async fn plant(&self, plant: Plant) {
        let endpoints = self.stack.endpoints();
        let json = |target: String| {
            format!(
                "x-amz-target: {target}\r\ncontent-type: application/x-amz-json-1.0\r\n{AUTHORIZATION}"
            )
        };
        match plant {
            Sqs(action, body) => {
                let body = self.filled(body);
                let url = &endpoints.sqs;
                send("POST", url, &json(format!("AmazonSQS.{action}")), &body);
            }
            Dynamo(action, body) => {
                let body = self.filled(body);
                let url = &endpoints.dynamodb;
                send(
                    "POST",
                    url,
                    &json(format!("DynamoDB_20120810.{action}")),
                    &body,
                );
            }
            Sns(form) => drop(send("POST", &endpoints.sns, "", &self.filled(form))),
            Iam(form) => drop(send("POST", &endpoints.iam, "", &self.filled(form))),
            Lambda(method, path, body) => {
                let url = format!("{}{}", endpoints.lambda, self.filled(path));
                send(method, &url, "", &self.filled(body));
            }
            Trigger(queue, event, prefix, suffix) => {
                put_notification(endpoints, Some(notification(queue, event, prefix, suffix))).await;
            }
            NoTrigger => put_notification(endpoints, None).await,
            File(name, content) => drop(self.bench.file(name, content.as_bytes())),
        }
    }

    fn filled(&self, text: &str) -> String {
        let Endpoints {
            queue_url,
            dlq_url,
            topic_arn,
            ..
        } = self.stack.endpoints();
        text.replace("{queue}", queue_url)
            .replace("{dlq}", dlq_url)
            .replace("{topic}", topic_arn)
            .replace("{imports}", &self.mapping(":sqs:"))
            .replace("{changes}", &self.mapping(":dynamodb:"))
    }

    /// The mapping of such a source.
    fn mapping(&self, kind: &str) -> String {
        let url = format!(
            "{}/2015-03-31/event-source-mappings",
            self.stack.endpoints().lambda
        );
        let answer: Value = serde_json::from_str(&send("GET", &url, "", "")).unwrap();
        let mut mappings = answer["EventSourceMappings"].as_array().unwrap().iter();
        let mapping = mappings.find(|m| m["EventSourceArn"].as_str().unwrap().contains(kind));
        mapping.map_or_else(String::new, |m| m["UUID"].as_str().unwrap().to_owned())
    }
}

/// The local DynamoDB looks for a signature, and does not check it.
const AUTHORIZATION: &str = "x-amz-date: 20260101T000000Z\r\nauthorization: AWS4-HMAC-SHA256 \
    Credential=a/20260101/us-east-1/b/aws4_request, SignedHeaders=host, Signature=c\r\n";

/// One request that must succeed, and its answer's body.
fn send(method: &str, url: &str, headers: &str, body: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 2"),
        "{method} {url} {body}: {answer}"
    );
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

fn notification(queue: &str, event: &str, prefix: &str, suffix: &str) -> QueueConfiguration {
    let rules = [
        (FilterRuleName::Prefix, prefix),
        (FilterRuleName::Suffix, suffix),
    ];
    let rules = rules.into_iter().filter(|(_, value)| !value.is_empty());
    let rules = rules.map(|(name, value)| FilterRule::builder().name(name).value(value).build());
    let key = S3KeyFilter::builder()
        .set_filter_rules(Some(rules.collect()))
        .build();
    QueueConfiguration::builder()
        .queue_arn(queue)
        .events(Event::from(event))
        .filter(NotificationConfigurationFilter::builder().key(key).build())
        .build()
        .unwrap()
}

async fn put_notification(endpoints: &Endpoints, queue: Option<QueueConfiguration>) {
    let configuration = NotificationConfiguration::builder()
        .set_queue_configurations(queue.map(|queue| vec![queue]))
        .build();
    let put = Clients::for_local(endpoints)
        .s3
        .put_bucket_notification_configuration();
    let put = put
        .bucket(&endpoints.bucket)
        .notification_configuration(configuration);
    put.send().await.unwrap();
}

/// What was found, as JSON.
fn findings(ended: &Ended) -> Vec<Value> {
    let lines = ended.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Each planted fault is found by its name, in words that say what it is, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn each_planted_fault_is_found() {
    for (plants, args, ids, words) in CASES {
        let world = World::new().await;
        for plant in *plants {
            world.plant(*plant).await;
        }
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let ended = world.doctor(&args).await;
        let context = format!("{ids}:\n{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, 1, "{context}");
        let findings = findings(&ended);
        let mut found: Vec<&str> = findings.iter().map(|f| f["id"].as_str().unwrap()).collect();
        let mut expected: Vec<&str> = ids.split(' ').collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{context}");
        let first = findings
            .iter()
            .find(|f| f["id"] == ids.split(' ').next().unwrap())
            .unwrap();
        let reported = format!(
            "{} {}",
            first["problem"].as_str().unwrap(),
            first["fix"].as_str().unwrap()
        );
        assert!(reported.contains(words), "no {words:?} in {context}");
        assert!(
            findings
                .iter()
                .all(|f| f["fix"] != "" && f["level"] == "wrong"),
            "{context}"
        );
        world.stack.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_stack_is_nothing_wrong() {
    let world = World::new().await;
    let inventory = sample("inventory.json");
    for args in [
        &[][..],
        &["--file", inventory.to_str().unwrap()],
        &["--no-notifier"],
    ] {
        let ended = world.doctor(args).await.expect(0);
        assert!(
            ended
                .stdout
                .starts_with("nothing wrong: bucket inventory-upload-local, "),
            "{}",
            ended.stdout
        );
        assert_eq!(
            (ended.stdout.lines().count(), ended.stderr.as_str()),
            (1, ""),
            "{}",
            ended.stdout
        );
    }
    let ended = world.doctor(&["--json"]).await.expect(0);
    assert_eq!((ended.stdout, ended.stderr), (String::new(), String::new()));

    // The same by the environment, as on AWS: the bucket's name is the one in the queue's policy.
    let mut command = world.bench.command(["doctor"]);
    let ended = wait(command.envs(world.stack.endpoints().env()).spawn().unwrap())
        .await
        .expect(0);
    assert!(
        ended
            .stdout
            .starts_with("nothing wrong: bucket inventory-upload-local, "),
        "{}",
        ended.stdout
    );
    world.stack.shutdown().await;
}

/// People read what is wrong, its name and bug, and what to do, in this order.
#[tokio::test(flavor = "multi_thread")]
async fn findings_are_told_to_people() {
    let world = World::new().await;
    world
        .plant(Lambda("PUT", IMPORTER_SETTINGS, r#"{"Timeout":3}"#))
        .await;
    let reported = world.doctor(&[]).await.expect(1);
    let summary = reported.stdout.lines().last().unwrap();
    assert!(
        summary.starts_with("1 wrong: bucket "),
        "{}",
        reported.stdout
    );
    assert_eq!(
        reported
            .stdout
            .strip_suffix(&format!("\n{summary}\n"))
            .unwrap(),
        "wrong: the timeout of function ProcessInventoryFile, the importer, is too low: 3 s, and it needs 60 at least\n  \
         is:  importer-timeout; the lab's bug 4, Lambda timeout\n  \
         fix: aws lambda update-function-configuration --function-name ProcessInventoryFile --timeout 900\n"
    );
    world.stack.shutdown().await;
}

/// A note is told, and no reason to fail.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_meant_so_is_noted() {
    const UNLIMITED: Plant = Trigger(QUEUE, CREATED, "", "");
    let topic_unset = Lambda(
        "PUT",
        IMPORTER_SETTINGS,
        r#"{"Environment":{"Variables":{"INTAKE_QUEUE_URL":"{queue}"}}}"#,
    );
    let other_topic = [
        Sns("Action=CreateTopic&Name=quiet"),
        Lambda(
            "PUT",
            NOTIFIER_SETTINGS,
            r#"{"Environment":{"Variables":{"INTAKE_TOPIC_ARN":"arn:aws:sns:us-east-1:000000000000:quiet"}}}"#,
        ),
        Iam(
            "Action=PutRolePolicy&RoleName=intake-notifier&PolicyName=more&PolicyDocument={\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"sns:Publish\",\"Resource\":\"*\"}}",
        ),
    ];
    let cases: [(&[Plant], &str); 3] = [
        (&[UNLIMITED], "trigger-unlimited"),
        (&[topic_unset], "importer-topic"),
        (&other_topic, "topic-without-subscription"),
    ];
    for (plants, id) in cases {
        let world = World::new().await;
        for plant in plants {
            world.plant(*plant).await;
        }
        let ended = world.doctor(&["--json"]).await.expect(0);
        let found: Vec<_> = findings(&ended)
            .iter()
            .map(|f| (f["id"].clone(), f["level"].clone()))
            .collect();
        assert_eq!(found, [(json!(id), json!("note"))]);
        world.stack.shutdown().await;
    }
}

/// What the caller may not look at is never taken for healthy, and the permission to allow is named.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_looked_at_is_not_healthy() {
    let world = World::new().await;
    let cases = [
        ("ListEventSourceMappings", "lambda:ListEventSourceMappings"),
        (
            "GetFunctionConfiguration",
            "lambda:GetFunctionConfiguration",
        ),
        ("GetFunctionConcurrency", "lambda:GetFunctionConcurrency"),
        (
            "GetFunctionRecursionConfig",
            "lambda:GetFunctionRecursionConfig",
        ),
        ("SimulatePrincipalPolicy", "iam:SimulatePrincipalPolicy"),
        (
            "GetBucketNotificationConfiguration",
            "s3:GetBucketNotification",
        ),
        ("GetQueueUrl", "sqs:GetQueueUrl"),
        ("GetQueueAttributes", "sqs:GetQueueAttributes"),
        ("DescribeTable", "dynamodb:DescribeTable"),
        ("DescribeTimeToLive", "dynamodb:DescribeTimeToLive"),
        ("ListSubscriptionsByTopic", "sns:ListSubscriptionsByTopic"),
    ];
    for (operation, action) in cases {
        world
            .stack
            .faults()
            .set(FaultPlan::default().fail(operation, 1.., Fault::AccessDenied));
        let ended = world.doctor(&["--json"]).await.expect(3);
        let findings = findings(&ended);
        assert!(!findings.is_empty());
        for finding in &findings {
            assert_eq!(finding["level"], "unchecked", "{operation}: {finding}");
            let fix = finding["fix"].as_str().unwrap();
            assert!(
                fix.contains(&format!("allow {action} to")),
                "{operation}: {finding}"
            );
        }
        let reported = world.doctor(&[]).await.expect(3);
        assert!(
            reported.stdout.contains("could not check: "),
            "{operation}: {}",
            reported.stdout
        );
        assert!(
            !reported.stdout.contains("nothing wrong:"),
            "{operation}: {}",
            reported.stdout
        );
    }
    // Whether the bucket exists need not be known of one that tells.
    world
        .stack
        .faults()
        .set(FaultPlan::default().fail("HeadBucket", 1.., Fault::AccessDenied));
    world.doctor(&[]).await.expect(0);
    let plan = FaultPlan::default().fail("ListEventSourceMappings", 1.., Fault::ExpiredToken);
    world.stack.faults().set(plan);
    let ended = world.doctor(&[]).await.expect(1);
    assert!(
        ended
            .stderr
            .starts_with("error: AWS does not accept the credentials: ExpiredToken"),
        "{}",
        ended.stderr
    );
    // What passes is tried again.
    let plan = FaultPlan::default()
        .fail("GetFunctionConcurrency", 1, Fault::Throttle)
        .fail("SimulatePrincipalPolicy", 1, Fault::InternalError)
        .fail("ListEventSourceMappings", 1, Fault::ResetBefore);
    world.stack.faults().set(plan);
    world.doctor(&[]).await.expect(0);
    world.stack.shutdown().await;
}

/// Every finding that can be planted is in the documentation.
#[test]
fn findings_are_documented() {
    let operations = include_str!("../../../docs/OPERATIONS.md");
    for id in CASES.iter().flat_map(|(_, _, ids, _)| ids.split(' ')) {
        assert!(operations.contains(&format!("`{id}`")), "{id}");
    }
}

#[tokio::test]
async fn without_a_local_stack_the_fix_is_named() {
    let ended = Fixture::new().run(["doctor", "--local"]).await.expect(1);
    assert!(
        ended
            .stderr
            .contains("fix: keep one up in another terminal with: intake local"),
        "{}",
        ended.stderr
    );
}
