use std::collections::HashMap;
use std::io::Write as _;

use flate2::write::GzEncoder;
use generator::{Format, Generator, Shape};
use intake::aws::Clients;
use local::Endpoints;
use serde_json::Value;

use crate::support::{Fixture, for_each_item, normalised, rows, sample, scan, stack};

const FORMATS: [Format; 4] = [Format::Json, Format::Jsonl, Format::Csv, Format::DdbJson];

#[derive(Clone, Copy, Debug)]
enum Packing {
    Plain,
    Gzip,
    Zstd,
}

impl Packing {
    fn pack(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Plain => bytes,
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(&bytes).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(&bytes[..], 1).unwrap(),
        }
    }
}

fn file(generator: &Generator) -> Vec<u8> {
    let mut bytes = Vec::new();
    generator.write_to(&mut bytes).unwrap();
    bytes
}

/// The table agrees with the generator item by item: of each key, the last row's item. Neither is held in memory.
async fn assert_agrees(endpoints: &Endpoints, generator: &Generator, what: &str) {
    let id = |row| format!("P{:08}", generator.key_number(row));
    let last: HashMap<String, u64> = (0..generator.rows()).map(|row| (id(row), row)).collect();
    let mut items = 0;
    for_each_item(endpoints, |item| {
        let row = last[item["productId"]["S"].as_str().unwrap()];
        let expected = normalised(&generator.expected_item(row));
        assert_eq!(item, expected, "{what}: row {row}");
        items += 1;
    })
    .await;
    assert_eq!(items, last.len(), "{what}");
}

/// The table must agree with the generator item by item, for every format and packing.
#[tokio::test(flavor = "multi_thread")]
async fn every_format_and_packing_arrives_item_by_item() {
    let bench = Fixture::new();
    for (format, packing) in [
        (Format::Json, Packing::Plain),
        (Format::Jsonl, Packing::Plain),
        (Format::Csv, Packing::Plain),
        (Format::DdbJson, Packing::Plain),
        (Format::Json, Packing::Gzip),
        (Format::Csv, Packing::Zstd),
    ] {
        let what = format!("{format:?} {packing:?}");
        let stack = stack(&bench).await;
        let generator = Generator::new(rows(), Shape::Catalog, format).seed(11);
        let path = bench.file("catalog", &packing.pack(file(&generator)));
        let args = [
            "import",
            path.to_str().unwrap(),
            "--table",
            "InventoryTable",
            "--local",
        ];
        let ended = bench.run(args).await.expect(0);
        let rows = rows();
        let counts = format!("{rows} rows read = {rows} written + 0 superseded + 0 rejected");
        assert!(ended.stdout.contains(&counts), "{what}: {}", ended.stdout);
        assert_agrees(stack.endpoints(), &generator, &what).await;
        stack.shutdown().await;
    }
}

