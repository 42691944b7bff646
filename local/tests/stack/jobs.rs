//! That the embedded DynamoDB does for the table of jobs what a job store asks of DynamoDB.

use std::sync::Arc;

use local::{JOBS_TABLE, Stack, TABLE};
use serde_json::{Value, json};

use crate::client;

/// The answer if it is well, or the name of the exception and all of the answer.
async fn call(stack: &Stack, operation: &str, request: Value) -> Result<Value, (String, Value)> {
    let target = format!("DynamoDB_20120810.{operation}");
    let (status, answer) = client::json(&stack.endpoints().dynamodb, &target, &request).await;
    if status == 200 {
        return Ok(answer);
    }
    let exception = answer["__type"].as_str().unwrap().rsplit('#').next();
    Err((exception.unwrap().to_owned(), answer))
}

fn key(owner: &str, job: &str) -> Value {
    json!({ "owner": { "S": owner }, "job": { "S": job } })
}

/// Takes a job if nobody holds it, or if the holder's lease is over at `now`, as attempt + 1.
async fn claim(stack: &Stack, job: &str, holder: &str, now: u64) -> Result<Value, (String, Value)> {
    let request = json!({
        "TableName": JOBS_TABLE,
        "Key": key("-", job),
        "UpdateExpression": "SET #status = :running, lease_holder = :holder, lease_until = :until, \
                             checkpoint = if_not_exists(checkpoint, :start) ADD attempt :one",
        "ConditionExpression": "attribute_not_exists(job) OR (lease_until <= :now AND #status IN (:queued, :running)) \
                                OR (#status = :running AND lease_holder = :holder)",
        "ExpressionAttributeNames": { "#status": "status" },
        "ExpressionAttributeValues": {
            ":queued": { "S": "QUEUED" }, ":running": { "S": "RUNNING" }, ":holder": { "S": holder },
            ":until": { "N": (now + 100).to_string() }, ":now": { "N": now.to_string() }, ":one": { "N": "1" },
            ":start": { "M": { "offset": { "N": "0" }, "parts": { "L": [] } } },
        },
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        "ReturnConsumedCapacity": "TOTAL",
    });
    call(stack, "UpdateItem", request).await
}

#[tokio::test]
async fn the_table_has_its_keys_its_billing_and_its_time_to_live() {
    let stack = client::start().await;
    assert_eq!(stack.endpoints().jobs_table, JOBS_TABLE);
    let name = json!({ "TableName": JOBS_TABLE });
    let table = call(&stack, "DescribeTable", name.clone()).await.unwrap();
    let table = &table["Table"];
    assert_eq!(
        table["KeySchema"],
        json!([{ "AttributeName": "owner", "KeyType": "HASH" }, { "AttributeName": "job", "KeyType": "RANGE" }])
    );
    assert_eq!(
        table["BillingModeSummary"]["BillingMode"],
        "PAY_PER_REQUEST"
    );
    assert_eq!(table["StreamSpecification"], Value::Null);
    let ttl = call(&stack, "DescribeTimeToLive", name).await.unwrap();
    assert_eq!(
        ttl["TimeToLiveDescription"],
        json!({ "AttributeName": "expires_at", "TimeToLiveStatus": "ENABLED" })
    );
    let tables = call(&stack, "ListTables", json!({})).await.unwrap();
    assert_eq!(tables["TableNames"], json!([JOBS_TABLE, TABLE]));
}

#[tokio::test]
async fn a_job_is_claimed_once_and_taken_over_when_the_lease_ends() {
    let stack = client::start().await;
    let claimed = claim(&stack, "j1", "a", 1_000).await.unwrap();
    let job = &claimed["Attributes"];
    assert_eq!(job["attempt"], json!({ "N": "1" }));
    assert_eq!(
        job["checkpoint"],
        json!({ "M": { "offset": { "N": "0" }, "parts": { "L": [] } } })
    );
    assert_eq!(claimed["ConsumedCapacity"]["TableName"], JOBS_TABLE);
    assert_eq!(claimed["ConsumedCapacity"]["CapacityUnits"], 1.0);

    let (exception, refused) = claim(&stack, "j1", "b", 1_099).await.unwrap_err();
    assert_eq!(exception, "ConditionalCheckFailedException");
    assert_eq!(
        refused["Item"]["lease_holder"],
        json!({ "S": "a" }),
        "{refused}"
    );
    assert_eq!(refused["Item"]["checkpoint"], job["checkpoint"]);

    let again = claim(&stack, "j1", "b", 1_100).await.unwrap();
    assert_eq!(again["Attributes"]["attempt"], json!({ "N": "2" }));
    assert_eq!(again["Attributes"]["lease_holder"], json!({ "S": "b" }));
}

