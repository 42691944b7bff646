//! What people may do in DynamoDB, and how it says no.

use axum::body::Body;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::Value;
use uuid::Uuid;

use super::keys::{Access, Caller, KeyError, access_key_id, is_temporary, session_token};
use super::policy::{Context, allows_table};
use super::refuse::not_authorized;
use super::{expression, signature};
use crate::deployment::{self, JOBS_TABLE, PARTITION_KEY, TABLE};
use crate::server::{header, set_header};
use crate::services::dynamodb::error_response;

/// Expressions of a request that name attributes.
const EXPRESSIONS: [&str; 5] = [
    "UpdateExpression",
    "ConditionExpression",
    "KeyConditionExpression",
    "FilterExpression",
    "ProjectionExpression",
];
/// What came before expressions: maps from attributes' names.
const LEGACY: [&str; 5] = [
    "AttributeUpdates",
    "Expected",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
];

impl Access {
    /// How DynamoDB refuses a request, if it is made with temporary credentials and not one that these allow.
    pub(crate) fn refuse_table_request(&self, head: &Parts, body: &[u8]) -> Option<Response<Body>> {
        let key = access_key_id(head).filter(|key| is_temporary(key))?;
        let refusal = match self.caller(&key, session_token(&head.headers, &head.uri).as_deref()) {
            Err(KeyError::UnknownKey | KeyError::WrongToken) => Some((
                "UnrecognizedClientException",
                "The security token included in the request is invalid.".to_owned(),
            )),
            Err(KeyError::Expired) => Some((
                "ExpiredTokenException",
                "The security token included in the request is expired".to_owned(),
            )),
            Ok(caller) => refuse_caller(&caller, head, body),
        };
        let (exception, message) = refusal?;
        let mut response = error_response(StatusCode::BAD_REQUEST, exception, &message);
        // As from DynamoDB, though no browser may read it.
        let request_id = Uuid::new_v4().to_string();
        set_header(&mut response, "x-amzn-requestid", &request_id);
        Some(response)
    }
}

fn refuse_caller(caller: &Caller, head: &Parts, body: &[u8]) -> Option<(&'static str, String)> {
    if !signature::is_valid(head, body, &caller.secret_access_key) {
        return Some((
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details."
                .to_owned(),
        ));
    }
    let target = header(&head.headers, "x-amz-target").unwrap_or_default();
    // Streams have the same endpoint here and other actions in IAM, none of which is allowed.
    let operation = target
        .strip_prefix("DynamoDB_20120810.")
        .unwrap_or_default();
    let action = format!("dynamodb:{operation}");
    // What is no request is for DynamoDB to refuse, if its table may be asked at all.
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let resource = resource(&request);
    let context = context(&resource, &request);
    if allows_table(&caller.identity, &action, &resource, &context) {
        return None;
    }
    let arn = deployment::arn("dynamodb", &format!("table/{resource}"));
    Some(("AccessDeniedException", not_authorized(&action, &arn)))
}

/// What the request is on: the table, or its index.
fn resource(request: &Value) -> String {
    let table = request["TableName"].as_str().unwrap_or("*");
    // A table can be named by its ARN.
    let table = table.rsplit('/').next().unwrap_or_default();
    match request["IndexName"].as_str() {
        Some(index) => format!("{table}/index/{index}"),
        None => table.to_owned(),
    }
}

fn context(table: &str, request: &Value) -> Context {
    let partition_key = match table {
        JOBS_TABLE => "owner",
        TABLE => PARTITION_KEY,
        _ => return Context::default(),
    };
    let names = &request["ExpressionAttributeNames"];
    let values = &request["ExpressionAttributeValues"];
    let key_condition = request["KeyConditionExpression"].as_str();
    let mut keys: Vec<&Value> = key_condition.map_or_else(Vec::new, |condition| {
        expression::equal_to(condition, partition_key, names, values)
    });
    keys.extend(request["Key"].get(partition_key));
    // A key that is no string is nobody's identity.
    let key = |value: &Value| value["S"].as_str().unwrap_or_default().to_owned();

    let mut attributes: Vec<&str> = Vec::new();
    for name in EXPRESSIONS {
        let expression = request[name].as_str().unwrap_or_default();
        attributes.extend(expression::attributes(expression, names));
    }
    let maps = LEGACY.iter().chain(&["Key"]);
    let maps = maps.filter_map(|name| request[*name].as_object());
    attributes.extend(maps.flat_map(|map| map.keys().map(String::as_str)));
    let listed = request["AttributesToGet"].as_array().into_iter().flatten();
    attributes.extend(listed.filter_map(Value::as_str));

    Context {
        leading_keys: keys.into_iter().map(key).collect(),
        attributes: attributes.into_iter().map(str::to_owned).collect(),
        return_values: request["ReturnValues"].as_str().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn requests_say_what_the_conditions_ask_for() {
        let text = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let cancel = json!({
            "TableName": JOBS_TABLE,
            "Key": { "owner": { "S": "me" }, "job": { "S": "j" } },
            "UpdateExpression": "SET #c = :t",
            "ConditionExpression": "attribute_exists(#j)",
            "ExpressionAttributeNames": { "#c": "cancel_requested", "#j": "job" },
            "ExpressionAttributeValues": { ":t": { "BOOL": true } },
            "ReturnValues": "NONE",
        });
        let mut found = context(JOBS_TABLE, &cancel);
        found.attributes.sort();
        let expected = Context {
            leading_keys: text(&["me"]),
            attributes: text(&["cancel_requested", "job", "job", "owner"]),
            return_values: Some("NONE".to_owned()),
        };
        assert_eq!(found, expected);
        for (request, keys) in [
            (json!({ "Key": { "owner": { "S": "me" } } }), vec!["me"]),
            (json!({ "Key": { "owner": { "N": "1" } } }), vec![""]),
            (json!({ "Key": { "job": { "S": "me" } } }), vec![]),
            (
                json!({
                    "KeyConditionExpression": "#o = :o",
                    "ExpressionAttributeNames": { "#o": "owner" },
                    "ExpressionAttributeValues": { ":o": { "S": "me" } },
                }),
                vec!["me"],
            ),
            (
                json!({ "KeyConditionExpression": "owner = :missing" }),
                vec![""],
            ),
            (json!({ "KeyConditions": { "owner": {} } }), vec![]),
        ] {
            assert_eq!(
                context(JOBS_TABLE, &request).leading_keys,
                keys,
                "{request}"
            );
        }
        for (request, name) in [
            (json!({ "TableName": "T" }), "T"),
            (
                json!({ "TableName": "arn:aws:dynamodb:us-east-1:1:table/T" }),
                "T",
            ),
            (json!({ "TableName": "T", "IndexName": "I" }), "T/index/I"),
            (json!({ "Statement": "SELECT * FROM T" }), "*"),
        ] {
            assert_eq!(resource(&request), name);
        }
    }
}
