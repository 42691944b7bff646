//! Who may do what: as in the SAM template, statement by statement.

use serde_json::{Value, json};

use crate::{ACCOUNT_ID, BUCKET, REGION, UPLOAD_PREFIX};

/// Where the importer writes its reports, as the SAM template has it.
const REPORT_PREFIX: &str = "reports/";

/// What the permissions are on.
#[derive(Debug)]
pub(crate) struct Resources {
    pub(crate) table_arn: String,
    pub(crate) jobs_table_arn: String,
    pub(crate) stream_arn: String,
    pub(crate) queue_arn: String,
    pub(crate) topic_arn: String,
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

impl Resources {
    /// The policy in the importer's role.
    pub(crate) fn importer_policy(&self, function_name: &str) -> Value {
        let objects = |prefix: &str| format!("arn:aws:s3:::{BUCKET}/{prefix}*");
        policy([
            allow(json!(["s3:GetObject"]), &objects(UPLOAD_PREFIX)),
            allow(json!(["s3:PutObject"]), &objects(REPORT_PREFIX)),
            allow(
                json!(["s3:GetObject"]),
                &objects(&format!("{REPORT_PREFIX}*/parts/")),
            ),
            allow(
                json!(["dynamodb:DescribeTable", "dynamodb:BatchWriteItem"]),
                &self.table_arn,
            ),
            allow(json!(["dynamodb:UpdateItem"]), &self.jobs_table_arn),
            allow(
                json!([
                    "sqs:SendMessage",
                    "sqs:ReceiveMessage",
                    "sqs:DeleteMessage",
                    "sqs:GetQueueAttributes"
                ]),
                &self.queue_arn,
            ),
            allow(json!(["sns:Publish"]), &self.topic_arn),
            write_logs(function_name),
        ])
    }

    /// The policy in the notifier's role.
    pub(crate) fn notifier_policy(&self, function_name: &str) -> Value {
        policy([
            allow(
                json!([
                    "dynamodb:DescribeStream",
                    "dynamodb:GetRecords",
                    "dynamodb:GetShardIterator"
                ]),
                &self.stream_arn,
            ),
            allow(
                json!(["dynamodb:ListStreams"]),
                &format!("{}/stream/*", self.table_arn),
            ),
            allow(json!(["sns:Publish"]), &self.topic_arn),
            write_logs(function_name),
        ])
    }
}

fn write_logs(function_name: &str) -> Value {
    allow(
        json!(["logs:CreateLogStream", "logs:PutLogEvents"]),
        &format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:/aws/lambda/{function_name}:*"),
    )
}

fn policy(statements: impl Into<Vec<Value>>) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements.into() })
}

fn allow(actions: Value, resource: &str) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}
