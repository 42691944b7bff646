use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use crate::doctor::facts::{Configuration, Fact, Function, Mapping, Refusal, last};
use crate::doctor::signed::Signed;

/// What stays as it is in a path.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
/// The alias that the SAM template makes.
const ALIAS: &str = "live";

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ConfigurationAnswer {
    function_arn: String,
    role: String,
    timeout: u64,
    state: Option<String>,
    state_reason: Option<String>,
    last_update_status: Option<String>,
    last_update_status_reason: Option<String>,
    environment: Environment,
    logging_config: Logging,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Environment {
    variables: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Logging {
    log_group: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConcurrencyAnswer {
    reserved_concurrent_executions: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RecursionAnswer {
    recursive_loop: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MappingsAnswer {
    #[serde(default)]
    event_source_mappings: Vec<MappingAnswer>,
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MappingAnswer {
    #[serde(rename = "UUID")]
    uuid: String,
    #[serde(rename = "EventSourceArn")]
    source_arn: String,
    #[serde(rename = "FunctionArn")]
    function_arn: String,
    #[serde(rename = "State")]
    state: String,
    #[serde(rename = "FunctionResponseTypes")]
    response_types: Option<Vec<String>>,
    #[serde(rename = "FilterCriteria")]
    filter_criteria: Option<FilterCriteria>,
    #[serde(rename = "LastProcessingResult")]
    last_result: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FilterCriteria {
    filters: Option<Vec<Filter>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Filter {
    pattern: String,
}

/// All event source mappings of the account and Region: asking for those of a function leaves out the ones of its aliases.
pub(super) async fn mappings(signed: &Signed) -> Fact<Vec<Mapping>> {
    let mut all = Vec::new();
    let mut page = String::new();
    loop {
        let path = format!("/2015-03-31/event-source-mappings?MaxItems=100{page}");
        let answer = signed.lambda("lambda:ListEventSourceMappings", &path).await;
        let MappingsAnswer {
            event_source_mappings,
            next_marker,
        } = match answer {
            Ok(answer) => answer,
            Err(refusal) => return Fact::Unknown(refusal),
        };
        all.extend(event_source_mappings.into_iter().map(Mapping::from));
        match next_marker.filter(|marker| !marker.is_empty()) {
            Some(marker) => page = format!("&Marker={}", utf8_percent_encode(&marker, PLAIN)),
            None => return Fact::Seen(all),
        }
    }
}

impl From<MappingAnswer> for Mapping {
    fn from(answer: MappingAnswer) -> Self {
        let types = answer.response_types.unwrap_or_default();
        let filters = answer.filter_criteria.and_then(|criteria| criteria.filters);
        let filters = filters.into_iter().flatten();
        Self {
            uuid: answer.uuid,
            source_arn: answer.source_arn,
            function_arn: answer.function_arn,
            state: answer.state,
            reports_item_failures: types.iter().any(|name| name == "ReportBatchItemFailures"),
            filters: filters.map(|filter| filter.pattern).collect(),
            last_result: answer.last_result,
        }
    }
}

/// The function of this name or ARN, which some of all `mappings` start.
pub(super) async fn function(
    signed: &Signed,
    name: &str,
    mappings: &Fact<Vec<Mapping>>,
) -> Function {
    let (name, asked) = split(name);
    let own = mappings.clone().map(|mut mappings| {
        mappings.retain(|mapping| split(&mapping.function_arn).0 == name);
        mappings
    });
    let started = own.known().and_then(|own| own.first());
    let started = started.map(|mapping| split(&mapping.function_arn).1.map(str::to_owned));
    let configuration = match (asked, started) {
        (Some(qualifier), _) => configuration(signed, name, Some(qualifier)).await,
        // What its events start is what matters.
        (None, Some(qualifier)) => configuration(signed, name, qualifier.as_deref()).await,
        (None, None) => match configuration(signed, name, Some(ALIAS)).await {
            Fact::Missing => configuration(signed, name, None).await,
            other => other,
        },
    };
    let encoded = utf8_percent_encode(name, PLAIN);
    let path = format!("/2019-09-30/functions/{encoded}/concurrency");
    let concurrency = signed.lambda("lambda:GetFunctionConcurrency", &path).await;
    let path = format!("/2024-08-31/functions/{encoded}/recursion-config");
    let recursion = signed
        .lambda("lambda:GetFunctionRecursionConfig", &path)
        .await;
    Function {
        name: name.to_owned(),
        configuration,
        reserved_concurrency: fact(concurrency)
            .map(|answer: ConcurrencyAnswer| answer.reserved_concurrent_executions),
        recursive_loop: fact(recursion).map(|answer: RecursionAnswer| answer.recursive_loop),
        mappings: own,
    }
}

async fn configuration(
    signed: &Signed,
    name: &str,
    qualifier: Option<&str>,
) -> Fact<Configuration> {
    let query = qualifier.map_or_else(String::new, |qualifier| {
        format!("?Qualifier={}", utf8_percent_encode(qualifier, PLAIN))
    });
    let path = format!(
        "/2015-03-31/functions/{}/configuration{query}",
        utf8_percent_encode(name, PLAIN)
    );
    let answer = signed
        .lambda("lambda:GetFunctionConfiguration", &path)
        .await;
    fact(answer).map(|answer: ConfigurationAnswer| {
        let failed = |status: Option<String>, reason: Option<String>| {
            status
                .filter(|status| status == "Failed")
                .map(|_| reason.unwrap_or_else(|| "its last update failed".to_owned()))
        };
        let broken = failed(answer.state, answer.state_reason)
            .or_else(|| failed(answer.last_update_status, answer.last_update_status_reason));
        let log_group = Some(answer.logging_config.log_group).filter(|group| !group.is_empty());
        Configuration {
            arn: answer.function_arn,
            qualifier: qualifier.map(str::to_owned),
            role_arn: answer.role,
            timeout_seconds: answer.timeout,
            variables: answer.environment.variables,
            log_group: log_group.unwrap_or_else(|| format!("/aws/lambda/{name}")),
            broken,
        }
    })
}

fn fact<T>(answer: Result<T, Refusal>) -> Fact<T> {
    Fact::of(answer, &["ResourceNotFoundException"])
}

/// Name and qualifier of a function that is named by its name, `name:qualifier`, or ARN.
fn split(name: &str) -> (&str, Option<&str>) {
    let own = name.split_once(":function:").map_or(name, |(_, own)| own);
    match own.split_once(':') {
        Some((name, qualifier)) => (name, Some(qualifier)),
        None => (last(own), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_can_be_named_in_several_ways() {
        for (name, parts) in [
            ("F", ("F", None)),
            ("F:live", ("F", Some("live"))),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:F",
                ("F", None),
            ),
            (
                "arn:aws:lambda:eu-west-1:123456789012:function:F:live",
                ("F", Some("live")),
            ),
        ] {
            assert_eq!(split(name), parts, "{name}");
        }
    }
}
