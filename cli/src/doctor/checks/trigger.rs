//! The bucket, and whether it tells of new files.

use serde_json::json;

use crate::doctor::facts::{Bucket, Fact, Facts, Notification};
use crate::doctor::finding::{Finding, LabBug, quoted};

/// Where new objects' notifications begin.
const CREATED: &str = "s3:ObjectCreated:";
/// By which operations files come.
const CREATIONS: [&str; 4] = ["Put", "Post", "Copy", "CompleteMultipartUpload"];

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(bucket) = &facts.bucket else {
        let problem = "no bucket is named, so nobody looked whether it triggers the importer";
        findings.push(
            Finding::unchecked("bucket-unknown", problem)
                .fix("name it: intake doctor --bucket inventory-upload-YOURNAME"),
        );
        return;
    };
    let name = &bucket.name;
    match &bucket.fact {
        Fact::Seen(Bucket { notifications }) => match notifications {
            Fact::Seen(notifications) => {
                let trigger = Trigger::new(facts, name);
                findings.extend(
                    trigger
                        .check(&notifications.targets, notifications.event_bridge)
                        .map(|finding| finding.lab(LabBug::NotTriggered)),
                );
            }
            Fact::Unknown(refusal) => {
                findings.push(Finding::refused(format!("the S3 trigger of bucket {name}"), refusal));
            }
            Fact::Missing => {}
        },
        Fact::Missing => findings.push(
            Finding::wrong("bucket-missing", format!("bucket {name} does not exist"))
                .lab(LabBug::NotTriggered)
                .fix(format!(
                    "name the right one with --bucket, or make it: aws s3 mb s3://{name} (or sam deploy \
                     --parameter-overrides Suffix=…)"
                )),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(format!("bucket {name}"), refusal));
        }
    }
}

/// What a bucket's notifications are compared with.
struct Trigger<'a> {
    bucket: &'a str,
    prefix: &'a str,
    queue_arn: Option<&'a str>,
    importer: &'a str,
}

impl<'a> Trigger<'a> {
    fn new(facts: &'a Facts, bucket: &'a str) -> Self {
        let queue = facts.queue.as_ref().and_then(|queue| queue.fact.known());
        Self {
            bucket,
            prefix: &facts.prefix,
            queue_arn: queue.map(|queue| queue.arn.as_str()),
            importer: &facts.importer.name,
        }
    }

    fn check(&self, all: &[Notification], event_bridge: bool) -> Option<Finding> {
        let Self { bucket, prefix, .. } = *self;
        let tells_of_new = |notification: &&Notification| {
            notification.events.iter().any(|e| e.starts_with(CREATED))
        };
        let created: Vec<&Notification> = all.iter().filter(tells_of_new).collect();
        if created.is_empty() {
            return Some(match (event_bridge, all.first()) {
                (true, _) => Finding::unchecked(
                    "trigger-eventbridge",
                    format!(
                        "bucket {bucket} tells only EventBridge of new files; whether a rule there starts the importer \
                         is not looked at"
                    ),
                )
                .fix(format!("aws events list-rule-names-by-target --target-arn {}", self.target())),
                (false, None) => Finding::wrong(
                    "trigger-missing",
                    format!(
                        "bucket {bucket} tells nobody of new files: the S3 trigger is not attached, so Lambda is not \
                         triggered"
                    ),
                )
                .fix(self.fix()),
                (false, Some(other)) => Finding::wrong(
                    "trigger-events",
                    format!(
                        "bucket {bucket} tells only of {}: the S3 trigger has the wrong event type",
                        other.events.join(", ")
                    ),
                )
                .fix(self.fix()),
            });
        }
        let ours: Vec<&Notification> = created
            .iter()
            .copied()
            .filter(|notification| self.is_ours(notification))
            .collect();
        let Some(&first) = ours.first() else {
            let problem = format!(
                "bucket {bucket} tells {} of new files, and not {}: the S3 trigger is attached to something else",
                created[0].target_arn,
                self.target()
            );
            return Some(Finding::wrong("trigger-target", problem).fix(self.fix()));
        };
        let of_prefix: Vec<&Notification> = ours
            .into_iter()
            .filter(|notification| prefix.starts_with(&notification.prefix))
            .collect();
        let Some(&covering) = of_prefix.first() else {
            let problem = format!(
                "the S3 trigger of bucket {bucket} is for the prefix {}: files under {prefix} are not imported",
                first.prefix
            );
            return Some(Finding::wrong("trigger-prefix", problem).fix(self.fix()));
        };
        let whole: Vec<&Notification> = of_prefix
            .into_iter()
            .filter(|notification| notification.suffix.is_empty())
            .collect();
        let Some(&any) = whole.first() else {
            let problem = format!(
                "the S3 trigger of bucket {bucket} is for files that end in {} only: others are not imported",
                covering.suffix
            );
            return Some(Finding::wrong("trigger-suffix", problem).fix(self.fix()));
        };
        let lacking: Vec<&str> = CREATIONS
            .into_iter()
            .filter(|creation| {
                let is = |event: &String| matches!(event.strip_prefix(CREATED), Some(of) if of == "*" || of == *creation);
                !whole.iter().any(|notification| notification.events.iter().any(is))
            })
            .collect();
        if !lacking.is_empty() {
            let problem = format!(
                "the S3 trigger of bucket {bucket} leaves out {}: large files, which are uploaded in parts, or copies \
                 are not imported",
                lacking.join(", ")
            );
            return Some(Finding::wrong("trigger-events", problem).fix(self.fix()));
        }
        if any.prefix == prefix {
            return None;
        }
        let problem = format!(
            "the S3 trigger of bucket {bucket} is not limited to {prefix}: the importer is told of its own reports, too, \
             and passes over them"
        );
        Some(Finding::note("trigger-unlimited", problem).fix(self.fix()))
    }

    fn is_ours(&self, reported: &Notification) -> bool {
        let target = reported.target_arn.as_str();
        let function = target
            .split_once(":function:")
            .map(|(_, function)| function);
        // The lab's own wiring: the bucket starts the function itself.
        let is_importer = function.and_then(|f| f.split(':').next()) == Some(self.importer);
        is_importer || self.queue_arn.is_none_or(|queue| queue == target)
    }

    fn target(&self) -> String {
        match self.queue_arn {
            Some(arn) => arn.to_owned(),
            None => format!("the importer {}", self.importer),
        }
    }

    /// The command that makes the trigger as it is to be.
    fn fix(&self) -> String {
        let configuration = json!({ "QueueConfigurations": [{
            "QueueArn": self.queue_arn.unwrap_or("QUEUE_ARN"),
            "Events": [format!("{CREATED}*")],
            "Filter": { "Key": { "FilterRules": [{ "Name": "prefix", "Value": self.prefix }] } },
        }] });
        format!(
            "aws s3api put-bucket-notification-configuration --bucket {} --notification-configuration {} (it replaces \
             all of the bucket's notifications)",
            self.bucket,
            quoted(&configuration.to_string())
        )
    }
}
