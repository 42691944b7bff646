//! Which objects a bucket tells which queue of.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use s3s::dto::{
    FilterRule, FilterRuleName, GetBucketNotificationConfigurationOutput,
    NotificationConfiguration, NotificationConfigurationFilter, QueueConfiguration, S3KeyFilter,
};

use super::created::Creation;
use crate::lock::lock;

/// The notification configurations of all buckets. Clones are the same.
///
/// Those to queues are carried out. Others are kept and told, and come to nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notifications(Arc<Mutex<BTreeMap<String, NotificationConfiguration>>>);

impl Notifications {
    /// `bucket` tells `queue_arn` of every new object under `prefix`.
    pub(crate) fn of_uploads(bucket: &str, prefix: &str, queue_arn: String) -> Self {
        let rule = FilterRule {
            name: Some(FilterRuleName::from_static(FilterRuleName::PREFIX)),
            value: Some(prefix.to_owned()),
        };
        let filter = NotificationConfigurationFilter {
            key: Some(S3KeyFilter {
                filter_rules: Some(vec![rule]),
            }),
        };
        let queue = QueueConfiguration {
            events: vec!["s3:ObjectCreated:*".to_owned().into()],
            filter: Some(filter),
            id: Some("intake-imports".to_owned()),
            queue_arn,
        };
        let configuration = NotificationConfiguration {
            queue_configurations: Some(vec![queue]),
            ..NotificationConfiguration::default()
        };
        let notifications = Self::default();
        notifications.put(bucket.to_owned(), configuration);
        notifications
    }

    pub(super) fn put(&self, bucket: String, configuration: NotificationConfiguration) {
        lock(&self.0).insert(bucket, configuration);
    }

    pub(super) fn get(&self, bucket: &str) -> GetBucketNotificationConfigurationOutput {
        let configuration = lock(&self.0).get(bucket).cloned().unwrap_or_default();
        GetBucketNotificationConfigurationOutput {
            event_bridge_configuration: configuration.event_bridge_configuration,
            lambda_function_configurations: configuration.lambda_function_configurations,
            queue_configurations: configuration.queue_configurations,
            topic_configurations: configuration.topic_configurations,
        }
    }

    /// ARNs of the queues that are to hear of an object.
    pub(super) fn queues(&self, bucket: &str, creation: Creation, key: &str) -> Vec<String> {
        let configured = lock(&self.0);
        let queues = configured.get(bucket).into_iter().flat_map(|bucket| {
            let queues = bucket.queue_configurations.iter().flatten();
            queues.filter(|queue| covers(queue, creation, key))
        });
        queues.map(|queue| queue.queue_arn.clone()).collect()
    }
}

fn covers(queue: &QueueConfiguration, creation: Creation, key: &str) -> bool {
    let name = format!("s3:ObjectCreated:{creation}");
    let mut events = queue.events.iter().map(AsRef::<str>::as_ref);
    let rules = queue.filter.iter().flat_map(|filter| &filter.key);
    let mut rules = rules.flat_map(|key| key.filter_rules.iter().flatten());
    events.any(|event| event == "s3:ObjectCreated:*" || event == name)
        && rules.all(|rule| {
            let value = rule.value.as_deref().unwrap_or_default();
            // As on AWS in any case: it is told as `Prefix` and taken as `prefix`.
            let is_suffix = rule
                .name
                .as_ref()
                .is_some_and(|name| name.as_str().eq_ignore_ascii_case(FilterRuleName::SUFFIX));
            if is_suffix {
                key.ends_with(value)
            } else {
                key.starts_with(value)
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_hears_of_what_its_filter_and_events_cover() {
        let notifications = Notifications::of_uploads("b", "uploads/", "q".to_owned());
        let mut only_put_of_csv = notifications
            .get("b")
            .queue_configurations
            .unwrap()
            .remove(0);
        only_put_of_csv.queue_arn = "csv".to_owned();
        only_put_of_csv.events = vec!["s3:ObjectCreated:Put".to_owned().into()];
        let key = only_put_of_csv
            .filter
            .as_mut()
            .unwrap()
            .key
            .as_mut()
            .unwrap();
        key.filter_rules.as_mut().unwrap().push(FilterRule {
            name: Some(FilterRuleName::from_static("Suffix")),
            value: Some(".csv".to_owned()),
        });
        let mut both = notifications.get("b").queue_configurations.unwrap();
        both.push(only_put_of_csv);
        let configuration = NotificationConfiguration {
            queue_configurations: Some(both),
            ..NotificationConfiguration::default()
        };
        notifications.put("b".to_owned(), configuration);
        for (bucket, creation, key, queues) in [
            ("b", Creation::Put, "uploads/a.csv", &["q", "csv"][..]),
            ("b", Creation::Put, "uploads/a.json", &["q"]),
            (
                "b",
                Creation::CompleteMultipartUpload,
                "uploads/a.csv",
                &["q"],
            ),
            ("b", Creation::Put, "reports/a.csv", &[]),
            ("other", Creation::Put, "uploads/a.csv", &[]),
        ] {
            assert_eq!(
                notifications.queues(bucket, creation, key),
                queues,
                "{bucket} {key}"
            );
        }
    }
}
