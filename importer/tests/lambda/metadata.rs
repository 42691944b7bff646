//! Object metadata that says how a file is to be read.

use serde_json::{Value, json};

use crate::fixture::{Fixture, notification};

#[tokio::test]
async fn each_metadata_is_obeyed() {
    let latin = b"productId;name\nP1;K\xe4se\n";
    let wrapped = br#"{"data":{"rows":[{"productId":"P1"}]}}"#;
    let aws_cli = br#"{"Items":[{"productId":{"S":"P1"},"price":{"N":"1.50"}}],"Count":1}"#;
    for (metadata, file, item) in [
        (
            &[][..],
            &b"productId,sku\nP1,7\n"[..],
            "productId=S:P1 sku=N:7",
        ),
        (
            &[("intake-types", "sku:S")],
            b"productId,sku\nP1,7\n",
            "productId=S:P1 sku=S:7",
        ),
        (
            &[("intake-delimiter", "|")],
            b"productId|a,b\nP1|x\n",
            "a,b=S:x productId=S:P1",
        ),
        (
            &[("intake-delimiter", "tab")],
            b"productId\ta;b\nP1\tx\n",
            "a;b=S:x productId=S:P1",
        ),
        (
            &[("intake-encoding", "windows-1252")],
            latin,
            "name=S:Käse productId=S:P1",
        ),
        (
            &[("intake-format", "csv")],
            b"productId\n{P1}\n",
            "productId=S:{P1}",
        ),
        (
            &[("intake-rows-at", "/data/rows")],
            wrapped,
            "productId=S:P1",
        ),
        (
            &[("intake-rows-at", "/Items"), ("intake-format", "ddb-json")],
            aws_cli,
            "price=N:1.5 productId=S:P1",
        ),
        (
            &[("intake-types", "a:N,b:S"), ("intake-delimiter", ";")],
            b"productId;a;b\nP1;1;2\n",
            "a=N:1 b=S:2 productId=S:P1",
        ),
    ] {
        let bench = Fixture::start().await;
        bench.put_with("uploads/file", file, metadata).await;
        let answer = bench.handle(notification(&["uploads/file"])).await;
        assert_eq!(answer, Ok(Value::Null), "{metadata:?}");
        assert_eq!(bench.items().await, [item], "{metadata:?}");
    }
}

#[tokio::test]
async fn a_job_remembers_how_its_file_is_read() {
    let bench = Fixture::start().await;
    let metadata = [
        ("intake-types", "sku:S"),
        ("intake-delimiter", "|"),
        ("color", "red"),
    ];
    let file = "productId|sku\nP1|7\n";
    bench.put_with("uploads/file", file, &metadata).await;
    bench.handle(notification(&["uploads/file"])).await.unwrap();
    let saved = bench.saved().await;
    let job = saved.iter().find(|item| item.contains_key("status"));
    let options = job.unwrap()["options"].as_m().unwrap();
    let mut options: Vec<_> = options
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_s().unwrap().as_str()))
        .collect();
    options.sort_unstable();
    assert_eq!(options, [("delimiter", "|"), ("types", "sku:S")]);
}

#[tokio::test]
async fn metadata_that_does_not_fit_fails_the_file_and_is_named() {
    let file = b"productId\nP1\n";
    for (name, value) in [
        ("intake-format", "xlsx"),
        ("intake-types", "price"),
        ("intake-types", "price:DECIMAL"),
        ("intake-delimiter", "::"),
        ("intake-encoding", "klingon"),
    ] {
        let bench = Fixture::start().await;
        bench
            .put_with("uploads/file.csv", file, &[(name, value)])
            .await;
        let error = bench
            .handle(notification(&["uploads/file.csv"]))
            .await
            .unwrap_err();
        assert!(error.contains(&format!("x-amz-meta-{name}")), "{error}");
        let summary = bench.summary().await;
        assert_eq!(
            (&summary["status"], &summary["rows_read"]),
            (&json!("FAILED"), &json!(0))
        );
        let failure = &summary["failure"];
        assert!(
            failure["message"].as_str().unwrap().contains(name),
            "{failure}"
        );
        assert!(
            failure["fix"]
                .as_str()
                .unwrap()
                .contains("upload the object again"),
            "{failure}"
        );
        assert!(bench.items().await.is_empty());
    }
}

#[tokio::test]
async fn rows_at_that_is_not_there_fails_the_file_and_is_named() {
    let bench = Fixture::start().await;
    let metadata = [("intake-rows-at", "/rows")];
    bench
        .put_with("uploads/file.json", br#"{"Items":[]}"#, &metadata)
        .await;
    let error = bench
        .handle(notification(&["uploads/file.json"]))
        .await
        .unwrap_err();
    assert!(
        error.contains("no \"rows\"") && error.contains("/Items"),
        "{error}"
    );
}
