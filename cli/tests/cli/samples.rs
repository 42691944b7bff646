use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{Fixture, sample, scan, stack};

/// The same two rows in every format give the same two items.
#[tokio::test(flavor = "multi_thread")]
async fn every_inventory_gives_the_same_items() {
    let bench = Fixture::new();
    let inventory = serde_json::json!([
        {"productId": {"S": "P1001"}, "name": {"S": "Laptop"}, "quantity": {"N": "2e1"}, "price": {"N": "12e2"}},
        {"productId": {"S": "P1002"}, "name": {"S": "Mouse"}, "quantity": {"N": "1e2"}, "price": {"N": "2e1"}},
    ]);
    for name in [
        "inventory.json",
        "inventory.jsonl",
        "inventory.csv",
        "inventory.ddb.jsonl",
        "inventory.json.gz",
    ] {
        let stack = stack(&bench).await;
        let path = sample(name);
        let args = [
            "import",
            path.to_str().unwrap(),
            "--table",
            "InventoryTable",
            "--local",
        ];
        bench.run(args).await.expect(0);
        let mut items = scan(stack.endpoints()).await;
        items.sort_by_key(|item| item["productId"]["S"].to_string());
        assert_eq!(Value::Array(items), inventory, "{name}");
        stack.shutdown().await;
    }
}

/// Line and reason of every bad row, from the tables of `samples/README.md`; a line without reason is a good row.
fn reasons(file: &str) -> Vec<(u64, String)> {
    let readme = std::fs::read_to_string(sample("README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("### [{file}]")).unwrap();
    section
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('|').skip(1).map(str::trim);
            let number = cells.next()?.parse().ok()?;
            Some((number, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect()
}

/// Each bad row is rejected for the reason that the samples' README states, and the good rows are written.
#[tokio::test(flavor = "multi_thread")]
async fn bad_rows_are_rejected_and_the_others_written() {
    let bench = Fixture::new();
    for (file, extra) in [
        ("bad-rows.jsonl", [].as_slice()),
        ("bad-rows.csv", &["--types", "price:N"]),
        ("bad-rows.ddb.jsonl", &[]),
    ] {
        let stack = stack(&bench).await;
        let rejects = bench.path("rejects.jsonl");
        let path = sample(file);
        let args = [
            "import",
            path.to_str().unwrap(),
            "--table",
            "InventoryTable",
            "--local",
            "--rejects",
            rejects.to_str().unwrap(),
        ];
        let ended = bench.run(args.iter().chain(extra)).await.expect(3);
        let rejected: BTreeMap<u64, String> = std::fs::read_to_string(&rejects)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .map(|line| {
                (
                    line["line"].as_u64().unwrap(),
                    line["reason"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        let (good, bad): (Vec<_>, Vec<_>) = reasons(file)
            .into_iter()
            .partition(|(_, reason)| reason.is_empty());
        assert!(!good.is_empty() && !bad.is_empty(), "{file}");
        assert_eq!(rejected, bad.into_iter().collect(), "{file}");
        assert_eq!(scan(stack.endpoints()).await.len(), good.len(), "{file}");
        assert!(
            ended.stderr.contains("rejected rows are in"),
            "{}",
            ended.stderr
        );
        stack.shutdown().await;
    }
}

#[tokio::test]
async fn the_readme_lists_every_file() {
    let readme = std::fs::read_to_string(sample("README.md")).unwrap();
    for entry in std::fs::read_dir(sample(".")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || readme.contains(&format!("({name})")),
            "{name}"
        );
    }
}
