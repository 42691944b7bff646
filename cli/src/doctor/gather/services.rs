use std::collections::HashMap;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::types::{StreamViewType, TimeToLiveStatus};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{Event, FilterRule, FilterRuleName, NotificationConfigurationFilter};
use aws_sdk_sqs::types::QueueAttributeName;
use importer::table;
use serde::Deserialize;
use serde_json::Value;

use crate::doctor::facts::{
    Bucket, Fact, JobsTable, Named, Notification, Notifications, Queue, Redrive, Refusal,
    Subscription, Table, last,
};
use crate::terminal::causes;

/// As SNS lists a subscription that its owner has not confirmed.
const PENDING: &str = "PendingConfirmation";

type HttpResponse = aws_sdk_s3::config::http::HttpResponse;

/// The services that there are SDKs of.
pub(super) struct Services {
    s3: aws_sdk_s3::Client,
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl Services {
    pub(super) fn new(config: &SdkConfig) -> Self {
        Self {
            s3: aws_sdk_s3::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            sns: aws_sdk_sns::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
        }
    }

    pub(super) async fn bucket(&self, name: String) -> Named<Bucket> {
        let head = self.s3.head_bucket().bucket(&name).send().await;
        // Credentials that may not check whether it exists may still read its notifications.
        let mut exists = fact("s3:ListBucket", head, &["NotFound", "NoSuchBucket"]);
        if let Fact::Unknown(refusal) = &mut exists
            && refusal.code == "301"
        {
            refusal
                .message
                .push_str("the bucket is in another Region than AWS_REGION");
        }
        if let Fact::Missing = exists {
            return Named {
                name,
                fact: Fact::Missing,
            };
        }
        let answer = self
            .s3
            .get_bucket_notification_configuration()
            .bucket(&name)
            .send()
            .await;
        let answer = fact("s3:GetBucketNotification", answer, &["NoSuchBucket"]);
        let notifications = answer.map(|answer| {
            let queues = answer.queue_configurations().iter();
            let queues = queues.map(|to| notification(to.queue_arn(), to.events(), to.filter()));
            let functions = answer.lambda_function_configurations().iter();
            let functions = functions
                .map(|to| notification(to.lambda_function_arn(), to.events(), to.filter()));
            let topics = answer.topic_configurations().iter();
            let topics = topics.map(|to| notification(to.topic_arn(), to.events(), to.filter()));
            Notifications {
                targets: queues.chain(functions).chain(topics).collect(),
                event_bridge: answer.event_bridge_configuration().is_some(),
            }
        });
        let fact = match (exists, notifications) {
            (Fact::Unknown(refusal), Fact::Unknown(_)) => Fact::Unknown(refusal),
            (_, Fact::Missing) => Fact::Missing,
            (_, notifications) => Fact::Seen(Bucket { notifications }),
        };
        Named { name, fact }
    }

    pub(super) async fn queue(&self, name: &str) -> Named<Queue> {
        let (url, fact) = self.attributes(name, QueueAttributeName::All).await;
        let fact = fact.map(|attributes| {
            let get = |name| attributes.get(&name).cloned();
            let timeout = get(QueueAttributeName::VisibilityTimeout);
            let timeout = timeout.and_then(|timeout| timeout.parse().ok());
            Queue {
                arn: get(QueueAttributeName::QueueArn).unwrap_or_default(),
                visibility_timeout_seconds: timeout.unwrap_or_default(),
                policy: get(QueueAttributeName::Policy),
                redrive: get(QueueAttributeName::RedrivePolicy).and_then(|text| redrive(&text)),
            }
        });
        Named {
            name: url.unwrap_or_else(|| name.to_owned()),
            fact,
        }
    }

    /// How many messages the queue with this ARN holds.
    pub(super) async fn dead_letters(&self, arn: String) -> Named<u64> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let (_, fact) = self.attributes(last(&arn), name.clone()).await;
        let fact = fact.map(|attributes| {
            let messages = attributes.get(&name);
            messages
                .and_then(|messages| messages.parse().ok())
                .unwrap_or_default()
        });
        Named { name: arn, fact }
    }

    /// The URL of a queue, if it has one, and those of its attributes.
    async fn attributes(
        &self,
        queue: &str,
        name: QueueAttributeName,
    ) -> (Option<String>, Fact<HashMap<QueueAttributeName, String>>) {
        let url = match self.queue_url(queue).await {
            Fact::Seen(url) => url,
            fact => return (None, fact.map(|_| HashMap::new())),
        };
        let get = self.sqs.get_queue_attributes().queue_url(&url);
        let answer = get.attribute_names(name).send().await;
        let fact = fact("sqs:GetQueueAttributes", answer, NO_QUEUE);
        let fact = fact.map(|answer| answer.attributes.unwrap_or_default());
        (Some(url), fact)
    }

    async fn queue_url(&self, name: &str) -> Fact<String> {
        let answer = self.sqs.get_queue_url().queue_name(name).send().await;
        fact("sqs:GetQueueUrl", answer, NO_QUEUE).map(|answer| answer.queue_url.unwrap_or_default())
    }

