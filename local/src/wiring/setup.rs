//! How the functions are set up, as Lambda and IAM tell it: as in the SAM template.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::imports::IMPORT_BATCH_SIZE;
use super::stream::StreamMappingOptions;
use crate::deployment::{self, ACCOUNT_ID, BUCKET, JOBS_TABLE, TABLE, UPLOAD_PREFIX};
use crate::services::dynamodb::Tables;
use crate::services::iam::Roles;
use crate::services::lambda::Functions;
use crate::services::lambda::runtime::LambdaProgram;

/// The roles that the functions run as.
const IMPORTER_ROLE: &str = "intake-importer";
const NOTIFIER_ROLE: &str = "intake-notifier";
/// By which the function may fail single records of a batch.
const REPORT_FAILURES: &str = "ReportBatchItemFailures";
/// Where the importer writes its reports.
const REPORT_PREFIX: &str = "reports/";

/// What Lambda and IAM know, and the ARNs that it is about.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) functions: Arc<Functions>,
    pub(crate) roles: Arc<Roles>,
    table: String,
    jobs_table: String,
    stream: String,
    queue: String,
    topic: String,
}

impl Setup {
    /// No functions yet.
    pub(crate) fn new(tables: &Tables, queue_arn: String, topic_arn: String) -> Self {
        Self {
            functions: Arc::default(),
            roles: Arc::default(),
            table: tables.table_arn(TABLE),
            jobs_table: tables.table_arn(JOBS_TABLE),
            stream: tables.stream_arn().to_owned(),
            queue: queue_arn,
            topic: topic_arn,
        }
    }

    /// The importer, whose messages `switch` lets through.
    pub(crate) fn add_importer(&self, program: &LambdaProgram, switch: Arc<watch::Sender<bool>>) {
        let policy = self.importer_policy(&program.function_name);
        let role = self.roles.create(IMPORTER_ROLE, policy);
        self.functions.add(program, &role);
        let settings = json!({
            "BatchSize": IMPORT_BATCH_SIZE,
            "FunctionResponseTypes": [REPORT_FAILURES],
        });
        self.functions
            .map(program, &self.queue, &settings, Some(switch));
    }

    /// The notifier, and how the stream is given to it.
    pub(crate) fn add_notifier(&self, program: &LambdaProgram, options: &StreamMappingOptions) {
        let policy = self.notifier_policy(&program.function_name);
        let role = self.roles.create(NOTIFIER_ROLE, policy);
        self.functions.add(program, &role);
        let failures = options
            .report_batch_item_failures
            .then_some(REPORT_FAILURES);
        let mut settings = json!({
            "BatchSize": options.batch_size,
            "FunctionResponseTypes": Vec::from_iter(failures),
            "TumblingWindowInSeconds": options.tumbling_window.as_secs(),
        });
        if !options.event_names.is_empty() {
            let pattern = json!({ "eventName": options.event_names }).to_string();
            settings["FilterCriteria"] = json!({ "Filters": [{ "Pattern": pattern }] });
        }
        self.functions.map(program, &self.stream, &settings, None);
    }

    fn importer_policy(&self, function_name: &str) -> Value {
        let objects = |prefix: &str| format!("arn:aws:s3:::{BUCKET}/{prefix}*");
        policy([
            allow(&["s3:GetObject"], &objects(UPLOAD_PREFIX)),
            allow(&["s3:PutObject"], &objects(REPORT_PREFIX)),
            allow(
                &["s3:GetObject"],
                &objects(&format!("{REPORT_PREFIX}*/parts/")),
            ),
            allow(
                &["dynamodb:DescribeTable", "dynamodb:BatchWriteItem"],
                &self.table,
            ),
            allow(&["dynamodb:UpdateItem", "dynamodb:Query"], &self.jobs_table),
            allow(
                &[
                    "sqs:SendMessage",
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes",
                ],
                &self.queue,
            ),
            allow(&["sns:Publish"], &self.topic),
            write_logs(function_name),
        ])
    }

    fn notifier_policy(&self, function_name: &str) -> Value {
        policy([
            allow(
                &[
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator",
                ],
                &self.stream,
            ),
            allow(
                &["dynamodb:ListStreams"],
                &format!("{}/stream/*", self.table),
            ),
            allow(&["sns:Publish"], &self.topic),
            write_logs(function_name),
        ])
    }
}

/// The queue's policy: the bucket may send to it.
pub(crate) fn queue_policy(queue_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "UploadsFromTheBucket",
            "Effect": "Allow",
            "Principal": { "Service": "s3.amazonaws.com" },
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {
                "ArnEquals": { "aws:SourceArn": format!("arn:aws:s3:::{BUCKET}") },
                "StringEquals": { "aws:SourceAccount": ACCOUNT_ID },
            },
        }],
    })
}

fn write_logs(function_name: &str) -> Value {
    allow(
        &["logs:CreateLogStream", "logs:PutLogEvents"],
        &deployment::arn("logs", &format!("log-group:/aws/lambda/{function_name}:*")),
    )
}

fn policy(statements: impl Into<Vec<Value>>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements.into() })
}

fn allow(actions: &[&str], resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}
