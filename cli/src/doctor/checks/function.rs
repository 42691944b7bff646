//! The two functions, and what starts them.

use importer::function::Config;
use notifier::settings::{self, Settings};
use serde_json::json;

use super::mapping;
use crate::doctor::facts::{Configuration, Fact, Facts, Function, Mapping, last};
use crate::doctor::finding::{Finding, LabBug, quoted};

/// Shortest time that an invocation needs to import anything: it hands on 35 seconds before its end.
const IMPORTER_SECONDS_MIN: u64 = 60;
/// What the SAM template has.
const IMPORTER_SECONDS: u64 = 900;
/// The lab's, and what it takes to publish through a short outage of SNS.
const NOTIFIER_SECONDS: u64 = 30;

pub(super) const QUEUE_URL: &str = "INTAKE_QUEUE_URL";
pub(super) const TABLE: &str = "INTAKE_TABLE";

/// One of the two functions, as findings name it.
pub(super) struct Role {
    /// Begins the ids of its findings.
    pub(super) what: &'static str,
    pub(super) bug: LabBug,
}

impl Role {
    /// That `problem` keeps it from working.
    pub(super) fn wrong(&self, kind: &str, problem: impl Into<String>) -> Finding {
        Finding::wrong(format!("{}-{kind}", self.what), problem).lab(self.bug)
    }
}

const IMPORTER: Role = Role {
    what: "importer",
    bug: LabBug::NotTriggered,
};

const NOTIFIER: Role = Role {
    what: "notifier",
    bug: LabBug::NoStream,
};

pub(super) fn check_importer(facts: &Facts, findings: &mut Vec<Finding>) {
    let function = &facts.importer;
    check_function(
        function,
        &IMPORTER,
        (IMPORTER_SECONDS_MIN, IMPORTER_SECONDS),
        findings,
    );
    let queue = facts.queue.as_ref().and_then(|queue| queue.fact.known());
    let queue_arn = queue.map(|queue| queue.arn.as_str());
    let mut create = format!(
        "aws lambda create-event-source-mapping --function-name {} --event-source-arn {} --batch-size 1 \
         --function-response-types ReportBatchItemFailures",
        qualified(function),
        queue_arn.unwrap_or("QUEUE_ARN")
    );
    create.push_str(" --scaling-config MaximumConcurrency=2");
    let of_queues = mapping::of(function, ":sqs:");
    if let Some(of_queues) = &of_queues
        && !is_started_by_bucket(facts)
    {
        mapping::check(function, of_queues, &IMPORTER, &create, findings);
        for mapping in of_queues
            .iter()
            .filter(|mapping| !mapping.filters.is_empty())
        {
            let problem = format!(
                "a filter on the mapping of queue {} deletes messages about files that it does not let through",
                last(&mapping.source_arn)
            );
            findings.push(
                Finding::wrong("importer-mapping-filter", problem)
                    .lab(IMPORTER.bug)
                    .fix(mapping::update(mapping, "--filter-criteria '{}'")),
            );
        }
    }
    if let Fact::Seen(loops) = &function.recursive_loop
        && loops == "Terminate"
    {
        let problem = "Lambda ends the importer when it has gone on with a large file 16 times (RecursiveLoop is Terminate)";
        let fix = format!(
            "aws lambda put-function-recursion-config --function-name {} --recursive-loop Allow",
            function.name
        );
        findings.push(
            Finding::wrong("importer-recursion", problem)
                .lab(LabBug::Timeout)
                .fix(fix),
        );
    }
    let Some(configuration) = function.configuration.known() else {
        return;
    };
    let lookup = |name: &str| configuration.variable(name).map(str::to_owned);
    if let Err(error) = Config::from_env(lookup) {
        let fix = error.fix().unwrap_or_default().to_owned();
        findings.push(
            Finding::wrong(
                "importer-variable",
                format!("environment of the importer: {error}"),
            )
            .fix(fix),
        );
    }
    if let Some(wanted) = &facts.table_wanted
        && configuration.variable(TABLE).unwrap_or("InventoryTable") != wanted
    {
        let problem = format!(
            "the importer writes to table {} and not to {wanted}",
            configuration
                .variable(TABLE)
                .unwrap_or("InventoryTable (no INTAKE_TABLE is set)")
        );
        findings.push(
            Finding::wrong("importer-table", problem)
                .lab(LabBug::TableEmpty)
                .fix(set_variable(function, configuration, TABLE, wanted)),
        );
    }
    check_own_queue(facts, configuration, of_queues.as_deref(), findings);
    if configuration.variable(settings::TOPIC_ARN).is_none() {
        let problem = "the importer tells nobody when an import ends: INTAKE_TOPIC_ARN is not set";
        findings.push(Finding::note("importer-topic", problem).fix(set_variable(
            function,
            configuration,
            settings::TOPIC_ARN,
            topic_arn(facts),
        )));
    }
}

