//! The events that AWS sends to Lambda functions, built as AWS builds them.
//!
//! Each builder gives the JSON that the function receives, complete with the fields that Intake does not
//! read, so that samples and tests use what production does.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use crate::deployment::{ACCOUNT_ID, REGION};
pub use crate::services::s3::{Creation, ObjectCreated};
use crate::services::sqs::Delivery;
use crate::timestamp::{format, timestamp};

/// The key as S3 writes it into notifications: form-encoded, but with its slashes.
///
/// ```
/// assert_eq!(local::events::url_encode_key("uploads/a b+c/ü(1).csv"), "uploads/a+b%2Bc/%C3%BC%281%29.csv");
/// ```
pub fn url_encode_key(key: &str) -> String {
    let segments = key
        .split('/')
        .map(|segment| form_urlencoded::byte_serialize(segment.as_bytes()).collect());
    segments.collect::<Vec<String>>().join("/")
}

/// An [S3 event notification](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html),
/// as a function or a queue gets it.
pub fn s3_notification(objects: &[ObjectCreated]) -> Value {
    let records: Vec<Value> = objects
        .iter()
        .map(|object| {
            json!({
                "eventVersion": "2.1",
                "eventSource": "aws:s3",
                "awsRegion": REGION,
                "eventTime": timestamp(object.time),
                "eventName": format!("ObjectCreated:{}", object.creation),
                "userIdentity": { "principalId": format!("AWS:{ACCOUNT_ID}") },
                "requestParameters": { "sourceIPAddress": "127.0.0.1" },
                "responseElements": {
                    "x-amz-request-id": request_id(),
                    "x-amz-id-2": format!("{}{}", request_id(), request_id()),
                },
                "s3": {
                    "s3SchemaVersion": "1.0",
                    "configurationId": "intake-imports",
                    "bucket": {
                        "name": object.bucket,
                        "ownerIdentity": { "principalId": ACCOUNT_ID },
                        "arn": format!("arn:aws:s3:::{}", object.bucket),
                    },
                    "object": {
                        "key": url_encode_key(&object.key),
                        "size": object.size_bytes,
                        "eTag": object.etag,
                        "sequencer": object.sequencer,
                    },
                },
            })
        })
        .collect();
    json!({ "Records": records })
}

/// What S3 sends once
/// [when a notification is configured](https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html).
pub fn s3_test_event(bucket: &str) -> Value {
    json!({
        "Service": "Amazon S3",
        "Event": "s3:TestEvent",
        "Time": timestamp(OffsetDateTime::now_utc()),
        "Bucket": bucket,
        "RequestId": request_id(),
        "HostId": format!("{}{}", request_id(), request_id()),
    })
}

/// The [`EventBridge` event](https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html) `Object Created`.
/// Its key is not URL-encoded.
pub fn eventbridge_object_created(object: &ObjectCreated) -> Value {
    let reason = match object.creation {
        Creation::Put => "PutObject",
        Creation::Copy => "CopyObject",
        Creation::CompleteMultipartUpload => "CompleteMultipartUpload",
    };
    let seconds = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    json!({
        "version": "0",
        "id": Uuid::new_v4().to_string(),
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": ACCOUNT_ID,
        "time": format(object.time, seconds),
        "region": REGION,
        "resources": [format!("arn:aws:s3:::{}", object.bucket)],
        "detail": {
            "version": "0",
            "bucket": { "name": object.bucket },
            "object": {
                "key": object.key,
                "size": object.size_bytes,
                "etag": object.etag,
                "sequencer": object.sequencer,
            },
            "request-id": request_id(),
            "requester": ACCOUNT_ID,
            "source-ip-address": "127.0.0.1",
            "reason": reason,
        },
    })
}

