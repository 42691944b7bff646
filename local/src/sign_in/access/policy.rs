//! The statements of the role `DashboardUserRole` in `sam/template.yaml`, and whether they allow a request. A test
//! compares them with the template.

use crate::deployment::{BUCKET, JOBS_TABLE, TABLE};

/// One statement; what no statement allows is denied.
struct Statement {
    /// Its name in the template; the test finds it by that.
    #[cfg_attr(not(test), allow(dead_code))]
    sid: &'static str,
    actions: &'static [&'static str],
    resource: Resource,
    conditions: &'static [Condition],
}

#[derive(Clone, Copy)]
enum Resource {
    /// Objects of [`BUCKET`] under this prefix, the identity and a slash.
    OwnObjects(&'static str),
    Table(&'static str),
}

enum Condition {
    /// `dynamodb:LeadingKeys`: there are partition keys, and all are the identity.
    LeadingKeysAreOwn,
    /// `dynamodb:Attributes`: there are attributes, and all are of these.
    AttributesAmong(&'static [&'static str]),
    /// `dynamodb:ReturnValues` is `NONE`, if it is said.
    ReturnsNothing,
}

const STATEMENTS: [Statement; 6] = [
    Statement {
        sid: "UploadOwnFiles",
        actions: &[
            "s3:PutObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
        ],
        resource: Resource::OwnObjects("uploads/"),
        conditions: &[],
    },
    Statement {
        sid: "ReadOwnUploads",
        actions: &["s3:GetObject"],
        resource: Resource::OwnObjects("uploads/"),
        conditions: &[],
    },
    Statement {
        sid: "ReadOwnReports",
        actions: &["s3:GetObject"],
        resource: Resource::OwnObjects("reports/"),
        conditions: &[],
    },
    Statement {
        sid: "ReadOwnJobs",
        actions: &["dynamodb:GetItem", "dynamodb:Query"],
        resource: Resource::Table(JOBS_TABLE),
        conditions: &[Condition::LeadingKeysAreOwn],
    },
    Statement {
        sid: "CancelOwnJobs",
        actions: &["dynamodb:UpdateItem"],
        resource: Resource::Table(JOBS_TABLE),
        conditions: &[
            Condition::LeadingKeysAreOwn,
            Condition::AttributesAmong(&["owner", "job", "cancel_requested"]),
            Condition::ReturnsNothing,
        ],
    },
    Statement {
        sid: "ReadTable",
        actions: &[
            "dynamodb:DescribeTable",
            "dynamodb:GetItem",
            "dynamodb:Query",
            "dynamodb:Scan",
        ],
        resource: Resource::Table(TABLE),
        conditions: &[],
    },
];

/// What a request to DynamoDB says about
/// [itself](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) leading_keys: Vec<String>,
    pub(super) attributes: Vec<String>,
    pub(super) return_values: Option<String>,
}

/// Whether somebody may do `action` to an object.
pub(super) fn allows_object(identity: &str, action: &str, bucket: &str, key: &str) -> bool {
    let own = |prefix: &str| {
        let rest = key.strip_prefix(prefix);
        let rest = rest.and_then(|rest| rest.strip_prefix(identity));
        bucket == BUCKET && rest.is_some_and(|rest| rest.starts_with('/'))
    };
    STATEMENTS.iter().any(|statement| {
        statement.actions.contains(&action)
            && matches!(statement.resource, Resource::OwnObjects(prefix) if own(prefix))
    })
}

