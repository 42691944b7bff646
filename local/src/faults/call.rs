//! What a request asks for: the operation's name in the service's API, and what it is on.

use std::borrow::Cow;
use std::collections::BTreeMap;

use http::Method;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::server::header;
use crate::services::Service;

/// A call of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// Its name; empty if the request is none that the service knows.
    pub(super) operation: String,
    /// The object's key, or the name of the table, the queue or the topic.
    pub(super) resource: String,
}

/// What names the table or the queue in requests of the AWS JSON protocol.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct JsonRequest<'a> {
    #[serde(borrow)]
    table_name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    request_items: Option<BTreeMap<Cow<'a, str>, Vec<IgnoredAny>>>,
    #[serde(borrow)]
    queue_url: Option<Cow<'a, str>>,
}

impl Call {
    /// Reads a request to `service`; `body` is not needed for S3.
    pub(super) fn of(service: Service, head: &Parts, body: &[u8]) -> Self {
        match service {
            Service::S3 => Self::s3(head),
            Service::DynamoDb | Service::Sqs => {
                let target = header(&head.headers, "x-amz-target").unwrap_or_default();
                let operation = target.rsplit('.').next().unwrap_or_default();
                Self {
                    operation: operation.to_owned(),
                    resource: json_resource(body),
                }
            }
            Service::Lambda => Self::lambda(head),
            Service::Sns | Service::Iam => {
                let form: BTreeMap<_, _> = form_urlencoded::parse(body).collect();
                let field = |name: &str| form.get(name).map_or("", Cow::as_ref);
                let resource = match service {
                    Service::Iam => last(field("PolicySourceArn"), '/'),
                    _ => last(field("TopicArn"), ':'),
                };
                Self {
                    operation: field("Action").to_owned(),
                    resource: resource.to_owned(),
                }
            }
        }
    }

    fn lambda(head: &Parts) -> Self {
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (operation, resource) = match (head.method.as_str(), parts.as_slice()) {
            ("GET", [_, "event-source-mappings"]) => ("ListEventSourceMappings", ""),
            ("PUT", [_, "event-source-mappings", uuid]) => ("UpdateEventSourceMapping", *uuid),
            ("GET", [_, "functions", name, "configuration"]) => ("GetFunctionConfiguration", *name),
            ("GET", [_, "functions", name, "concurrency"]) => ("GetFunctionConcurrency", *name),
            ("GET", [_, "functions", name, "recursion-config"]) => {
                ("GetFunctionRecursionConfig", *name)
            }
            _ => ("", ""),
        };
        Self {
            operation: operation.to_owned(),
            resource: resource.to_owned(),
        }
    }

    fn s3(head: &Parts) -> Self {
        let path = head.uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let key = percent_decode_str(key).decode_utf8_lossy().into_owned();
        let query = head.uri.query().unwrap_or_default();
        let asks_for =
            |name: &str| form_urlencoded::parse(query.as_bytes()).any(|(own, _)| own == name);
        let copies = head.headers.contains_key("x-amz-copy-source");
        let operation = match (&head.method, key.is_empty()) {
            (&Method::GET, false) if asks_for("uploadId") => "ListParts",
            (&Method::GET, false) => "GetObject",
            (&Method::HEAD, false) => "HeadObject",
            (&Method::PUT, false) => match (asks_for("partNumber"), copies) {
                (true, true) => "UploadPartCopy",
                (true, false) => "UploadPart",
                (false, true) => "CopyObject",
                (false, false) => "PutObject",
            },
            (&Method::POST, false) if asks_for("uploads") => "CreateMultipartUpload",
            (&Method::POST, false) if asks_for("uploadId") => "CompleteMultipartUpload",
            (&Method::DELETE, false) if asks_for("uploadId") => "AbortMultipartUpload",
            (&Method::DELETE, false) => "DeleteObject",
            (&Method::GET, true) if bucket.is_empty() => "ListBuckets",
            (&Method::GET, true) if asks_for("location") => "GetBucketLocation",
            (&Method::GET, true) if asks_for("notification") => {
                "GetBucketNotificationConfiguration"
            }
            (&Method::PUT, true) if asks_for("notification") => {
                "PutBucketNotificationConfiguration"
            }
            (&Method::GET, true) if asks_for("uploads") => "ListMultipartUploads",
            (&Method::GET, true) if asks_for("list-type") => "ListObjectsV2",
            (&Method::GET, true) => "ListObjects",
            (&Method::HEAD, true) => "HeadBucket",
            (&Method::PUT, true) => "CreateBucket",
            (&Method::POST, true) if asks_for("delete") => "DeleteObjects",
            // An upload by an HTML form; it is none of the SDKs' operations.
            (&Method::POST, true) => "PostObject",
            (&Method::DELETE, true) => "DeleteBucket",
            _ => "",
        };
        Self {
            operation: operation.to_owned(),
            resource: key,
        }
    }
}