/// The [event of an SQS event source mapping](https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
///
/// ```
/// use local::{events, sqs::Delivery};
///
/// let notification = events::s3_notification(&[events::ObjectCreated::put("shop", "uploads/a.csv", 12)]);
/// let event = events::sqs_event("arn:aws:sqs:us-east-1:000000000000:imports", &[Delivery::first(notification.to_string())]);
/// assert_eq!(event["Records"][0]["eventSource"], "aws:sqs");
/// ```
pub fn sqs_event(queue_arn: &str, deliveries: &[Delivery]) -> Value {
    let records: Vec<Value> = deliveries
        .iter()
        .map(|delivery| {
            json!({
                "messageId": delivery.message_id,
                "receiptHandle": delivery.receipt_handle,
                "body": delivery.body,
                "attributes": delivery.system_attributes(),
                "messageAttributes": message_attributes(delivery),
                "md5OfBody": delivery.md5_of_body(),
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": REGION,
            })
        })
        .collect();
    json!({ "Records": records })
}

/// Attributes as [Lambda writes them](https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html).
fn message_attributes(delivery: &Delivery) -> Value {
    let attributes = delivery.attributes.iter().map(|(name, attribute)| {
        let value = if attribute.data_type.starts_with("Binary") {
            "binaryValue"
        } else {
            "stringValue"
        };
        let written = json!({
            value: attribute.value, "stringListValues": [], "binaryListValues": [], "dataType": attribute.data_type,
        });
        (name.clone(), written)
    });
    Value::Object(attributes.collect())
}

/// The [event of a DynamoDB stream's event source mapping](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
///
/// `records` are as `GetRecords` of DynamoDB Streams returns them.
pub fn dynamodb_event(stream_arn: &str, records: impl IntoIterator<Item = Value>) -> Value {
    let records: Vec<Value> = records
        .into_iter()
        .map(|mut record| {
            record["awsRegion"] = REGION.into();
            record["eventSourceARN"] = stream_arn.into();
            record
        })
        .collect();
    json!({ "Records": records })
}

/// 16 upper-case characters, as S3's request ids are.
fn request_id() -> String {
    Uuid::new_v4().simple().to_string()[..16].to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_s3_encodes_them() {
        for (key, encoded) in [
            ("uploads/plain.csv", "uploads/plain.csv"),
            ("uploads/a b.csv", "uploads/a+b.csv"),
            ("uploads/a+b.csv", "uploads/a%2Bb.csv"),
            (
                "uploads/us-east-1:1-2/x=1&y",
                "uploads/us-east-1%3A1-2/x%3D1%26y",
            ),
            ("käse/100%.csv", "k%C3%A4se/100%25.csv"),
            ("a_b-c.d*e~f", "a_b-c.d*e%7Ef"),
        ] {
            assert_eq!(url_encode_key(key), encoded, "{key}");
        }
    }

    #[test]
    fn attributes_of_a_message_are_written_as_lambda_writes_them() {
        use crate::services::sqs::MessageAttribute;
        let sent = |data_type: &str, value: &str| MessageAttribute {
            data_type: data_type.to_owned(),
            value: value.to_owned(),
        };
        let attributes = [("a", sent("String", "x")), ("b", sent("Binary", "eA=="))];
        let mut delivery = Delivery::first("body");
        delivery.attributes = attributes
            .map(|(name, attribute)| (name.to_owned(), attribute))
            .into();
        assert_eq!(
            sqs_event("arn", &[delivery])["Records"][0]["messageAttributes"],
            json!({
                "a": { "stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String" },
                "b": { "binaryValue": "eA==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary" },
            })
        );
    }

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let mut object = ObjectCreated::put("b", "k", 1);
        object.time = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap()
            + time::Duration::milliseconds(7);
        let event = s3_notification(std::slice::from_ref(&object));
        assert_eq!(event["Records"][0]["eventTime"], "2023-11-14T22:13:20.007Z");
        assert_eq!(
            eventbridge_object_created(&object)["time"],
            "2023-11-14T22:13:20Z"
        );
    }
}