/// Whether somebody may do `action` to a table.
pub(super) fn allows_table(identity: &str, action: &str, table: &str, context: &Context) -> bool {
    let holds = |condition: &Condition| match condition {
        Condition::LeadingKeysAreOwn => {
            let keys = &context.leading_keys;
            !keys.is_empty() && keys.iter().all(|key| key == identity)
        }
        Condition::AttributesAmong(allowed) => {
            let attributes = &context.attributes;
            let is_allowed = |name: &String| allowed.contains(&name.as_str());
            !attributes.is_empty() && attributes.iter().all(is_allowed)
        }
        Condition::ReturnsNothing => context
            .return_values
            .as_ref()
            .is_none_or(|values| values == "NONE"),
    };
    STATEMENTS.iter().any(|statement| {
        statement.actions.contains(&action)
            && matches!(statement.resource, Resource::Table(name) if name == table)
            && statement.conditions.iter().all(holds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &str = "us-east-1:11111111-1111-4111-8111-111111111111";
    const TEMPLATE: &str = include_str!("../../../../sam/template.yaml");

    /// The template's policy as lines without indentation and comments, those of each statement together.
    fn template() -> Vec<(String, Vec<&'static str>)> {
        let (_, rest) = TEMPLATE.split_once("PolicyName: dashboard\n").unwrap();
        let (policy, _) = rest.split_once("\n  # Dashboard: the page").unwrap();
        let mut statements: Vec<(String, Vec<&str>)> = Vec::new();
        for line in policy.lines().map(str::trim) {
            if let Some((_, sid)) = line.split_once("- Sid: ") {
                statements.push((sid.to_owned(), Vec::new()));
            } else if let Some((_, lines)) = statements.last_mut()
                && !line.starts_with('#')
                && !line.is_empty()
            {
                lines.push(line);
            }
        }
        statements
    }

    /// A statement as lines of the template.
    fn lines(statement: &Statement) -> Vec<String> {
        let list = |names: &[&str]| match names {
            [name] => (*name).to_owned(),
            names => format!("[{}]", names.join(", ")),
        };
        let mut lines = vec![
            "Effect: Allow".to_owned(),
            format!("Action: {}", list(statement.actions)),
        ];
        match statement.resource {
            Resource::OwnObjects(prefix) => lines.push(format!(
                "Resource: !Sub arn:${{AWS::Partition}}:s3:::inventory-upload-${{Suffix}}/{prefix}\
                 ${{!cognito-identity.amazonaws.com:sub}}/*"
            )),
            Resource::Table(JOBS_TABLE) => lines.push("Resource: !GetAtt ImportJobs.Arn".to_owned()),
            Resource::Table(_) => lines.extend(
                [
                    "Resource: !If",
                    "- CreateTable",
                    "- !GetAtt InventoryTable.Arn",
                    "- !Sub arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${ExistingTableName}",
                ]
                .map(str::to_owned),
            ),
        }
        let (mut all, mut null, mut equal) = (Vec::new(), Vec::new(), Vec::new());
        for condition in statement.conditions {
            let (key, values) = match condition {
                Condition::LeadingKeysAreOwn => (
                    "LeadingKeys",
                    "['${cognito-identity.amazonaws.com:sub}']".to_owned(),
                ),
                Condition::AttributesAmong(names) => ("Attributes", list(names)),
                Condition::ReturnsNothing => {
                    equal.push("dynamodb:ReturnValues: NONE".to_owned());
                    continue;
                }
            };
            all.push(format!("dynamodb:{key}: {values}"));
            null.push(format!("dynamodb:{key}: false"));
        }
        if !all.is_empty() {
            lines.push("Condition:".to_owned());
        }
        for (operator, conditions) in [
            ("ForAllValues:StringEquals:", all),
            ("'Null':", null),
            ("StringEqualsIfExists:", equal),
        ] {
            if !conditions.is_empty() {
                lines.push(operator.to_owned());
                lines.extend(conditions);
            }
        }
        lines
    }

    #[test]
    fn the_statements_are_those_of_the_template() {
        let mut template = template();
        // The last one is about KMS, which nobody has here.
        assert_eq!(template.pop().unwrap().0, "UseTheKeyThroughTheServices");
        let before = &mut template.last_mut().unwrap().1;
        assert_eq!(before.split_off(before.len() - 2), ["- !If", "- HasKmsKey"]);
        assert_eq!(template.len(), STATEMENTS.len());
        for (statement, (sid, expected)) in STATEMENTS.iter().zip(template) {
            assert_eq!(statement.sid, sid);
            assert_eq!(lines(statement), expected, "{sid}");
        }
    }

    #[test]
    fn objects_are_told_apart_by_the_whole_identity() {
        let other = "us-east-1:22222222-2222-4222-8222-222222222222";
        for (action, bucket, key, allowed) in [
            ("s3:PutObject", BUCKET, format!("uploads/{ME}/a.csv"), true),
            (
                "s3:PutObject",
                BUCKET,
                format!("uploads/{ME}/a/b.csv"),
                true,
            ),
            (
                "s3:AbortMultipartUpload",
                BUCKET,
                format!("uploads/{ME}/a"),
                true,
            ),
            (
                "s3:ListMultipartUploadParts",
                BUCKET,
                format!("uploads/{ME}/a"),
                true,
            ),
            (
                "s3:GetObject",
                BUCKET,
                format!("reports/{ME}/j/summary.json"),
                true,
            ),
            ("s3:GetObject", BUCKET, format!("uploads/{ME}/a.csv"), true),
            (
                "s3:DeleteObject",
                BUCKET,
                format!("uploads/{ME}/a.csv"),
                false,
            ),
            ("s3:PutObject", BUCKET, format!("reports/{ME}/a.csv"), false),
            (
                "s3:PutObject",
                BUCKET,
                format!("uploads/{other}/a.csv"),
                false,
            ),
            (
                "s3:PutObject",
                BUCKET,
                format!("uploads/{ME}x/a.csv"),
                false,
            ),
            ("s3:PutObject", BUCKET, format!("uploads/{ME}"), false),
            ("s3:PutObject", BUCKET, format!("x/uploads/{ME}/a"), false),
            ("s3:PutObject", BUCKET, "uploads/a.csv".to_owned(), false),
            (
                "s3:PutObject",
                "another-bucket",
                format!("uploads/{ME}/a"),
                false,
            ),
        ] {
            assert_eq!(
                allows_object(ME, action, bucket, &key),
                allowed,
                "{action} {key}"
            );
        }
    }

    #[test]
    fn jobs_are_the_owners_and_the_table_is_everybodys() {
        let context = |keys: &[&str], attributes: &[&str], returns: Option<&str>| Context {
            leading_keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            attributes: attributes.iter().map(|name| (*name).to_owned()).collect(),
            return_values: returns.map(str::to_owned),
        };
        let cancel = ["owner", "job", "cancel_requested"];
        for (action, table, context, allowed) in [
            (
                "dynamodb:Query",
                JOBS_TABLE,
                context(&[ME], &[], None),
                true,
            ),
            (
                "dynamodb:Query",
                JOBS_TABLE,
                context(&["-"], &[], None),
                false,
            ),
            (
                "dynamodb:Query",
                JOBS_TABLE,
                context(&[ME, "-"], &[], None),
                false,
            ),
            ("dynamodb:Query", JOBS_TABLE, context(&[], &[], None), false),
            (
                "dynamodb:Scan",
                JOBS_TABLE,
                context(&[ME], &[], None),
                false,
            ),
            (
                "dynamodb:PutItem",
                JOBS_TABLE,
                context(&[ME], &cancel, None),
                false,
            ),
            (
                "dynamodb:UpdateItem",
                JOBS_TABLE,
                context(&[ME], &cancel, None),
                true,
            ),
            (
                "dynamodb:UpdateItem",
                JOBS_TABLE,
                context(&[ME], &cancel, Some("NONE")),
                true,
            ),
            (
                "dynamodb:UpdateItem",
                JOBS_TABLE,
                context(&[ME], &cancel, Some("ALL_NEW")),
                false,
            ),
            (
                "dynamodb:UpdateItem",
                JOBS_TABLE,
                context(&[ME], &["owner", "status"], None),
                false,
            ),
            (
                "dynamodb:UpdateItem",
                JOBS_TABLE,
                context(&["-"], &cancel, None),
                false,
            ),
            ("dynamodb:Scan", TABLE, context(&[], &[], None), true),
            ("dynamodb:GetItem", TABLE, context(&["P1"], &[], None), true),
            (
                "dynamodb:PutItem",
                TABLE,
                context(&["P1"], &[], None),
                false,
            ),
            ("dynamodb:Scan", "another", context(&[], &[], None), false),
        ] {
            assert_eq!(
                allows_table(ME, action, table, &context),
                allowed,
                "{action} {table} {context:?}"
            );
        }
    }
}
