//! IAM: what the functions' roles may do, by the
//! [query protocol](https://docs.aws.amazon.com/IAM/latest/APIReference/CommonParameters.html).
//!
//! Roles have inline policies, and [`SimulatePrincipalPolicy`](https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html)
//! says what comes of them. Nothing is enforced: the local services let everybody do everything. Of a statement,
//! `Effect`, `Action` and `Resource` count; conditions, `NotAction` and `NotResource` are not known here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use serde_json::Value;

use crate::deployment::ACCOUNT_ID;
use crate::lock::lock;
use crate::server::{Handler, read_body, response};
use crate::services::query::{Element, Form, error_body, response_body};

pub(crate) const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Policies by their names.
type Policies = BTreeMap<String, Value>;

/// The roles, and the policies in each.
#[derive(Debug, Default)]
pub(crate) struct Roles(Mutex<BTreeMap<String, Policies>>);

/// An error as IAM answers it.
struct IamError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// ARN of the role with this name.
pub(crate) fn role_arn(name: &str) -> String {
    format!("arn:aws:iam::{ACCOUNT_ID}:role/{name}")
}

impl Handler for Roles {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let body = read_body(request.into_body()).await.unwrap_or_default();
        let form: Form = form_urlencoded::parse(&body).into_owned().collect();
        let action = form.get("Action").map_or("", String::as_str);
        let (status, xml) = match self.act(action, &form) {
            Ok(result) => (StatusCode::OK, response_body(NAMESPACE, action, &result)),
            Err(error) => (
                error.status,
                error_body(NAMESPACE, error.code, &error.message),
            ),
        };
        response(status, "text/xml", xml)
    }
}

impl Roles {
    /// Adds a role with one policy and returns its ARN.
    pub(crate) fn create(&self, name: &str, policy: Value) -> String {
        let policies = Policies::from([("own".to_owned(), policy)]);
        lock(&self.0).insert(name.to_owned(), policies);
        role_arn(name)
    }

    fn act(&self, action: &str, form: &Form) -> Result<Vec<Element>, IamError> {
        let mut roles = lock(&self.0);
        match action {
            "PutRolePolicy" => {
                let document = parameter(form, "PolicyDocument")?;
                let document: Value = serde_json::from_str(document).map_err(|error| IamError {
                    status: StatusCode::BAD_REQUEST,
                    code: "MalformedPolicyDocument",
                    message: error.to_string(),
                })?;
                let policy = parameter(form, "PolicyName")?.to_owned();
                role(&mut roles, parameter(form, "RoleName")?)?.insert(policy, document);
                Ok(Vec::new())
            }
            "DeleteRolePolicy" => {
                let policy = parameter(form, "PolicyName")?;
                let removed = role(&mut roles, parameter(form, "RoleName")?)?.remove(policy);
                removed.map(|_| Vec::new()).ok_or_else(|| {
                    no_such_entity(&format!(
                        "The role policy with name {policy} cannot be found."
                    ))
                })
            }
            "SimulatePrincipalPolicy" => {
                let arn = parameter(form, "PolicySourceArn")?;
                let name = arn.rsplit('/').next().unwrap_or_default();
                let policies = role(&mut roles, name)?;
                Ok(simulated(
                    policies,
                    &list(form, "ActionNames"),
                    &list(form, "ResourceArns"),
                ))
            }
            _ => Err(IamError {
                status: StatusCode::BAD_REQUEST,
                code: "InvalidAction",
                message: format!("The action {action} is not implemented by the local IAM"),
            }),
        }
    }
}

fn role<'a>(
    roles: &'a mut BTreeMap<String, Policies>,
    name: &str,
) -> Result<&'a mut Policies, IamError> {
    let role = roles.get_mut(name);
    role.ok_or_else(|| no_such_entity(&format!("The role with name {name} cannot be found.")))
}

/// The result of a simulation: each action on each resource.
fn simulated(policies: &Policies, actions: &[&str], resources: &[&str]) -> Vec<Element> {
    let results = actions.iter().flat_map(|action| {
        resources.iter().map(move |resource| {
            vec![
                Element::text("EvalActionName", *action),
                Element::text("EvalResourceName", *resource),
                Element::text("EvalDecision", decision(policies, action, resource)),
            ]
        })
    });
    vec![
        Element::text("IsTruncated", "false"),
        Element::list("EvaluationResults", results),
    ]
}

