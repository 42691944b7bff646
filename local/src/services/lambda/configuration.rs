//! Lambda's own API, of which people see how their functions are set up: configuration, reserved concurrency, recursion
//! and event source mappings.
//!
//! What is written here is kept and told. Of it, only an SQS mapping's `Enabled` is carried out: the functions run as the
//! [options](crate::StackOptions) say.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::runtime::LambdaProgram;
use crate::deployment;
use crate::lock::lock;
use crate::server::{Handler, read_body, response, set_header};

const CONTENT_TYPE: &str = "application/json";
/// What of a mapping can be set, as [Lambda names it](https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html).
const MAPPING_SETTINGS: [&str; 4] = [
    "BatchSize",
    "FilterCriteria",
    "FunctionResponseTypes",
    "TumblingWindowInSeconds",
];

/// Functions and the mappings that feed them.
#[derive(Debug, Default)]
pub(crate) struct Functions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    functions: BTreeMap<String, FunctionSettings>,
    mappings: Vec<Mapping>,
}

#[derive(Debug)]
struct FunctionSettings {
    /// As `GetFunctionConfiguration` answers.
    configuration: Value,
    reserved_concurrency: Option<u64>,
    recursive_loop: String,
}

#[derive(Debug)]
struct Mapping {
    /// As `ListEventSourceMappings` answers.
    description: Value,
    /// What lets the events through, if that can be changed.
    enabled: Option<Arc<watch::Sender<bool>>>,
}

/// An error as Lambda answers it.
struct LambdaError {
    status: StatusCode,
    name: &'static str,
    message: String,
}

type Answer = Result<Value, LambdaError>;

impl Handler for Functions {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        match self.answer(request).await {
            Ok(Value::Null) => response(StatusCode::NO_CONTENT, CONTENT_TYPE, Body::empty()),
            Ok(body) => response(StatusCode::OK, CONTENT_TYPE, body.to_string()),
            Err(error) => {
                let body = json!({ "Type": "User", "Message": error.message }).to_string();
                let mut refusal = response(error.status, CONTENT_TYPE, body);
                set_header(&mut refusal, "x-amzn-errortype", error.name);
                refusal
            }
        }
    }
}

impl Functions {
    /// Adds a function as its program has it, run by `role_arn`. The variables of `AWS_…`, which nobody can set on AWS,
    /// are not told.
    pub(crate) fn add(&self, program: &LambdaProgram, role_arn: &str) {
        let name = &program.function_name;
        let own = program
            .env
            .iter()
            .filter(|(name, _)| !name.starts_with("AWS_"));
        let variables: Map<String, Value> = own
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let configuration = json!({
            "FunctionName": name,
            "FunctionArn": program.arn(),
            "Runtime": "provided.al2023",
            "Handler": "bootstrap",
            "Role": role_arn,
            "Timeout": program.timeout.as_secs(),
            "MemorySize": program.memory_mb,
            "Version": "$LATEST",
            "State": "Active",
            "LastUpdateStatus": "Successful",
            "Environment": { "Variables": variables },
            "LoggingConfig": { "LogFormat": "JSON", "LogGroup": format!("/aws/lambda/{name}") },
        });
        let function = FunctionSettings {
            configuration,
            reserved_concurrency: None,
            recursive_loop: "Allow".to_owned(),
        };
        lock(&self.0).functions.insert(name.clone(), function);
    }

    /// Adds a mapping, set up so, that gives what comes from `source_arn` to `program`.
    pub(crate) fn map(
        &self,
        program: &LambdaProgram,
        source_arn: &str,
        settings: &Value,
        enabled: Option<Arc<watch::Sender<bool>>>,
    ) {
        let uuid = Uuid::new_v4().to_string();
        let mut description = json!({
            "UUID": uuid,
            "EventSourceMappingArn": deployment::arn("lambda", &format!("event-source-mapping:{uuid}")),
            "EventSourceArn": source_arn,
            "FunctionArn": program.arn(),
            "State": "Enabled",
            "StateTransitionReason": "USER_INITIATED",
        });
        merge(&mut description, settings, &MAPPING_SETTINGS);
        let mapping = Mapping {
            description,
            enabled,
        };
        lock(&self.0).mappings.push(mapping);
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let body = read_body(body).await.unwrap_or_default();
        let input = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).map_err(|error| invalid(&error.to_string()))?
        };
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let path = percent_decode_str(head.uri.path()).decode_utf8_lossy();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        lock(&self.0).act(&head.method, &parts, &query, &input)
    }
}

impl State {
    /// Does one action of the [API](https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html).
    fn act(
        &mut self,
        method: &Method,
        path: &[&str],
        query: &BTreeMap<String, String>,
        input: &Value,
    ) -> Answer {
        match (method.as_str(), path) {
            ("GET", ["2015-03-31", "event-source-mappings"]) => Ok(self.list(query)),
            (method, ["2015-03-31", "event-source-mappings", uuid]) => {
                self.mapping(method, uuid, input)
            }
            (method, [_, "functions", name, rest @ ..]) => {
                self.function(method, name, rest, query, input)
            }
            _ => Err(unknown()),
        }
    }