/// Whether the importer sends what is left of a file to the queue that starts it.
fn check_own_queue(
    facts: &Facts,
    configuration: &Configuration,
    of_queues: Option<&[&Mapping]>,
    findings: &mut Vec<Finding>,
) {
    let Some(started_by) = of_queues.and_then(|of_queues| of_queues.first()) else {
        return;
    };
    let name = last(&started_by.source_arn);
    let own = configuration.variable(QUEUE_URL);
    let problem = match own {
        None => format!(
            "{QUEUE_URL} of the importer is not set: a file that takes longer than one invocation is tried three times \
             and then fails"
        ),
        Some(url) if last(url) != name => format!(
            "the importer sends what is left of a file to queue {}, and is started by queue {name}",
            last(url)
        ),
        Some(_) => return,
    };
    let url = format!("$(aws sqs get-queue-url --queue-name {name} --output text)");
    findings.push(
        Finding::wrong("importer-queue-variable", problem)
            .lab(LabBug::Timeout)
            .fix(format!(
                "{} with the URL {url}",
                set_variable(&facts.importer, configuration, QUEUE_URL, "URL")
            )),
    );
}

pub(super) fn check_notifier(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(function) = &facts.notifier else {
        return;
    };
    check_function(
        function,
        &NOTIFIER,
        (NOTIFIER_SECONDS, NOTIFIER_SECONDS),
        findings,
    );
    let stream_arn = facts
        .table
        .fact
        .known()
        .and_then(|table| table.stream_arn.as_deref());
    if let Some(of_streams) = mapping::of(function, ":dynamodb:") {
        let create = format!(
            "sam deploy (for a table of your own with --parameter-overrides ExistingTableStreamLabel=…), or aws lambda \
             create-event-source-mapping --function-name {} --event-source-arn {} --starting-position TRIM_HORIZON \
             --batch-size 10000 --tumbling-window-in-seconds 60 --bisect-batch-on-function-error \
             --function-response-types ReportBatchItemFailures",
            qualified(function),
            stream_arn.unwrap_or("STREAM_ARN")
        );
        mapping::check(function, &of_streams, &NOTIFIER, &create, findings);
        mapping::check_stream(facts, &of_streams, stream_arn, &create, findings);
        if let Some(configuration) = function.configuration.known() {
            mapping::check_filter(configuration, &of_streams, findings);
        }
    }
    let Some(configuration) = function.configuration.known() else {
        return;
    };
    let lookup = |name: &str| configuration.variable(name).map(str::to_owned);
    if let Err(error) = Settings::from_variables(lookup) {
        let fix = match configuration.variable(settings::TOPIC_ARN) {
            None => set_variable(
                function,
                configuration,
                settings::TOPIC_ARN,
                topic_arn(facts),
            ),
            Some(_) => "put the variable right: sam deploy".to_owned(),
        };
        findings.push(
            Finding::wrong(
                "notifier-variable",
                format!("the notifier does not start: {error}"),
            )
            .lab(LabBug::NoEmail)
            .fix(fix),
        );
    }
}

