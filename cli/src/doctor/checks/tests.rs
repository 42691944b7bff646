use std::collections::BTreeMap;

use rows::{KeyAttribute, KeyType, Schema};

use super::*;
use crate::doctor::facts::*;

const QUEUE: &str = "arn:aws:sqs:eu-west-1:123456789012:intake-imports";
const STREAM: &str =
    "arn:aws:dynamodb:eu-west-1:123456789012:table/InventoryTable/stream/2026-11-23T09:30:00.123";
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:inventory-alerts";

fn named<T>(name: &str, value: T) -> Named<T> {
    Named {
        name: name.to_owned(),
        fact: Fact::Seen(value),
    }
}

fn table(name: &str, schema: Schema) -> Table {
    Table {
        arn: format!("arn:aws:dynamodb:eu-west-1:123456789012:table/{name}"),
        status: "ACTIVE".to_owned(),
        schema,
        stream_view: Some("NEW_AND_OLD_IMAGES".to_owned()),
        stream_arn: Some(STREAM.to_owned()),
    }
}

fn function(name: &str, source: &str, seconds: u64) -> Function {
    let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{name}:live");
    let variables = [
        ("INTAKE_TABLE", "InventoryTable"),
        (
            "INTAKE_QUEUE_URL",
            "https://sqs.eu-west-1.amazonaws.com/123456789012/intake-imports",
        ),
        ("INTAKE_TOPIC_ARN", TOPIC),
    ];
    Function {
        name: name.to_owned(),
        configuration: Fact::Seen(Configuration {
            arn: arn.clone(),
            qualifier: Some("live".to_owned()),
            role_arn: "arn:aws:iam::123456789012:role/r".to_owned(),
            timeout_seconds: seconds,
            variables: variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            log_group: format!("/aws/lambda/{name}"),
            broken: None,
        }),
        reserved_concurrency: Fact::Seen(None),
        recursive_loop: Fact::Seen("Allow".to_owned()),
        mappings: Fact::Seen(vec![Mapping {
            uuid: "uuid".to_owned(),
            source_arn: source.to_owned(),
            function_arn: arn,
            state: "Enabled".to_owned(),
            reports_item_failures: true,
            filters: Vec::new(),
            last_result: Some("OK".to_owned()),
        }]),
    }
}

/// A deployment as the SAM template makes it.
fn healthy() -> Facts {
    let trigger = Notification {
        target_arn: QUEUE.to_owned(),
        events: vec!["s3:ObjectCreated:*".to_owned()],
        prefix: "uploads/".to_owned(),
        suffix: String::new(),
    };
    let policy = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"s3.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}}"#;
    let queue = Queue {
        arn: QUEUE.to_owned(),
        visibility_timeout_seconds: 960,
        policy: Some(policy.to_owned()),
        redrive: Some(Redrive {
            target_arn: format!("{QUEUE}-dlq"),
            max_receive_count: 10,
        }),
    };
    let of_items = Schema::new(
        "InventoryTable",
        KeyAttribute::partition("productId", KeyType::S),
        None,
    );
    let of_jobs = Schema::new(
        "ImportJobs",
        KeyAttribute::partition("owner", KeyType::S),
        Some(KeyAttribute::sort("job", KeyType::S)),
    );
    let subscription = Subscription {
        protocol: "email".to_owned(),
        endpoint: "you@example.com".to_owned(),
        is_confirmed: true,
    };
    let bucket = Bucket {
        notifications: Fact::Seen(Notifications {
            targets: vec![trigger],
            event_bridge: false,
        }),
    };
    Facts {
        prefix: "uploads/".to_owned(),
        bucket: Some(named("inventory-upload-x", bucket)),
        queue: Some(named(
            "https://sqs.eu-west-1.amazonaws.com/123456789012/intake-imports",
            queue,
        )),
        dead_letters: Some(named(&format!("{QUEUE}-dlq"), 0)),
        importer: function("ProcessInventoryFile", QUEUE, 900),
        table_wanted: None,
        table: named("InventoryTable", table("InventoryTable", of_items)),
        jobs_table: named(
            "ImportJobs",
            JobsTable {
                table: table("ImportJobs", of_jobs),
                expires_by: Fact::Seen(Some("expires_at".to_owned())),
            },
        ),
        notifier: Some(function("NotifyInventoryUpdate", STREAM, 30)),
        topic: Some(named(TOPIC, vec![subscription])),
        permissions: Vec::new(),
        file: None,
    }
}

