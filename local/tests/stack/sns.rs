use aws_sdk_sns::{
    error::{ProvideErrorMetadata, SdkError},
    types::{MessageAttributeValue, PublishBatchRequestEntry},
};
use local::Stack;

use crate::client::{self, sdk};

fn sns(stack: &Stack) -> aws_sdk_sns::Client {
    sdk!(aws_sdk_sns, &stack.endpoints().sns)
}

fn code<T, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> String {
    let Err(error) = result else {
        panic!("it succeeded")
    };
    error.code().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_published_message_is_in_the_inbox() {
    let stack = client::start().await;
    let sns = sns(&stack);
    let attribute = |value: &str| {
        MessageAttributeValue::builder()
            .data_type("String")
            .string_value(value)
            .build()
            .unwrap()
    };
    let publish = sns
        .publish()
        .topic_arn(&stack.endpoints().topic_arn)
        .subject("Inventory Update");
    let publish = publish
        .message("New product added: <Laptop> & Ünï")
        .message_attributes("kind", attribute("digest"));
    let id = publish.send().await.unwrap().message_id.unwrap();
    let inbox = stack.inbox();
    let [message] = inbox.as_slice() else {
        panic!("{inbox:?}")
    };
    assert_eq!(message.id, id);
    assert_eq!(message.topic_arn, stack.endpoints().topic_arn);
    assert_eq!(message.subject.as_deref(), Some("Inventory Update"));
    assert_eq!(message.message, "New product added: <Laptop> & Ünï");
    assert_eq!(message.attributes["kind"], "digest");
    assert_eq!(message.for_protocol("email"), message.message);
}

#[tokio::test]
async fn each_protocol_reads_its_own_text() {
    let stack = client::start().await;
    let publish = sns(&stack)
        .publish()
        .topic_arn(&stack.endpoints().topic_arn)
        .message_structure("json");
    publish
        .message(r#"{"default":"plain","sqs":"{\"n\":1}"}"#)
        .send()
        .await
        .unwrap();
    let message = &stack.inbox()[0];
    for (protocol, text) in [
        ("email", "plain"),
        ("default", "plain"),
        ("sqs", r#"{"n":1}"#),
    ] {
        assert_eq!(message.for_protocol(protocol), text, "{protocol}");
    }
}

#[tokio::test]
async fn what_sns_refuses_is_refused() {
    let stack = client::start().await;
    let sns = sns(&stack);
    let topic = stack.endpoints().topic_arn.as_str();
    let (fits, too_long) = ("x".repeat(262_144), "x".repeat(262_145));
    let (subject_fits, subject_too_long) = ("s".repeat(99), "s".repeat(100));
    let (wide, missing) = ("ü".repeat(131_073), format!("{topic}-other"));
    for (topic, subject, message, structure, expected) in [
        (topic, None, fits.as_str(), None, None),
        (topic, Some(subject_fits.as_str()), "m", None, None),
        (
            topic,
            None,
            too_long.as_str(),
            None,
            Some("InvalidParameter"),
        ),
        (topic, None, wide.as_str(), None, Some("InvalidParameter")),
        (topic, None, "", None, Some("InvalidParameter")),
        (
            topic,
            Some(subject_too_long.as_str()),
            "m",
            None,
            Some("InvalidParameter"),
        ),
        (
            topic,
            Some("two\nlines"),
            "m",
            None,
            Some("InvalidParameter"),
        ),
        (topic, Some(""), "m", None, Some("InvalidParameter")),
        (
            topic,
            None,
            "{\"email\":\"m\"}",
            Some("json"),
            Some("InvalidParameter"),
        ),
        (
            topic,
            None,
            "not json",
            Some("json"),
            Some("InvalidParameter"),
        ),
        (topic, None, "m", Some("xml"), Some("InvalidParameter")),
        (missing.as_str(), None, "m", None, Some("NotFound")),
    ] {
        let publish = sns.publish().topic_arn(topic).message(message);
        let result = publish
            .set_subject(subject.map(str::to_owned))
            .set_message_structure(structure.map(str::to_owned));
        let result = result.send().await;
        let case = format!("{topic} {subject:?} {} bytes {structure:?}", message.len());
        match expected {
            None => drop(result.expect(&case)),
            Some(expected) => assert_eq!(code(result), expected, "{case}"),
        }
    }
    assert_eq!(stack.inbox().len(), 2, "what is refused is not kept");
}

#[tokio::test]
async fn a_batch_is_published_entry_by_entry() {
    let stack = client::start().await;
    let sns = sns(&stack);
    let entry = |id: &str, message: &str| {
        PublishBatchRequestEntry::builder()
            .id(id)
            .message(message)
            .build()
            .unwrap()
    };
    let publish = |entries: Vec<PublishBatchRequestEntry>| {
        let batch = sns.publish_batch().topic_arn(&stack.endpoints().topic_arn);
        batch
            .set_publish_batch_request_entries(Some(entries))
            .send()
    };
    let answer = publish(vec![entry("a", "1"), entry("b", ""), entry("c", "3")])
        .await
        .unwrap();
    let successful: Vec<_> = answer
        .successful()
        .iter()
        .filter_map(|entry| entry.id())
        .collect();
    assert_eq!(successful, ["a", "c"]);
    assert_eq!(
        (answer.failed()[0].id(), answer.failed()[0].code()),
        ("b", "InvalidParameter")
    );
    assert_eq!(
        stack
            .inbox()
            .iter()
            .map(|message| message.message.as_str())
            .collect::<Vec<_>>(),
        ["1", "3"]
    );

    let half = "x".repeat(131_073);
    let eleven = (0..11).map(|n| entry(&n.to_string(), "m")).collect();
    for (entries, expected) in [
        (
            vec![entry("a", &half), entry("b", &half)],
            "BatchRequestTooLong",
        ),
        (
            vec![entry("a", "1"), entry("a", "2")],
            "BatchEntryIdsNotDistinct",
        ),
        (vec![entry("a b", "1")], "InvalidBatchEntryId"),
        (eleven, "TooManyEntriesInBatchRequest"),
        (vec![], "EmptyBatchRequest"),
    ] {
        let found = code(publish(entries).await);
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
}

#[tokio::test]
async fn subscriptions_come_and_go() {
    let stack = client::start().await;
    let sns = sns(&stack);
    let topic = sns
        .create_topic()
        .name("other")
        .send()
        .await
        .unwrap()
        .topic_arn
        .unwrap();
    let topics = sns.list_topics().send().await.unwrap();
    assert_eq!(topics.topics().len(), 2);
    let subscribe = |protocol: &str, endpoint: &str| {
        sns.subscribe()
            .topic_arn(&topic)
            .protocol(protocol)
            .endpoint(endpoint)
            .send()
    };
    let queue = subscribe("sqs", "arn:aws:sqs:us-east-1:000000000000:q")
        .await
        .unwrap()
        .subscription_arn
        .unwrap();
    let again = subscribe("sqs", "arn:aws:sqs:us-east-1:000000000000:q")
        .await
        .unwrap()
        .subscription_arn
        .unwrap();
    assert_eq!(queue, again);
    let mail = subscribe("email", "a@example.com")
        .await
        .unwrap()
        .subscription_arn
        .unwrap();
    assert_eq!(mail, "pending confirmation");
    assert_eq!(code(subscribe("pigeon", "x").await), "InvalidParameter");
    let list = || sns.list_subscriptions_by_topic().topic_arn(&topic).send();
    assert_eq!(list().await.unwrap().subscriptions().len(), 2);
    sns.unsubscribe()
        .subscription_arn(queue)
        .send()
        .await
        .unwrap();
    assert_eq!(
        list().await.unwrap().subscriptions()[0].protocol(),
        Some("email")
    );
    assert_eq!(
        code(sns.create_topic().name("no spaces").send().await),
        "InvalidParameter"
    );
}