fn check_function(
    function: &Function,
    role: &Role,
    (least, advised): (u64, u64),
    findings: &mut Vec<Finding>,
) {
    let (name, what) = (&function.name, role.what);
    let option = format!("--{what}");
    match &function.configuration {
        Fact::Seen(configuration) => {
            if let Some(reason) = &configuration.broken {
                findings.push(
                    role.wrong(
                        "broken",
                        format!("Lambda cannot run function {name}: {reason}"),
                    )
                    .fix("sam build && sam deploy"),
                );
            }
            let seconds = configuration.timeout_seconds;
            if seconds < least {
                let problem = format!(
                    "the timeout of function {name}, the {what}, is too low: {seconds} s, and it needs {least} at least"
                );
                findings.push(role.wrong("timeout", problem).lab(LabBug::Timeout).fix(set(
                    function,
                    configuration,
                    &format!("--timeout {advised}"),
                )));
            }
        }
        Fact::Missing => findings.push(
            role.wrong(
                "missing",
                format!("function {name}, the {what}, does not exist"),
            )
            .fix(format!(
                "name it with {option}, check AWS_REGION, or sam build && sam deploy"
            )),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(format!("function {name}"), refusal));
        }
    }
    match &function.reserved_concurrency {
        Fact::Seen(Some(0)) => findings.push(
            role.wrong(
                "concurrency",
                format!(
                    "the reserved concurrency of function {name}, the {what}, is 0: it never runs"
                ),
            )
            .fix(format!(
                "aws lambda delete-function-concurrency --function-name {name}"
            )),
        ),
        Fact::Unknown(refusal) => {
            findings.push(Finding::refused(
                format!("reserved concurrency of function {name}"),
                refusal,
            ));
        }
        Fact::Seen(_) | Fact::Missing => {}
    }
    if let Fact::Unknown(refusal) = &function.recursive_loop {
        findings.push(Finding::refused(
            format!("recursion of function {name}"),
            refusal,
        ));
    }
    if let Fact::Unknown(refusal) = &function.mappings {
        findings.push(Finding::refused(
            format!("event source mappings of function {name}"),
            refusal,
        ));
    }
}

fn topic_arn(facts: &Facts) -> &str {
    let topic = facts.topic.as_ref();
    topic.map_or("TOPIC_ARN", |topic| topic.name.as_str())
}

/// Whether it is as in the lab: the bucket starts the importer itself, and no queue does.
fn is_started_by_bucket(facts: &Facts) -> bool {
    let bucket = facts.bucket.as_ref().and_then(|bucket| bucket.fact.known());
    let notifications = bucket.and_then(|bucket| bucket.notifications.known());
    let name = format!(":function:{}", facts.importer.name);
    notifications.is_some_and(|notifications| {
        notifications.targets.iter().any(|target| {
            target.target_arn.ends_with(&name) || target.target_arn.contains(&format!("{name}:"))
        })
    })
}

/// The function as its events are to start it.
fn qualified(function: &Function) -> String {
    let configuration = function.configuration.known();
    match configuration.and_then(|configuration| configuration.qualifier.as_deref()) {
        Some(qualifier) => format!("{}:{qualifier}", function.name),
        None => function.name.clone(),
    }
}

fn set(function: &Function, configuration: &Configuration, what: &str) -> String {
    let command = format!(
        "aws lambda update-function-configuration --function-name {} {what}",
        function.name
    );
    match &configuration.qualifier {
        // A version is never changed.
        Some(qualifier) => format!(
            "sam deploy, which publishes a version for the alias {qualifier}; without SAM: {command}, and publish one"
        ),
        None => command,
    }
}

/// The command that sets a variable, with all others of Intake: it replaces them all. What else there may be is not for
/// the screen.
fn set_variable(
    function: &Function,
    configuration: &Configuration,
    name: &str,
    value: &str,
) -> String {
    let is_own = |name: &String| name.starts_with("INTAKE_");
    let mut variables = configuration.variables.clone();
    let others = variables.keys().any(|name| !is_own(name));
    variables.retain(|name, _| is_own(name));
    variables.insert(name.to_owned(), value.to_owned());
    let environment = quoted(&json!({ "Variables": variables }).to_string());
    let others = if others {
        " (add its other variables: all are replaced)"
    } else {
        ""
    };
    let set = set(
        function,
        configuration,
        &format!("--environment {environment}"),
    );
    format!("{set}{others}")
}