/// Something to be changed, which the case knows to be there.
fn known<T>(fact: &mut Fact<T>) -> &mut T {
    match fact {
        Fact::Seen(value) => value,
        Fact::Missing | Fact::Unknown(_) => panic!("it is known"),
    }
}

fn notifications(facts: &mut Facts) -> &mut Notifications {
    let bucket = known(&mut facts.bucket.as_mut().unwrap().fact);
    known(&mut bucket.notifications)
}

fn configuration(function: &mut Function) -> &mut Configuration {
    known(&mut function.configuration)
}

fn mapping(function: &mut Function) -> &mut Mapping {
    &mut known(&mut function.mappings)[0]
}

fn notifier(facts: &mut Facts) -> &mut Function {
    facts.notifier.as_mut().unwrap()
}

fn denied<T>() -> Fact<T> {
    Fact::Unknown(Refusal {
        action: "sns:ListSubscriptionsByTopic",
        code: "AuthorizationError".to_owned(),
        message: "User: u is not authorized".to_owned(),
    })
}

type Change = fn(&mut Facts);

/// What local services cannot be made to say, and what is healthy in another way than the template's.
#[test]
#[rustfmt::skip]
fn facts_make_findings() {
    let cases: &[(Change, &str, &str)] = &[
        (|_| {}, "", ""),
        (|f| f.bucket = None, "bucket-unknown", "--bucket inventory-upload-YOURNAME"),
        (|f| *notifications(f) = Notifications { event_bridge: true, ..Notifications::default() }, "trigger-eventbridge", "only EventBridge"),
        // A trigger of each kind of creation, and one for part of the files.
        (|f| notifications(f).targets[0].events = ["Put", "Post", "Copy", "CompleteMultipartUpload"].map(|e| format!("s3:ObjectCreated:{e}")).into(), "", ""),
        (|f| { let mut other = notifications(f).targets[0].clone(); other.suffix = ".csv".to_owned(); notifications(f).targets.insert(0, other); }, "", ""),
        // The lab's wiring: the bucket starts the function, and there is no queue.
        (|f| { notifications(f).targets[0].target_arn = "arn:aws:lambda:eu-west-1:123456789012:function:ProcessInventoryFile".to_owned(); f.queue = None; f.dead_letters = None; known(&mut f.importer.mappings).clear(); }, "", ""),
        (|f| { notifications(f).targets[0].target_arn = "arn:aws:lambda:eu-west-1:123456789012:function:Other".to_owned(); }, "trigger-target", "function:Other of new files, and not arn:aws:sqs"),
        (|f| configuration(&mut f.importer).broken = Some("InvalidRuntime".to_owned()), "importer-broken", "InvalidRuntime"),
        (|f| configuration(&mut f.importer).timeout_seconds = 3, "importer-timeout", "sam deploy, which publishes a version for the alias live"),
        (|f| mapping(&mut f.importer).last_result = Some("PROBLEM: Function call failed".to_owned()), "importer-mapping-problem", "PROBLEM: Function call failed"),
        (|f| mapping(notifier(f)).last_result = Some("PROBLEM: Function call failed".to_owned()), "notifier-mapping-problem", "InventoryTable"),
        (|f| mapping(&mut f.importer).state = "Disabling".to_owned(), "importer-mapping-disabled", "aws lambda update-event-source-mapping --uuid uuid --enabled"),
        (|f| mapping(&mut f.importer).state = "Updating".to_owned(), "", ""),
        (|f| mapping(notifier(f)).filters = vec![r#"{"eventName":["INSERT","MODIFY"]}"#.to_owned()], "", ""),
        (|f| mapping(notifier(f)).filters = vec![r#"{"dynamodb":{}}"#.to_owned()], "", ""),
        (|f| { mapping(notifier(f)).filters = vec![r#"{"eventName":["INSERT"]}"#.to_owned()]; configuration(notifier(f)).variables.insert("INTAKE_EVENT_NAMES".to_owned(), "INSERT,REMOVE".to_owned()); }, "notifier-mapping-filter", "keeps back REMOVE"),
        (|f| { configuration(&mut f.importer).variables.insert("INTAKE_QUEUE_URL".to_owned(), "https://x/1/other".to_owned()); }, "importer-queue-variable", "to queue other, and is started by queue intake-imports"),
        (|f| { let own = configuration(&mut f.importer); own.variables.insert("TOKEN".to_owned(), "hunter2".to_owned()); own.variables.remove("INTAKE_QUEUE_URL"); }, "importer-queue-variable", "add its other variables"),
        (|f| known(&mut f.table.fact).status = "DELETING".to_owned(), "table-status", "table InventoryTable is DELETING"),
        (|f| known(&mut f.jobs_table.fact).expires_by = Fact::Seen(Some("other".to_owned())), "jobs-table-ttl", "expires_at is off"),
        (|f| { known(&mut f.table.fact).stream_view = None; f.notifier = None; }, "", ""),
        (|f| { f.table.fact = Fact::Missing; f.file = Some(Named { name: "f.csv".to_owned(), fact: Fact::Missing }); }, "table-missing file-unchecked", "f.csv was not compared with table InventoryTable"),
        (|f| f.topic.as_mut().unwrap().fact = denied(), "not-checked", "allow sns:ListSubscriptionsByTopic to"),
        (|f| f.permissions = vec![Permissions { who: Who::Importer, role_arn: "arn:aws:iam::1:role/r".to_owned(), lacking: Fact::Missing }], "importer-permission", "the role r of the importer does not exist"),
    ];
    for (index, (change, id, words)) in cases.iter().enumerate() {
        let mut facts = healthy();
        change(&mut facts);
        let found = all(&facts);
        let ids: Vec<&str> = found.iter().map(|finding| finding.id.as_str()).collect();
        assert_eq!(ids.join(" "), *id, "case {index}: {found:#?}");
        let reported: String = found.iter().map(ToString::to_string).collect();
        assert!(reported.contains(words), "case {index}: no {words:?} in {reported}");
        assert!(!reported.contains("hunter2"), "case {index}: {reported}");
    }
}

#[test]
fn what_is_wrong_comes_first() {
    let mut facts = healthy();
    facts.bucket = None;
    facts.topic.as_mut().unwrap().fact = Fact::Seen(Vec::new());
    configuration(&mut facts.importer).timeout_seconds = 3;
    configuration(&mut facts.importer).variables = BTreeMap::new();
    let levels: Vec<Level> = all(&facts).iter().map(|finding| finding.level).collect();
    assert!(levels.is_sorted_by_key(|level| *level as u8), "{levels:?}");
    assert_eq!(
        (levels[0], levels.last()),
        (Level::Wrong, Some(&Level::Note))
    );
}

#[test]
fn arguments_survive_a_shell() {
    for (text, shell) in [
        ("plain-1_2/3:4=5,6@7.x", "plain-1_2/3:4=5,6@7.x"),
        ("", "''"),
        ("{\"a\": 1}", "'{\"a\": 1}'"),
        ("it's $HOME", r"'it'\''s $HOME'"),
    ] {
        assert_eq!(crate::doctor::finding::quoted(text), shell);
    }
}
