use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::attributes::{
    AttributeValue, MAX_DELAY_SECONDS, MAX_VISIBILITY_SECONDS, MAX_WAIT_SECONDS, asked_for,
    describe, md5_of_attributes, seconds, settings,
};
use super::error::SqsError;
use super::queue::{Delivery, MAX_MESSAGE_BYTES, MessageAttribute, Queue, QueueSettings, md5_hex};
use super::queues::Queues;
use crate::server::{Handler, header, read_body, response, set_header};

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";
/// Most [messages in a batch](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html),
/// to send, receive or delete.
const MAX_BATCH: usize = 10;
/// Longest [queue name](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html)
/// and [batch entry id](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatchRequestEntry.html).
const MAX_NAME_BYTES: usize = 80;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueUrl {
    queue_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnQueue<T> {
    queue_url: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SetQueueAttributes {
    attributes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct NoParameters {}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendMessage {
    #[serde(default)]
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, AttributeValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ReceiveMessage {
    max_number_of_messages: Option<i64>,
    wait_time_seconds: Option<i64>,
    visibility_timeout: Option<i64>,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteMessage {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeMessageVisibility {
    receipt_handle: String,
    visibility_timeout: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<T> {
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    id: String,
    #[serde(flatten)]
    request: T,
}

impl Handler for Queues {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let mut answer = match self.answer(request).await {
            Ok(body) => response(StatusCode::OK, CONTENT_TYPE, body.to_string()),
            Err(error) => {
                let body = error.body().to_string();
                let mut refusal = response(StatusCode::BAD_REQUEST, CONTENT_TYPE, body);
                set_header(&mut refusal, "x-amzn-query-error", &error.query_error());
                refusal
            }
        };
        let request_id = Uuid::new_v4().to_string();
        set_header(&mut answer, "x-amzn-requestid", &request_id);
        answer
    }
}

impl Queues {
    async fn answer(&self, request: Request<Body>) -> Result<Value, SqsError> {
        let (head, body) = request.into_parts();
        let target = header(&head.headers, "x-amz-target");
        let action = target
            .and_then(|target| target.strip_prefix("AmazonSQS."))
            .ok_or_else(SqsError::not_json_protocol)?;
        let body = read_body(body).await;
        self.act(action, &body.ok_or_else(SqsError::body_too_large)?)
            .await
    }

    /// Does one action of the API.
    async fn act(&self, action: &str, body: &[u8]) -> Result<Value, SqsError> {
        match action {
            "CreateQueue" => self.create_queue(parse(body)?),
            "ListQueues" => {
                let ListQueues { queue_name_prefix } = parse(body)?;
                let urls = self
                    .with_prefix(&queue_name_prefix)
                    .into_iter()
                    .map(|queue| self.url(&queue));
                Ok(json!({ "QueueUrls": urls.collect::<Vec<_>>() }))
            }
            "GetQueueUrl" => {
                let GetQueueUrl { queue_name } = parse(body)?;
                let queue = self.find(&queue_name).ok_or_else(SqsError::no_such_queue)?;
                Ok(json!({ "QueueUrl": self.url(&queue) }))
            }
            "GetQueueAttributes" => {
                let GetQueueAttributes {
                    queue_url,
                    attribute_names,
                } = parse(body)?;
                let attributes = describe(&*self.by_url(&queue_url)?);
                if let Some(name) = attribute_names
                    .iter()
                    .find(|name| !known_attribute(&attributes, name))
                {
                    return Err(SqsError::invalid_attribute(name));
                }
                let chosen = attributes
                    .into_iter()
                    .filter(|(name, _)| asked_for(&attribute_names, name));
                Ok(json!({ "Attributes": chosen.collect::<BTreeMap<_, _>>() }))
            }
            "SendMessage" => {
                let (queue, request) = self.on_queue(body)?;
                send(&queue, request)
            }
            "SendMessageBatch" => {
                let (queue, batch) = self.on_queue::<Batch<SendMessage>>(body)?;
                let bytes = batch
                    .entries
                    .iter()
                    .map(|entry| entry.request.size_bytes())
                    .sum();
                if bytes > MAX_MESSAGE_BYTES {
                    return Err(SqsError::batch_too_long(bytes));
                }
                batch.each(|request| send(&queue, request))
            }
            "ReceiveMessage" => {
                let (queue, request) = self.on_queue(body)?;
                receive(&queue, request).await
            }
            "DeleteMessage" => {
                let (queue, request) = self.on_queue(body)?;
                delete(&queue, &request)
            }
            "DeleteMessageBatch" => {
                let (queue, batch) = self.on_queue::<Batch<DeleteMessage>>(body)?;
                batch.each(|request| delete(&queue, &request))
            }
            "ChangeMessageVisibility" => {
                let (queue, request) = self.on_queue::<ChangeMessageVisibility>(body)?;
                check_handle(&request.receipt_handle)?;
                let timeout = seconds(
                    "VisibilityTimeout",
                    request.visibility_timeout,
                    MAX_VISIBILITY_SECONDS,
                )?;
                let changed = queue.change_visibility(&request.receipt_handle, timeout);
                if changed {
                    Ok(json!({}))
                } else {
                    Err(SqsError::not_in_flight())
                }
            }
            "SetQueueAttributes" => {
                let (queue, SetQueueAttributes { attributes }) = self.on_queue(body)?;
                queue.set(settings(queue.settings(), &attributes, self)?);
                Ok(json!({}))
            }
            "DeleteQueue" => {
                let (queue, NoParameters {}) = self.on_queue(body)?;
                self.delete(queue.name());
                Ok(json!({}))
            }
            "PurgeQueue" => {
                let (queue, NoParameters {}) = self.on_queue(body)?;
                queue.purge();
                Ok(json!({}))
            }
            _ => Err(SqsError::unknown_action(action)),
        }
    }

    fn on_queue<T: DeserializeOwned>(&self, body: &[u8]) -> Result<(Arc<Queue>, T), SqsError> {
        let OnQueue { queue_url, rest } = parse(body)?;
        Ok((self.by_url(&queue_url)?, rest))
    }

    fn create_queue(&self, request: CreateQueue) -> Result<Value, SqsError> {
        let CreateQueue {
            queue_name,
            attributes,
        } = request;
        if !is_name(&queue_name) {
            let message = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length; \
                           the local SQS has no FIFO queues";
            return Err(SqsError::invalid_value(message));
        }
        let settings = settings(QueueSettings::default(), &attributes, self)?;
        if let Some(queue) = self.find(&queue_name) {
            let current = describe(&queue);
            let differs =
                |(name, value): &(&String, &String)| current.get(name.as_str()) != Some(*value);
            if let Some((name, _)) = attributes
                .iter()
                .filter(|(name, _)| *name != "RedrivePolicy")
                .find(differs)
            {
                return Err(SqsError::queue_exists(&queue_name, name));
            }
        }
        Ok(json!({ "QueueUrl": self.url(&self.create(&queue_name, settings)) }))
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::malformed(&error))
}

fn is_name(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    letters && (1..=MAX_NAME_BYTES).contains(&name.len())
}

fn known_attribute(attributes: &BTreeMap<&'static str, String>, name: &str) -> bool {
    matches!(name, "All" | "RedrivePolicy" | "Policy") || attributes.contains_key(name)
}

impl<T> Batch<T> {
    /// Does `action` for each entry and lists which succeeded and which failed.
    fn each(self, mut action: impl FnMut(T) -> Result<Value, SqsError>) -> Result<Value, SqsError> {
        match self.entries.len() {
            0 => return Err(SqsError::empty_batch()),
            entries if entries > MAX_BATCH => return Err(SqsError::too_many_entries(entries)),
            _ => {}
        }
        for (index, entry) in self.entries.iter().enumerate() {
            if !is_name(&entry.id) {
                return Err(SqsError::invalid_entry_id());
            }
            if self.entries[..index]
                .iter()
                .any(|earlier| earlier.id == entry.id)
            {
                return Err(SqsError::repeated_entry(&entry.id));
            }
        }
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in self.entries {
            match action(entry.request) {
                Ok(mut result) => {
                    result["Id"] = entry.id.into();
                    successful.push(result);
                }
                Err(error) => failed.push(error.batch_entry(&entry.id)),
            }
        }
        Ok(json!({ "Successful": successful, "Failed": failed }))
    }
}

impl SendMessage {
    fn size_bytes(&self) -> usize {
        let attributes = self
            .message_attributes
            .iter()
            .map(|(name, value)| name.len() + value.size_bytes());
        self.message_body.len() + attributes.sum::<usize>()
    }
}

fn send(queue: &Queue, request: SendMessage) -> Result<Value, SqsError> {
    if request.message_body.is_empty() {
        return Err(SqsError::missing("MessageBody"));
    }
    if request.size_bytes() > MAX_MESSAGE_BYTES {
        let message = format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {MAX_MESSAGE_BYTES} bytes."
        );
        return Err(SqsError::invalid_value(message));
    }
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{fffd}' | '\u{10000}'..);
    if !request.message_body.chars().all(allowed) {
        return Err(SqsError::invalid_contents());
    }
    let delay = request
        .delay_seconds
        .map(|delay| seconds("DelaySeconds", delay, MAX_DELAY_SECONDS))
        .transpose()?;
    let attributes = request.message_attributes.into_iter().map(|(name, value)| {
        let attribute = MessageAttribute::from_request(&name, value)?;
        Ok((name, attribute))
    });
    let attributes: BTreeMap<_, _> = attributes.collect::<Result<_, SqsError>>()?;
    let mut result = json!({ "MD5OfMessageBody": md5_hex(request.message_body.as_bytes()) });
    if let Some(md5) = md5_of_attributes(&attributes) {
        result["MD5OfMessageAttributes"] = md5.into();
    }
    result["MessageId"] = queue.send(request.message_body, attributes, delay).into();
    Ok(result)
}

async fn receive(queue: &Queue, request: ReceiveMessage) -> Result<Value, SqsError> {
    let max = request.max_number_of_messages.unwrap_or(1);
    let in_range = usize::try_from(max)
        .ok()
        .filter(|max| (1..=MAX_BATCH).contains(max));
    let max = in_range.ok_or_else(|| SqsError::out_of_range("MaxNumberOfMessages", max, 1, 10))?;
    let wait = request
        .wait_time_seconds
        .map(|wait| seconds("WaitTimeSeconds", wait, MAX_WAIT_SECONDS))
        .transpose()?;
    let visibility = request.visibility_timeout;
    let visibility = visibility
        .map(|timeout| seconds("VisibilityTimeout", timeout, MAX_VISIBILITY_SECONDS))
        .transpose()?;
    let wait = wait.unwrap_or(queue.settings().receive_wait);
    let deliveries = queue.receive(max, wait, visibility).await;
    if deliveries.is_empty() {
        return Ok(json!({}));
    }
    let mut system_names = request.attribute_names;
    system_names.extend(request.message_system_attribute_names);
    let messages = deliveries
        .iter()
        .map(|delivery| message(delivery, &system_names, &request.message_attribute_names));
    Ok(json!({ "Messages": messages.collect::<Vec<_>>() }))
}

fn message(delivery: &Delivery, system_names: &[String], attribute_names: &[String]) -> Value {
    let mut message = json!({
        "MessageId": delivery.message_id,
        "ReceiptHandle": delivery.receipt_handle,
        "MD5OfBody": delivery.md5_of_body(),
        "Body": delivery.body,
    });
    let mut system = delivery.system_attributes();
    system.retain(|name, _| asked_for(system_names, name));
    if !system.is_empty() {
        message["Attributes"] = json!(system);
    }
    let mut attributes = delivery.attributes.clone();
    attributes.retain(|name, _| asked_for(attribute_names, name));
    if let Some(md5) = md5_of_attributes(&attributes) {
        message["MD5OfMessageAttributes"] = md5.into();
        let values = attributes
            .iter()
            .map(|(name, attribute)| (name.clone(), attribute.to_json()));
        message["MessageAttributes"] = Value::Object(values.collect());
    }
    message
}

fn check_handle(handle: &str) -> Result<(), SqsError> {
    Uuid::try_parse(handle)
        .map(|_| ())
        .map_err(|_| SqsError::invalid_handle(handle))
}

fn delete(queue: &Queue, request: &DeleteMessage) -> Result<Value, SqsError> {
    check_handle(&request.receipt_handle)?;
    queue.delete(&request.receipt_handle);
    Ok(json!({}))
}