/// As in `intake generate … | intake import -`, with the format given instead of found out.
#[tokio::test(flavor = "multi_thread")]
async fn standard_input_is_imported() {
    let bench = Fixture::new();
    for (format, name) in FORMATS
        .into_iter()
        .zip(["json", "jsonl", "csv", "ddb-json"])
    {
        let stack = stack(&bench).await;
        let generator = Generator::new(200, Shape::Catalog, format);
        let args = [
            "import",
            "-",
            "--table",
            "InventoryTable",
            "--local",
            "--format",
            name,
        ];
        bench.run_with_input(args, file(&generator)).await.expect(0);
        assert_agrees(stack.endpoints(), &generator, name).await;
        stack.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_row_of_a_key_wins() {
    let bench = Fixture::new();
    for writer in ["wire", "sdk"] {
        let stack = stack(&bench).await;
        let generator = Generator::new(rows(), Shape::Small, Format::Jsonl).duplicates_percent(10);
        let path = bench.file("duplicates.jsonl", &file(&generator));
        let args = [
            "import",
            path.to_str().unwrap(),
            "--table",
            "InventoryTable",
            "--local",
            "--lanes",
            "16",
            "--writer",
            writer,
        ];
        let ended = bench.run(args).await.expect(0);
        assert!(!ended.stdout.contains("+ 0 superseded"), "{}", ended.stdout);
        assert_agrees(stack.endpoints(), &generator, writer).await;
    }
}

/// An object's metadata says how to read it, and arguments override it.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_imported_as_its_metadata_says() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let endpoints = stack.endpoints();
    let text = "productId;name;price\nO1;Caf\u{e9};1,5\n";
    let (latin1, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    Clients::for_local(endpoints)
        .s3
        .put_object()
        .bucket(&endpoints.bucket)
        .key("catalogs/a b+ü.csv")
        .metadata("intake-encoding", "windows-1252")
        .metadata("intake-types", "name:S")
        .body(latin1.into_owned().into())
        .send()
        .await
        .unwrap();
    let url = format!("s3://{}/catalogs/a b+ü.csv", endpoints.bucket);
    // The environment of the stack, as `intake local` prints it, instead of --local.
    let command = |extra: &'static [&'static str]| {
        let args = ["import", &url, "--table", "InventoryTable"]
            .into_iter()
            .map(str::to_owned);
        let extra = extra.iter().map(|arg| (*arg).to_owned());
        bench
            .command(args.chain(extra))
            .envs(endpoints.env())
            .spawn()
            .unwrap()
    };
    crate::support::wait(command(&[])).await.expect(0);
    let item =
        serde_json::json!({"productId": {"S": "O1"}, "name": {"S": "Café"}, "price": {"S": "1,5"}});
    assert_eq!(scan(endpoints).await, [item]);
    let validate = bench
        .command(["validate", &url])
        .envs(endpoints.env())
        .spawn();
    let ended = crate::support::wait(validate.unwrap()).await.expect(0);
    assert!(
        ended.stdout.contains("1 rows read = 1 good"),
        "{}",
        ended.stdout
    );
    // `1,5` is no number, so declaring one rejects the row.
    let ended = crate::support::wait(command(&["--types", "price:N"]))
        .await
        .expect(3);
    assert!(
        ended
            .stderr
            .contains("\"price\" does not fit its declared type N"),
        "{}",
        ended.stderr
    );
}

/// `aws dynamodb scan` prints typed items under `/Items`.
#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_scan_is_imported() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let generator = Generator::new(50, Shape::Catalog, Format::DdbJson);
    let items: Vec<Value> = (0..50).map(|row| generator.expected_item(row)).collect();
    let printed = serde_json::json!({"Items": items, "Count": 50, "ScannedCount": 50, "ConsumedCapacity": null});
    let path = bench.file("scan.json", &serde_json::to_vec_pretty(&printed).unwrap());
    let args = [
        "import",
        path.to_str().unwrap(),
        "--table",
        "InventoryTable",
        "--local",
    ];
    let refused = bench.run(args).await.expect(1);
    assert!(
        refused.stderr.contains("--rows-at /Items"),
        "{}",
        refused.stderr
    );
    bench
        .run(
            args.iter()
                .chain(&["--rows-at", "/Items", "--format", "ddb-json"]),
        )
        .await
        .expect(0);
    assert_agrees(stack.endpoints(), &generator, "scan").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    let args = ["--table", "InventoryTable", "--local", "--dry-run"];
    let good = sample("inventory.json");
    let ended = bench
        .run(["import", good.to_str().unwrap()].iter().chain(&args))
        .await
        .expect(0);
    assert!(
        ended.stdout.contains("2 rows read = 2 good"),
        "{}",
        ended.stdout
    );
    let bad = sample("bad-rows.jsonl");
    bench
        .run(["import", bad.to_str().unwrap()].iter().chain(&args))
        .await
        .expect(3);
    assert_eq!(scan(stack.endpoints()).await, [] as [Value; 0]);
}

#[tokio::test]
async fn without_a_running_stack_one_is_started_and_said_so() {
    let bench = Fixture::new();
    let inventory = sample("inventory.json.gz");
    let args = [
        "import",
        inventory.to_str().unwrap(),
        "--table",
        "InventoryTable",
        "--local",
    ];
    let ended = bench.run(args).await.expect(0);
    assert!(
        ended.stderr.contains("no local stack is running"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stdout.contains("2 rows read = 2 written"),
        "{}",
        ended.stdout
    );
}
