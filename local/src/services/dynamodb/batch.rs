//! `UnprocessedItems`: taking them out of a batch, and putting them into its answer.

use axum::body::Body;
use http::{Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};

use super::answer::json_response;

/// Moves the items for which `is_taken` holds out of a batch's `RequestItems`.
pub(crate) fn take_items(
    items: &mut Map<String, Value>,
    mut is_taken: impl FnMut() -> bool,
) -> Map<String, Value> {
    let mut taken = Map::new();
    for (table, requests) in items.iter_mut() {
        let Some(requests) = requests.as_array_mut() else {
            continue;
        };
        let own: Vec<Value> = requests.extract_if(.., |_| is_taken()).collect();
        if !own.is_empty() {
            taken.insert(table.clone(), own.into());
        }
    }
    // DynamoDB refuses an empty list, and a request for no table.
    items.retain(|_, requests| requests.as_array().is_none_or(|list| !list.is_empty()));
    taken
}

/// How many items these `RequestItems` or `UnprocessedItems` are.
pub(crate) fn count_items(items: &Map<String, Value>) -> usize {
    items
        .values()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .sum()
}

/// The answer to a batch of which nothing was written.
pub(crate) fn nothing_written(unprocessed: &Map<String, Value>) -> Response<Body> {
    let answer = json!({ "UnprocessedItems": unprocessed }).to_string();
    json_response(StatusCode::OK, answer)
}

/// Adds `unprocessed` to the answer to the rest of a batch.
pub(crate) async fn add_unprocessed(
    answer: Response<Body>,
    unprocessed: Map<String, Value>,
) -> Result<Response<Body>, axum::Error> {
    // An error is the answer to the whole batch: nothing of it was written.
    if !answer.status().is_success() {
        return Ok(answer);
    }
    let (mut head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    let Ok(mut parsed) = serde_json::from_slice::<Value>(&body) else {
        return Ok(Response::from_parts(head, Body::from(body)));
    };
    for (table, requests) in unprocessed {
        let Value::Array(requests) = requests else {
            continue;
        };
        match &mut parsed["UnprocessedItems"][table] {
            Value::Array(own) => own.extend(requests),
            none => *none = requests.into(),
        }
    }
    // Both are of the body that was.
    head.headers.remove("x-amz-crc32");
    head.headers.remove(header::CONTENT_LENGTH);
    Ok(Response::from_parts(head, Body::from(parsed.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unprocessed_items_join_those_of_the_table() {
        let own = json!({ "UnprocessedItems": { "T": [1] }, "other": 2 }).to_string();
        let answer = json_response(StatusCode::OK, own);
        let more = Map::from_iter([("T".to_owned(), json!([3])), ("U".to_owned(), json!([4]))]);
        let merged = add_unprocessed(answer, more).await.unwrap();
        let merged = merged.into_body().collect().await.unwrap().to_bytes();
        let merged: Value = serde_json::from_slice(&merged).unwrap();
        let expected = json!({ "UnprocessedItems": { "T": [1, 3], "U": [4] }, "other": 2 });
        assert_eq!(merged, expected);
    }
}
