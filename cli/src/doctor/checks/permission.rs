//! What the functions' roles may not do.

use serde_json::json;

use crate::doctor::facts::{Fact, Facts, Lack, Permissions, Who, last};
use crate::doctor::finding::{Finding, LabBug, quoted};

/// The permission that the lab has a bug of its own for.
const PUBLISH: &str = "sns:Publish";

pub(super) fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    for permissions in &facts.permissions {
        let (who, id, publish_id) = match permissions.who {
            Who::Importer => (
                "importer",
                "importer-permission",
                "importer-publish-permission",
            ),
            Who::Notifier => (
                "notifier",
                "notifier-permission",
                "notifier-publish-permission",
            ),
        };
        let lacking = match &permissions.lacking {
            Fact::Seen(lacking) => lacking,
            Fact::Missing => {
                let role = last(&permissions.role_arn);
                findings.push(
                    Finding::wrong(
                        id,
                        format!("the role {role} of the {who} does not exist: it may do nothing"),
                    )
                    .lab(LabBug::AccessDenied)
                    .fix("sam deploy makes it again"),
                );
                continue;
            }
            Fact::Unknown(refusal) => {
                findings.push(Finding::refused(
                    format!("permissions of the {who}"),
                    refusal,
                ));
                continue;
            }
        };
        let (publish, others): (Vec<&Lack>, Vec<&Lack>) =
            lacking.iter().partition(|lack| lack.action == PUBLISH);
        for (id, bug, lacks) in [
            (id, LabBug::AccessDenied, others),
            (publish_id, LabBug::NoPublish, publish),
        ] {
            if !lacks.is_empty() {
                findings.push(lacking_finding(id, who, permissions, &lacks).lab(bug));
            }
        }
    }
}

fn lacking_finding(
    id: &'static str,
    who: &str,
    permissions: &Permissions,
    lacks: &[&Lack],
) -> Finding {
    let role = last(&permissions.role_arn);
    let each: Vec<String> = lacks
        .iter()
        .map(|lack| format!("{} on {}", lack.action, lack.resource))
        .collect();
    let each = each.join(", ");
    let problem =
        format!("missing permission: the role {role} of the {who} may not {each} (AccessDenied)");
    if lacks.iter().any(|lack| lack.is_forbidden) {
        let fix = format!(
            "a policy forbids it: find the Deny in the policies and the boundary of role {role}, and remove it"
        );
        return Finding::wrong(id, problem).fix(fix);
    }
    let statements: Vec<_> = lacks
        .iter()
        .map(|lack| json!({ "Effect": "Allow", "Action": lack.action, "Resource": lack.resource }))
        .collect();
    let policy = json!({ "Version": "2012-10-17", "Statement": statements });
    Finding::wrong(id, problem).fix(format!(
        "sam deploy, or aws iam put-role-policy --role-name {role} --policy-name intake-{who} --policy-document {}",
        quoted(&policy.to_string())
    ))
}