    fn function(
        &mut self,
        method: &str,
        name: &str,
        rest: &[&str],
        query: &BTreeMap<String, String>,
        input: &Value,
    ) -> Answer {
        // A function can be named by its ARN.
        let name = name.rsplit(":function:").next().unwrap_or(name);
        let version = query.get("Qualifier").map(String::as_str);
        // There are no versions and aliases.
        let is_latest = version.is_none_or(|version| version == "$LATEST");
        let found = self.functions.get_mut(name).filter(|_| is_latest);
        let function = found.ok_or_else(|| {
            let qualifier = version.map_or_else(String::new, |q| format!(":{q}"));
            let arn = deployment::arn("lambda", &format!("function:{name}{qualifier}"));
            not_found(&format!("Function not found: {arn}"))
        })?;
        match (method, rest) {
            ("GET", ["configuration"]) => Ok(function.configuration.clone()),
            ("PUT", ["configuration"]) => {
                let settable = ["Timeout", "MemorySize", "Role", "Environment"];
                merge(&mut function.configuration, input, &settable);
                Ok(function.configuration.clone())
            }
            ("GET", ["concurrency"]) => Ok(match function.reserved_concurrency {
                Some(reserved) => json!({ "ReservedConcurrentExecutions": reserved }),
                None => json!({}),
            }),
            ("PUT", ["concurrency"]) => {
                let reserved = input["ReservedConcurrentExecutions"].as_u64();
                function.reserved_concurrency = Some(reserved.ok_or_else(|| {
                    invalid("ReservedConcurrentExecutions must be a whole number")
                })?);
                Ok(input.clone())
            }
            ("DELETE", ["concurrency"]) => {
                function.reserved_concurrency = None;
                Ok(Value::Null)
            }
            ("GET", ["recursion-config"]) => {
                Ok(json!({ "RecursiveLoop": function.recursive_loop }))
            }
            ("PUT", ["recursion-config"]) => {
                let setting = input["RecursiveLoop"].as_str();
                let setting = setting.filter(|s| matches!(*s, "Allow" | "Terminate"));
                setting
                    .ok_or_else(|| invalid("RecursiveLoop must be Allow or Terminate"))?
                    .clone_into(&mut function.recursive_loop);
                Ok(input.clone())
            }
            ("DELETE", []) => {
                // Its mappings stay, as on AWS.
                self.functions.remove(name);
                Ok(Value::Null)
            }
            _ => Err(unknown()),
        }
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Value {
        let is_wanted = |mapping: &&Mapping| {
            let is = |parameter: &str, field: &str| {
                let value = mapping.description[field].as_str().unwrap_or_default();
                query.get(parameter).is_none_or(|wanted| {
                    value == wanted || value.ends_with(&format!(":function:{wanted}"))
                })
            };
            is("FunctionName", "FunctionArn") && is("EventSourceArn", "EventSourceArn")
        };
        let all: Vec<_> = self.mappings.iter().filter(is_wanted).collect();
        let number = |name: &str| query.get(name).and_then(|value| value.parse().ok());
        let from: usize = number("Marker").unwrap_or(0).min(all.len());
        let to = all.len().min(from + number("MaxItems").unwrap_or(100));
        let page: Vec<_> = all[from..to].iter().map(|m| &m.description).collect();
        let mut answer = json!({ "EventSourceMappings": page });
        if to < all.len() {
            answer["NextMarker"] = to.to_string().into();
        }
        answer
    }

    fn mapping(&mut self, method: &str, uuid: &str, input: &Value) -> Answer {
        let index = self
            .mappings
            .iter()
            .position(|mapping| mapping.description["UUID"] == uuid)
            .ok_or_else(|| not_found("The resource you requested does not exist."))?;
        let mapping = &mut self.mappings[index];
        match method {
            "GET" => {}
            "PUT" => {
                merge(&mut mapping.description, input, &MAPPING_SETTINGS);
                if let Some(enabled) = input["Enabled"].as_bool() {
                    mapping.enable(enabled);
                }
            }
            "DELETE" => {
                mapping.enable(false);
                return Ok(self.mappings.remove(index).description);
            }
            _ => return Err(unknown()),
        }
        Ok(mapping.description.clone())
    }
}

impl Mapping {
    fn enable(&mut self, enabled: bool) {
        self.description["State"] = if enabled { "Enabled" } else { "Disabled" }.into();
        if let Some(switch) = &self.enabled {
            switch.send_replace(enabled);
        }
    }
}

/// Takes the fields of these names over.
fn merge(description: &mut Value, input: &Value, settable: &[&str]) {
    for name in settable {
        if let Some(value) = input.get(name).filter(|value| !value.is_null()) {
            description[*name] = value.clone();
        }
    }
}

fn not_found(message: &str) -> LambdaError {
    LambdaError {
        status: StatusCode::NOT_FOUND,
        name: "ResourceNotFoundException",
        message: message.to_owned(),
    }
}

fn invalid(message: &str) -> LambdaError {
    LambdaError {
        status: StatusCode::BAD_REQUEST,
        name: "InvalidParameterValueException",
        message: message.to_owned(),
    }
}

fn unknown() -> LambdaError {
    LambdaError {
        status: StatusCode::NOT_FOUND,
        name: "UnknownOperationException",
        message: "The action is not implemented by the local Lambda".to_owned(),
    }
}