    pub(super) async fn table(&self, name: String) -> Named<Table> {
        let answer = self
            .dynamodb
            .describe_table()
            .table_name(&name)
            .send()
            .await;
        let action = "dynamodb:DescribeTable";
        let fact = fact(action, answer, &["ResourceNotFoundException"]).and_then(|answer| {
            answer.table.map_or(Fact::Missing, |description| {
                match table::schema(&name, &description) {
                    Ok(schema) => Fact::Seen(Table {
                        arn: description.table_arn.clone().unwrap_or_default(),
                        status: description
                            .table_status()
                            .map_or_else(String::new, |status| status.as_str().to_owned()),
                        schema,
                        stream_view: description
                            .stream_specification()
                            .filter(|stream| stream.stream_enabled())
                            .and_then(|stream| stream.stream_view_type())
                            .map(|view: &StreamViewType| view.as_str().to_owned()),
                        stream_arn: description.latest_stream_arn,
                    }),
                    Err(error) => Fact::Unknown(Refusal {
                        action,
                        code: String::new(),
                        message: causes(&error),
                    }),
                }
            })
        });
        Named { name, fact }
    }

    pub(super) async fn jobs_table(&self, name: String) -> Named<JobsTable> {
        let Named { name, fact: table } = self.table(name).await;
        let expires_by = match table {
            Fact::Seen(_) => self.expires_by(&name).await,
            Fact::Missing | Fact::Unknown(_) => Fact::Missing,
        };
        let fact = table.map(|table| JobsTable { table, expires_by });
        Named { name, fact }
    }

    /// The attribute by which a table's items expire, if they do.
    async fn expires_by(&self, table: &str) -> Fact<Option<String>> {
        let answer = self
            .dynamodb
            .describe_time_to_live()
            .table_name(table)
            .send()
            .await;
        fact("dynamodb:DescribeTimeToLive", answer, &[]).map(|answer| {
            let description = answer.time_to_live_description?;
            let is_on = matches!(
                description.time_to_live_status,
                Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
            );
            description.attribute_name.filter(|_| is_on)
        })
    }

    pub(super) async fn topic(&self, arn: String) -> Named<Vec<Subscription>> {
        let list = self.sns.list_subscriptions_by_topic().topic_arn(&arn);
        let mut pages = list.into_paginator().send();
        let mut all = Vec::new();
        while let Some(page) = pages.next().await {
            // A malformed ARN names no topic.
            let missing = &["NotFound", "NotFoundException", "InvalidParameter"];
            match fact("sns:ListSubscriptionsByTopic", page, missing) {
                Fact::Seen(page) => all.extend(page.subscriptions().iter().map(subscription)),
                fact => {
                    return Named {
                        name: arn,
                        fact: fact.map(|_| Vec::new()),
                    };
                }
            }
        }
        Named {
            name: arn,
            fact: Fact::Seen(all),
        }
    }
}

const NO_QUEUE: &[&str] = &[
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
];

fn subscription(subscription: &aws_sdk_sns::types::Subscription) -> Subscription {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Subscription {
        protocol: text(subscription.protocol()),
        endpoint: text(subscription.endpoint()),
        is_confirmed: subscription.subscription_arn() != Some(PENDING),
    }
}

fn notification(
    target_arn: &str,
    events: &[Event],
    filter: Option<&NotificationConfigurationFilter>,
) -> Notification {
    let rules = filter.and_then(|filter| filter.key());
    let rules: &[FilterRule] = rules.map_or(&[], |key| key.filter_rules());
    let value = |name: FilterRuleName| {
        // S3 returns them as `Prefix` and takes them as `prefix`.
        let is = |rule: &&FilterRule| {
            rule.name()
                .is_some_and(|own| own.as_str().eq_ignore_ascii_case(name.as_str()))
        };
        let value = rules.iter().find(is).and_then(FilterRule::value);
        value.unwrap_or_default().to_owned()
    };
    Notification {
        target_arn: target_arn.to_owned(),
        events: events
            .iter()
            .map(|event| event.as_str().to_owned())
            .collect(),
        prefix: value(FilterRuleName::Prefix),
        suffix: value(FilterRuleName::Suffix),
    }
}

fn redrive(policy: &str) -> Option<Redrive> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: Value,
    }
    let policy: Policy = serde_json::from_str(policy).ok()?;
    // Written as a number or as a string.
    let count = policy.max_receive_count;
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok());
    Some(Redrive {
        target_arn: policy.dead_letter_target_arn,
        max_receive_count: count.unwrap_or_default(),
    })
}

/// What an answer says; an error with one of the codes `missing` is that there is no such thing.
fn fact<T, E>(
    action: &'static str,
    answer: Result<T, SdkError<E, HttpResponse>>,
    missing: &[&str],
) -> Fact<T>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    Fact::of(answer.map_err(|error| refusal(action, &error)), missing)
}

fn refusal<E>(action: &'static str, error: &SdkError<E, HttpResponse>) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let code = match (error.code(), status) {
        (Some(code), _) => code.to_owned(),
        // The answer of a HEAD has no body, and so no code.
        (None, Some(403)) => "AccessDenied".to_owned(),
        (None, Some(404)) => "NotFound".to_owned(),
        (None, Some(status)) => status.to_string(),
        (None, None) => String::new(),
    };
    let message = match (error.message(), code.is_empty()) {
        (Some(message), _) => message.to_owned(),
        (None, true) => causes(error),
        (None, false) => String::new(),
    };
    Refusal {
        action,
        code,
        message,
    }
}
