//! What a queue's policy lets S3 do.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/grant-destinations-permissions-to-s3.html>

use serde_json::Value;

/// Whether a queue's policy lets S3 send to it for a bucket.
///
/// Conditions on anything but the source are taken to be met.
pub(super) fn lets_bucket_send(policy: &str, queue_arn: &str, bucket_arn: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(policy) else {
        return false;
    };
    let account = queue_arn.split(':').nth(4).unwrap_or_default();
    let about_s3 = |statement: &&Value| {
        has_action(&statement["Action"], "sqs:sendmessage")
            && any(&statement["Resource"], queue_arn)
            && is_s3(&statement["Principal"])
    };
    let statements: Vec<&Value> = list(&policy["Statement"]).filter(about_s3).collect();
    let has = |effect: &str, holds: &dyn Fn(&Value) -> bool| {
        statements
            .iter()
            .any(|statement| statement["Effect"] == effect && holds(&statement["Condition"]))
    };
    // What is denied under a condition is mostly what comes without TLS.
    has("Allow", &|condition| {
        source_fits(condition, bucket_arn, account)
    }) && !has("Deny", &Value::is_null)
}

/// The bucket that a queue's policy was written for.
pub(super) fn bucket_of(policy: &str) -> Option<String> {
    let policy: Value = serde_json::from_str(policy).ok()?;
    let conditions =
        list(&policy["Statement"]).filter_map(|statement| statement["Condition"].as_object());
    let keys =
        conditions.flat_map(|operators| operators.values().filter_map(Value::as_object).flatten());
    let mut arns = keys
        .filter(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"))
        .flat_map(|(_, arns)| list(arns).filter_map(Value::as_str));
    arns.find_map(|arn| {
        let (_, bucket) = arn.split_once(":s3:::")?;
        (!bucket.contains(['*', '?'])).then(|| bucket.to_owned())
    })
}

fn is_s3(principal: &Value) -> bool {
    principal == "*" || any(&principal["Service"], "s3.amazonaws.com") || principal["AWS"] == "*"
}

/// Whether the conditions on the source, such as `{"ArnEquals": {"aws:SourceArn": …}}`, are met.
fn source_fits(condition: &Value, bucket_arn: &str, account: &str) -> bool {
    let operators = condition.as_object().into_iter().flatten();
    let mut tests = operators.flat_map(|(operator, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, expected)| (operator, key, expected))
    });
    tests.all(|(operator, key, expected)| {
        // `ArnNotLike`, `StringNotEquals`: met by what the value is not.
        let wanted = !operator.contains("Not");
        match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => any(expected, bucket_arn) == wanted,
            "aws:sourceaccount" => any(expected, account) == wanted,
            _ => true,
        }
    })
}

/// Whether one of the patterns covers `wanted`, as resources and principals are compared.
fn any(patterns: &Value, wanted: &str) -> bool {
    let mut patterns = list(patterns).filter_map(Value::as_str);
    patterns.any(|pattern| covers(pattern, wanted))
}

/// Whether one of the patterns covers an action in lower case: case does not matter here.
fn has_action(patterns: &Value, action: &str) -> bool {
    let mut patterns = list(patterns).filter_map(Value::as_str);
    patterns.any(|pattern| covers(&pattern.to_ascii_lowercase(), action))
}

/// A policy has a list where there are several, and else the thing itself.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value), Vec::as_slice)
        .iter()
}

/// Whether `text` is `pattern`, in which `*` stands for anything and `?` for one character. ARNs differ by case; actions do
/// not, and are to be compared in lower case.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
fn covers(pattern: &str, text: &str) -> bool {
    fn covers(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                covers(rest, text) || (!text.is_empty() && covers(pattern, &text[1..]))
            }
            ([b'?', rest @ ..], [_, text @ ..]) => covers(rest, text),
            ([one, rest @ ..], [other, text @ ..]) if one == other => covers(rest, text),
            _ => false,
        }
    }
    covers(pattern.as_bytes(), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_lets_the_bucket_send_or_not() {
        const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:q";
        let cases = [
            (
                r#""Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"Q""#,
                true,
            ),
            (
                r#""Effect":"Allow","Principal":{"Service":["sns.amazonaws.com","s3.amazonaws.com"]},"Action":["SQS:Send*"],"Resource":"*""#,
                true,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:s3:::b*"}}"#,
                true,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}"#,
                true,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"StringEquals":{"aws:SourceAccount":"1"}}"#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:s3:::other"}}"#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:*","Resource":"Q""#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:ReceiveMessage","Resource":"Q""#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Qx""#,
                false,
            ),
            // Names differ by case.
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"arn:aws:sqs:eu-west-1:123456789012:Q""#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"StringNotEquals":{"aws:SourceAccount":"123456789012"}}"#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"ArnNotLike":{"aws:SourceArn":"arn:aws:s3:::other"}}"#,
                true,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q"},{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"Q""#,
                false,
            ),
            (
                r#""Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"Q"},{"Effect":"Deny","Principal":"*","Action":"sqs:*","Resource":"Q","Condition":{"Bool":{"aws:SecureTransport":false}}"#,
                true,
            ),
        ];
        for (statements, lets) in cases {
            let statements = statements.replace("\"Q", &format!("\"{QUEUE}"));
            let policy = format!("{{\"Statement\":[{{{statements}}}]}}");
            assert_eq!(
                lets_bucket_send(&policy, QUEUE, "arn:aws:s3:::bucket"),
                lets,
                "{policy}"
            );
        }
        for (arn, bucket) in [
            ("arn:aws:s3:::b", Some("b")),
            ("arn:aws:s3:::b-*", None),
            ("arn:aws:sns:r:1:t", None),
        ] {
            let policy = format!(
                r#"{{"Statement":{{"Condition":{{"ArnLike":{{"aws:SourceArn":"{arn}"}}}}}}}}"#
            );
            assert_eq!(bucket_of(&policy).as_deref(), bucket);
        }
        assert!(!lets_bucket_send("no JSON", QUEUE, "arn:aws:s3:::bucket"));
    }
}
