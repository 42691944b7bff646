//! The queue between bucket and importer, and its dead-letter queue.

use serde_json::json;

use crate::doctor::facts::{Fact, Facts, Named, Queue, last};
use crate::doctor::finding::{Finding, LabBug, quoted};
use crate::doctor::policy;

/// Receives that [AWS advises](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html) at least, so
/// that a message is not set aside because Lambda had no room for it.
const RECEIVES_MIN: u64 = 5;
/// What the SAM template has.
const RECEIVES: u64 = 10;

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(Named { name: url, fact }) = &facts.queue else {
        return;
    };
    let name = last(url);
    match fact {
        Fact::Seen(queue) => check_queue(facts, url, queue, findings),
        Fact::Missing => findings.push(
            Finding::wrong(
                "queue-missing",
                format!("queue {name}, by which the importer is to hear of files, does not exist"),
            )
            .lab(LabBug::NotTriggered)
            .fix("sam deploy makes it again, with its policy, trigger and mapping"),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(format!("queue {name}"), refusal));
        }
    }
    let Some(Named { name: arn, fact }) = &facts.dead_letters else {
        return;
    };
    let dead = last(arn);
    match fact {
        Fact::Seen(0) => {}
        Fact::Seen(messages) => findings.push(
            Finding::wrong(
                "dead-letters",
                format!("{messages} messages about files are in the dead-letter queue {dead}: these files were set aside"),
            )
            .fix(format!(
                "look at them with aws sqs receive-message --queue-url $(aws sqs get-queue-url --queue-name {dead} --output \
                 text), remove the cause (intake status tells the reason), then send them back: aws sqs \
                 start-message-move-task --source-arn {arn}"
            )),
        ),
        Fact::Missing => findings.push(
            Finding::wrong(
                "dead-letter-queue-missing",
                format!("the dead-letter queue {dead} of queue {name} does not exist: files that cannot be imported are lost from sight"),
            )
            .fix(format!("aws sqs create-queue --queue-name {dead}")),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(format!("dead-letter queue {dead}"), refusal));
        }
    }
}

fn check_queue(facts: &Facts, url: &str, queue: &Queue, findings: &mut Vec<Finding>) {
    let name = last(&queue.arn);
    let set = |attributes: serde_json::Value| {
        let attributes = quoted(&attributes.to_string());
        format!("aws sqs set-queue-attributes --queue-url {url} --attributes {attributes}")
    };
    let bucket = facts.bucket.as_ref();
    if let Some(bucket) = bucket.filter(|bucket| bucket.fact != Fact::Missing) {
        let partition = queue.arn.split(':').nth(1).unwrap_or("aws");
        let bucket_arn = format!("arn:{partition}:s3:::{}", bucket.name);
        let policy = queue.policy.as_deref().unwrap_or_default();
        if !policy::lets_bucket_send(policy, &queue.arn, &bucket_arn) {
            let policy = json!({ "Version": "2012-10-17", "Statement": [{
                "Effect": "Allow",
                "Principal": { "Service": "s3.amazonaws.com" },
                "Action": "sqs:SendMessage",
                "Resource": queue.arn,
                "Condition": { "ArnEquals": { "aws:SourceArn": bucket_arn } },
            }] });
            let problem = format!(
                "the policy of queue {name} does not let bucket {} send to it, so Lambda is not triggered",
                bucket.name
            );
            findings.push(
                Finding::wrong("queue-policy", problem)
                    .lab(LabBug::NotTriggered)
                    .fix(set(json!({ "Policy": policy.to_string() }))),
            );
        }
    }
    if let Some(importer) = facts.importer.configuration.known()
        && queue.visibility_timeout_seconds < importer.timeout_seconds
    {
        let (hidden, runs) = (queue.visibility_timeout_seconds, importer.timeout_seconds);
        let problem = format!(
            "queue {name} shows a message again after {hidden} s, while the importer may still be at work on it for its \
             timeout of {runs} s: files are delivered twice, and set aside too early"
        );
        findings.push(
            Finding::wrong("queue-visibility-timeout", problem)
                .lab(LabBug::Timeout)
                .fix(set(json!({ "VisibilityTimeout": (runs + 60).to_string() }))),
        );
    }
    match &queue.redrive {
        None => findings.push(
            Finding::wrong(
                "queue-redrive",
                format!("queue {name} has no dead-letter queue: what cannot be imported is tried for days, and then gone"),
            )
            .fix(set(json!({ "RedrivePolicy": redrive(&format!("{}-dlq", queue.arn)) }))),
        ),
        Some(to) if to.max_receive_count < RECEIVES_MIN => {
            let problem = format!(
                "queue {name} sets a file aside after {} receives: before its job can fail with a reason",
                to.max_receive_count
            );
            findings.push(
                Finding::wrong("queue-receives", problem)
                    .fix(set(json!({ "RedrivePolicy": redrive(&to.target_arn) }))),
            );
        }
        Some(_) => {}
    }
}

fn redrive(target_arn: &str) -> String {
    json!({ "deadLetterTargetArn": target_arn, "maxReceiveCount": RECEIVES }).to_string()
}