/// By [IAM's logic](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html): what
/// is denied is denied, what is not allowed is, too.
fn decision(policies: &Policies, action: &str, resource: &str) -> &'static str {
    let statements = policies
        .values()
        .flat_map(|policy| one_or_more(&policy["Statement"]));
    let matching: Vec<&Value> = statements
        .filter(|statement| {
            let patterns = |field: &str| one_or_more(&statement[field]).filter_map(Value::as_str);
            let action = action.to_ascii_lowercase();
            patterns("Action").any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
                && patterns("Resource").any(|pattern| matches(pattern, resource))
        })
        .collect();
    let has = |effect: &str| {
        matching
            .iter()
            .any(|statement| statement["Effect"] == effect)
    };
    match (has("Deny"), has("Allow")) {
        (true, _) => "explicitDeny",
        (false, true) => "allowed",
        (false, false) => "implicitDeny",
    }
}

/// A policy has a list where there are several, and else the thing itself.
fn one_or_more(value: &Value) -> impl Iterator<Item = &Value> {
    let list = value
        .as_array()
        .map_or_else(|| std::slice::from_ref(value), Vec::as_slice);
    list.iter()
}

/// Whether `text` matches `pattern`, in which `*` stands for anything and `?` for one character. ARNs differ by case;
/// actions do not, and are to be compared in lower case.
///
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>
fn matches(pattern: &str, text: &str) -> bool {
    fn matches(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([b'*', rest @ ..], _) => {
                matches(rest, text) || (!text.is_empty() && matches(pattern, &text[1..]))
            }
            ([b'?', rest @ ..], [_, text @ ..]) => matches(rest, text),
            ([one, rest @ ..], [other, text @ ..]) if one == other => matches(rest, text),
            _ => false,
        }
    }
    matches(pattern.as_bytes(), text.as_bytes())
}

fn parameter<'a>(form: &'a Form, name: &str) -> Result<&'a str, IamError> {
    form.get(name).map(String::as_str).ok_or_else(|| IamError {
        status: StatusCode::BAD_REQUEST,
        code: "ValidationError",
        message: format!("The request must contain the parameter {name}."),
    })
}

fn list<'a>(form: &'a Form, name: &str) -> Vec<&'a str> {
    (1..)
        .map_while(|number| form.get(&format!("{name}.member.{number}")))
        .map(String::as_str)
        .collect()
}

fn no_such_entity(message: &str) -> IamError {
    IamError {
        status: StatusCode::NOT_FOUND,
        code: "NoSuchEntity",
        message: message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_denial_wins_and_silence_denies() {
        let statement = |effect: &str, action: Value, resource: &str| json!({ "Effect": effect, "Action": action, "Resource": resource });
        let policies = Policies::from([
            (
                "own".to_owned(),
                json!({ "Statement": [
                    statement("Allow", json!(["s3:GetObject", "s3:Put*"]), "arn:aws:s3:::b/uploads/*"),
                    statement("Allow", json!("sns:Publish"), "*"),
                ]}),
            ),
            (
                "limit".to_owned(),
                json!({ "Statement": statement("Deny", json!("sns:*"), "arn:aws:sns:*:*:secret-?") }),
            ),
        ]);
        for (action, resource, expected) in [
            ("s3:GetObject", "arn:aws:s3:::b/uploads/a", "allowed"),
            ("s3:getobject", "arn:aws:s3:::b/uploads/a", "allowed"),
            ("s3:PutObject", "arn:aws:s3:::b/uploads/", "allowed"),
            ("s3:GetObject", "arn:aws:s3:::b/reports/a", "implicitDeny"),
            (
                "s3:DeleteObject",
                "arn:aws:s3:::b/uploads/a",
                "implicitDeny",
            ),
            ("sns:Publish", "arn:aws:sns:r:1:open", "allowed"),
            ("sns:Publish", "arn:aws:sns:r:1:secret-1", "explicitDeny"),
            ("sns:Publish", "arn:aws:sns:r:1:secret-12", "allowed"),
        ] {
            assert_eq!(
                decision(&policies, action, resource),
                expected,
                "{action} {resource}"
            );
        }
    }
}
