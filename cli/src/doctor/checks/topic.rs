//! The topic, and who gets what is published to it.

use crate::doctor::facts::{Fact, Facts, Named, last};
use crate::doctor::finding::{Finding, LabBug};

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(Named { name: arn, fact }) = &facts.topic else {
        return;
    };
    let name = last(arn);
    let subscribe = format!(
        "aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint you@example.com, and confirm in the \
         mail that comes (sam deploy --parameter-overrides AlertEmail=you@example.com)"
    );
    match fact {
        Fact::Missing => {
            let problem = format!(
                "topic {arn} does not exist: the ARN is incorrect, or the topic was deleted"
            );
            findings.push(
                Finding::wrong("topic-missing", problem)
                    .lab(LabBug::NoEmail)
                    .fix(format!(
                        "aws sns create-topic --name {name}, or put the right ARN into INTAKE_TOPIC_ARN of both functions \
                         (sam deploy --parameter-overrides TopicName=…)"
                    )),
            );
        }
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(
                format!("subscriptions of topic {name}"),
                refusal,
            ));
        }
        Fact::Seen(subscriptions) if subscriptions.is_empty() => {
            let problem = format!("nobody is subscribed to topic {name}: no e-mail is received");
            findings.push(
                Finding::note("topic-without-subscription", problem)
                    .lab(LabBug::NoEmail)
                    .fix(subscribe),
            );
        }
        Fact::Seen(subscriptions) => {
            for subscription in subscriptions.iter().filter(|s| !s.is_confirmed) {
                let (protocol, endpoint) = (&subscription.protocol, &subscription.endpoint);
                let problem = format!(
                    "the {protocol} subscription of {endpoint} to topic {name} is not confirmed: it gets nothing"
                );
                findings.push(
                    Finding::wrong("subscription-unconfirmed", problem)
                        .lab(LabBug::NoEmail)
                        .fix(format!(
                            "follow the link \"Confirm subscription\" in the mail from AWS; for another mail: aws sns \
                             subscribe --topic-arn {arn} --protocol {protocol} --notification-endpoint {endpoint}"
                        )),
                );
            }
        }
    }
}