fn json_resource(body: &[u8]) -> String {
    let request: JsonRequest<'_> = serde_json::from_slice(body).unwrap_or_default();
    if let Some(url) = request.queue_url {
        return last(&url, '/').to_owned();
    }
    let batch = || request.request_items?.into_keys().next();
    let table = request.table_name.or_else(batch).unwrap_or_default();
    // A table can be named by its ARN.
    last(&table, '/').to_owned()
}

fn last(text: &str, separator: char) -> &str {
    text.rsplit(separator).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn operations_of_s3_are_known_by_method_and_query() {
        for (method, uri, copies, operation, key) in [
            ("GET", "/", false, "ListBuckets", ""),
            ("GET", "/b?list-type=2&prefix=x", false, "ListObjectsV2", ""),
            ("GET", "/b/", false, "ListObjects", ""),
            ("GET", "/b?location", false, "GetBucketLocation", ""),
            (
                "GET",
                "/b/a%20b/c%2B?x-id=GetObject",
                false,
                "GetObject",
                "a b/c+",
            ),
            ("GET", "/b/k?uploadId=u", false, "ListParts", "k"),
            ("HEAD", "/b/k", false, "HeadObject", "k"),
            ("HEAD", "/b", false, "HeadBucket", ""),
            (
                "GET",
                "/b?notification",
                false,
                "GetBucketNotificationConfiguration",
                "",
            ),
            ("PUT", "/b", false, "CreateBucket", ""),
            ("PUT", "/b/k?x-id=PutObject", false, "PutObject", "k"),
            ("PUT", "/b/k", true, "CopyObject", "k"),
            (
                "PUT",
                "/b/k?partNumber=1&uploadId=u",
                false,
                "UploadPart",
                "k",
            ),
            (
                "PUT",
                "/b/k?partNumber=1&uploadId=u",
                true,
                "UploadPartCopy",
                "k",
            ),
            ("POST", "/b/k?uploads", false, "CreateMultipartUpload", "k"),
            (
                "POST",
                "/b/k?uploadId=u",
                false,
                "CompleteMultipartUpload",
                "k",
            ),
            ("POST", "/b?delete", false, "DeleteObjects", ""),
            ("POST", "/b", false, "PostObject", ""),
            (
                "DELETE",
                "/b/k?uploadId=u",
                false,
                "AbortMultipartUpload",
                "k",
            ),
            ("DELETE", "/b/k", false, "DeleteObject", "k"),
            ("PATCH", "/b/k", false, "", "k"),
        ] {
            let mut request = Request::builder().method(method).uri(uri);
            if copies {
                request = request.header("x-amz-copy-source", "/b/other");
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            let call = Call::of(Service::S3, &head, b"");
            assert_eq!(
                (call.operation.as_str(), call.resource.as_str()),
                (operation, key),
                "{method} {uri}"
            );
        }
    }

    #[test]
    fn operations_of_the_others_are_named_in_the_request() {
        for (service, target, body, operation, resource) in [
            (
                Service::DynamoDb,
                "DynamoDB_20120810.UpdateItem",
                r#"{"Key":{},"TableName":"ImportJobs"}"#,
                "UpdateItem",
                "ImportJobs",
            ),
            (
                Service::DynamoDb,
                "DynamoDB_20120810.BatchWriteItem",
                r#"{"RequestItems":{"T":[{"PutRequest":{}}]},"ReturnConsumedCapacity":"TOTAL"}"#,
                "BatchWriteItem",
                "T",
            ),
            (
                Service::DynamoDb,
                "DynamoDB_20120810.DescribeTable",
                r#"{"TableName":"arn:aws:dynamodb:us-east-1:1:table/T"}"#,
                "DescribeTable",
                "T",
            ),
            (
                Service::Sqs,
                "AmazonSQS.SendMessage",
                r#"{"QueueUrl":"http://127.0.0.1:1/000000000000/q","MessageBody":"b"}"#,
                "SendMessage",
                "q",
            ),
            (
                Service::Sns,
                "",
                "Action=Publish&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A1%3At&Message=m",
                "Publish",
                "t",
            ),
            (
                Service::Iam,
                "",
                "Action=SimulatePrincipalPolicy&PolicySourceArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr",
                "SimulatePrincipalPolicy",
                "r",
            ),
            (Service::DynamoDb, "", "no JSON", "", ""),
        ] {
            let request = Request::builder().header("x-amz-target", target);
            let (head, ()) = request.body(()).unwrap().into_parts();
            let call = Call::of(service, &head, body.as_bytes());
            assert_eq!(
                (call.operation.as_str(), call.resource.as_str()),
                (operation, resource)
            );
        }
    }
}