#[tokio::test]
async fn only_the_holder_of_the_newest_attempt_saves_progress() {
    let stack = client::start().await;
    claim(&stack, "j1", "a", 1_000).await.unwrap();
    let save = |attempt: &str, offset: &str| {
        let request = json!({
            "TableName": JOBS_TABLE,
            "Key": key("-", "j1"),
            "UpdateExpression": "SET rows_read = :rows, checkpoint.#offset = :offset, \
                                 checkpoint.parts = list_append(checkpoint.parts, :part) REMOVE cancel_requested",
            "ConditionExpression": "attempt = :attempt AND #status = :running",
            "ExpressionAttributeNames": { "#status": "status", "#offset": "offset" },
            "ExpressionAttributeValues": {
                ":attempt": { "N": attempt }, ":running": { "S": "RUNNING" }, ":rows": { "N": "25" },
                ":offset": { "N": offset }, ":part": { "L": [{ "M": { "rows": { "N": "3" } } }] },
            },
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        });
        call(&stack, "UpdateItem", request)
    };
    let saved = save("1", "7").await.unwrap();
    let checkpoint = json!({ "M": { "offset": { "N": "7" }, "parts": { "L": [{ "M": { "rows": { "N": "3" } } }] } } });
    assert_eq!(saved["Attributes"]["checkpoint"], checkpoint);
    claim(&stack, "j1", "b", 1_100).await.unwrap();
    let (exception, refused) = save("1", "9").await.unwrap_err();
    assert_eq!(exception, "ConditionalCheckFailedException");
    assert_eq!(refused["Item"]["attempt"], json!({ "N": "2" }));

    let get = json!({ "TableName": JOBS_TABLE, "Key": key("-", "j1"), "ConsistentRead": true, "ReturnConsumedCapacity": "TOTAL" });
    let job = call(&stack, "GetItem", get).await.unwrap();
    assert_eq!(job["Item"]["checkpoint"], checkpoint, "{job}");
    assert_eq!(job["ConsumedCapacity"]["CapacityUnits"], 1.0);
    let none = json!({ "TableName": JOBS_TABLE, "Key": key("-", "j2"), "ConsistentRead": true });
    assert_eq!(
        call(&stack, "GetItem", none).await.unwrap().get("Item"),
        None
    );
}

/// Ten at once: one of them gets it.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_is_atomic() {
    let stack = Arc::new(client::start().await);
    let mut claims = tokio::task::JoinSet::new();
    for holder in 0..10 {
        let stack = Arc::clone(&stack);
        claims.spawn(async move {
            claim(&stack, "j1", &holder.to_string(), 1_000)
                .await
                .is_ok()
        });
    }
    let won = claims
        .join_all()
        .await
        .into_iter()
        .filter(|won| *won)
        .count();
    assert_eq!(won, 1);
}

#[tokio::test]
async fn jobs_of_an_owner_are_listed_newest_first_page_by_page() {
    let stack = client::start().await;
    for (owner, job) in [("-", "j1"), ("-", "j2"), ("-", "j3"), ("someone", "j4")] {
        let mut item = key(owner, job);
        item["status"] = json!({ "S": "COMPLETED" });
        let put = json!({ "TableName": JOBS_TABLE, "Item": item });
        call(&stack, "PutItem", put).await.unwrap();
    }
    let mut pages: Vec<Vec<String>> = Vec::new();
    let mut from = Value::Null;
    loop {
        let mut query = json!({
            "TableName": JOBS_TABLE,
            "KeyConditionExpression": "#owner = :owner",
            "ExpressionAttributeNames": { "#owner": "owner" },
            "ExpressionAttributeValues": { ":owner": { "S": "-" } },
            "ScanIndexForward": false,
            "Limit": 2,
        });
        if !from.is_null() {
            query["ExclusiveStartKey"] = from;
        }
        let mut page = call(&stack, "Query", query).await.unwrap();
        let jobs = page["Items"].as_array().unwrap();
        pages.push(
            jobs.iter()
                .map(|item| item["job"]["S"].as_str().unwrap().to_owned())
                .collect(),
        );
        from = page["LastEvaluatedKey"].take();
        if from.is_null() {
            break;
        }
    }
    assert_eq!(pages, [vec!["j3", "j2"], vec!["j1"]]);
}
