use std::collections::BTreeMap;
use std::process::Stdio;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{Fixture, LIMIT, sample, scan, signal, wait};
use intake::local_stack::state::State;

/// Starts `intake local` and reads what it prints until it is ready.
async fn start(bench: &Fixture, args: &[&str]) -> (Child, BufReader<ChildStdout>, Vec<String>) {
    let mut command = bench.command(["local"].iter().chain(args));
    let objects = bench.path("objects");
    std::fs::create_dir_all(&objects).unwrap();
    command.env("TMPDIR", objects).stderr(Stdio::inherit());
    ready(command).await
}

/// Starts it, and reads what it prints until it is ready.
async fn ready(mut command: Command) -> (Child, BufReader<ChildStdout>, Vec<String>) {
    let mut child = command.spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    let ready = async {
        loop {
            let mut line = String::new();
            assert_ne!(
                stdout.read_line(&mut line).await.unwrap(),
                0,
                "it ended: {lines:?}"
            );
            lines.push(line.trim_end().to_owned());
            if lines.last().unwrap().contains("--local") {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, ready)
        .await
        .expect("it gets ready");
    (child, stdout, lines)
}

fn exports(lines: &[String]) -> BTreeMap<String, String> {
    lines
        .iter()
        .filter_map(|line| line.strip_prefix("export "))
        .filter_map(|assignment| assignment.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[tokio::test]
async fn a_running_stack_is_found_and_used_and_stops_when_told() {
    let bench = Fixture::new();
    for stop in [Signal::INT, Signal::TERM] {
        let (child, stdout, lines) = start(&bench, &[]).await;
        let state = State::running(&bench.state_path()).expect("the stack is announced");
        assert_eq!(Some(state.pid), child.id());
        let exports = exports(&lines);
        assert_eq!(
            exports["AWS_ENDPOINT_URL_DYNAMODB"],
            state.endpoints.dynamodb
        );
        assert_eq!(exports["AWS_ACCESS_KEY_ID"], state.endpoints.access_key_id);

        // Once by the announcement, once by the environment that it prints.
        let inventory = sample("inventory.csv");
        let args = [
            "import",
            inventory.to_str().unwrap(),
            "--table",
            "InventoryTable",
        ];
        let ended = bench.run(args.iter().chain(&["--local"])).await.expect(0);
        assert!(
            ended.stderr.contains("using the local stack of process"),
            "{}",
            ended.stderr
        );
        assert_eq!(scan(&state.endpoints).await.len(), 2);
        wait(bench.command(args).envs(&exports).spawn().unwrap())
            .await
            .expect(0);

        let second = bench.run(["local"]).await.expect(1);
        assert!(
            second.stderr.contains("a local stack is running already"),
            "{}",
            second.stderr
        );
        assert!(second.stderr.contains("fix: "), "{}", second.stderr);

        signal(&child, stop);
        drop(stdout);
        wait(child).await.expect(0);
        assert!(!bench.state_path().exists());
        let left = std::fs::read_dir(bench.path("objects")).unwrap().count();
        assert_eq!(left, 0, "folders are left behind");
    }
}

#[tokio::test]
async fn an_upload_is_imported_by_the_function() {
    let bench = Fixture::new();
    let (child, _stdout, _) = start(&bench, &[]).await;
    let endpoints = State::running(&bench.state_path()).unwrap().endpoints;
    intake::aws::Clients::for_local(&endpoints)
        .s3
        .put_object()
        .bucket(&endpoints.bucket)
        .key("uploads/a b+c.csv")
        .body(std::fs::read(sample("inventory.csv")).unwrap().into())
        .send()
        .await
        .unwrap();
    let object = format!("s3://{}/uploads/a b+c.csv", endpoints.bucket);
    let ended = bench
        .run(["status", &object, "--watch", "--local"])
        .await
        .expect(0);
    assert!(ended.stdout.contains("COMPLETED\n"), "{}", ended.stdout);
    assert_eq!(scan(&endpoints).await.len(), 2);
    signal(&child, Signal::TERM);
    wait(child).await.expect(0);
}

/// The very files that are deployed. `make sam` runs it after `sam build`; `INTAKE_FUNCTIONS` names their folder.
#[tokio::test]
#[ignore = "needs the functions that `sam build` makes: `make sam` runs it"]
async fn the_built_functions_import_the_samples_and_tell_of_them() {
    let functions = std::env::var("INTAKE_FUNCTIONS").expect("INTAKE_FUNCTIONS names a folder");
    let bench = Fixture::new();
    let log = bench.path("log");
    let mut command = bench.command(["local", "--inbox", "--functions", &functions]);
    command.env("RUST_LOG", "lambda=debug");
    command.stderr(std::fs::File::create(&log).unwrap());
    let (child, mut stdout, _) = ready(command).await;
    let endpoints = State::running(&bench.state_path()).unwrap().endpoints;
    let s3 = intake::aws::Clients::for_local(&endpoints).s3;
    for name in [
        "inventory.json",
        "inventory.json.gz",
        "inventory.csv",
        "bad-rows.jsonl",
    ] {
        let put = s3
            .put_object()
            .bucket(&endpoints.bucket)
            .key(format!("uploads/{name}"));
        put.body(std::fs::read(sample(name)).unwrap().into())
            .send()
            .await
            .unwrap();
        let object = format!("s3://{}/uploads/{name}", endpoints.bucket);
        let status = ["status", &object, "--watch", "--local"];
        let ended = bench.run(status).await;
        let expected = if name == "bad-rows.jsonl" {
            "COMPLETED_WITH_REJECTS\n"
        } else {
            "COMPLETED\n"
        };
        assert!(ended.stdout.contains(expected), "{name}: {ended:?}");
    }
    let names: Vec<String> = scan(&endpoints)
        .await
        .iter()
        .map(|item| item["productId"].to_string())
        .collect();
    assert!(names.iter().any(|name| name.contains("P1001")), "{names:?}");

    let mut reported = String::new();
    let digest = async {
        while !reported.contains("Laptop") || !reported.contains("Import finished: inventory.csv") {
            assert_ne!(
                stdout.read_line(&mut reported).await.unwrap(),
                0,
                "{reported}"
            );
        }
    };
    tokio::time::timeout(LIMIT, digest)
        .await
        .expect("the notifier and the importer tell");
    signal(&child, Signal::TERM);
    drop(stdout);
    wait(child).await.expect(0);

    // What CloudWatch is told, as the functions' logs have it.
    let log = std::fs::read_to_string(log).unwrap();
    let importers = [
        "rows_written",
        "batch_latency_p99_ms",
        "cold_start",
        "remaining_time_ms",
        "jobs_completed",
    ];
    for (service, metrics) in [
        ("importer", &importers[..]),
        ("notifier", &["records", "digests"]),
    ] {
        for metric in metrics {
            let reported = log.lines().any(|line| {
                line.contains("CloudWatchMetrics")
                    && line.contains(service)
                    && line.contains(&format!("\"{metric}\":["))
            });
            assert!(reported, "no {metric} of the {service} in:\n{log}");
        }
    }
}

#[tokio::test]
async fn functions_that_are_not_there_are_missed() {
    let bench = Fixture::new();
    let ended = bench
        .run(["local", "--functions", "nowhere"])
        .await
        .expect(1);
    assert!(
        ended
            .stderr
            .contains("nowhere/ProcessInventoryFile/bootstrap"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("fix: run sam build"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn the_dashboard_is_served_with_somebody_who_can_sign_in() {
    let bench = Fixture::new();
    let folder = bench.path("dist");
    std::fs::create_dir_all(&folder).unwrap();
    let args = ["--dashboard", folder.to_str().unwrap()];
    let refused = bench.run(["local"].iter().chain(&args)).await.expect(1);
    assert!(
        refused.stderr.contains("npm run build"),
        "{}",
        refused.stderr
    );

    std::fs::write(folder.join("index.html"), "<!doctype html>the page").unwrap();
    let (child, _stdout, lines) = start(&bench, &args).await;
    let endpoints = State::running(&bench.state_path()).unwrap().endpoints;
    let address = endpoints.dashboard.trim_start_matches("http://");
    let at = lines
        .iter()
        .position(|line| line.contains(&endpoints.dashboard))
        .unwrap();
    let (_, password) = lines[at + 1]
        .split_once("demo@example.com, password ")
        .unwrap();
    assert!(
        password.split(',').next().unwrap().len() >= 12,
        "{password}"
    );
    for (path, expected) in [
        ("/imports", "the page"),
        ("/config.json", endpoints.cognito.as_str()),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes())
            .await
            .unwrap();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answer)
            .await
            .unwrap();
        assert!(answer.contains(expected), "{answer}");
    }
    signal(&child, Signal::TERM);
    wait(child).await.expect(0);
}

#[tokio::test]
async fn ports_can_be_chosen() {
    let bench = Fixture::new();
    // Below the range that the kernel hands out by itself: what is free there stays free for the moment that it takes to start.
    for port in (10_000..32_000)
        .step_by(8)
        .skip(std::process::id() as usize % 1_000)
    {
        let free =
            (port..port + 8).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
        if !free {
            continue;
        }
        let (child, _stdout, _) = start(&bench, &["--port", &port.to_string()]).await;
        let endpoints = State::running(&bench.state_path()).unwrap().endpoints;
        assert_eq!(endpoints.s3, format!("http://127.0.0.1:{port}"));
        assert_eq!(endpoints.dynamodb, format!("http://127.0.0.1:{}", port + 1));
        // A second stack cannot have the same ports, and says so.
        let other = Fixture::new();
        let refused = other
            .run(["local", "--port", &port.to_string()])
            .await
            .expect(1);
        assert!(
            refused.stderr.contains(&port.to_string()),
            "{}",
            refused.stderr
        );
        signal(&child, Signal::TERM);
        wait(child).await.expect(0);
        return;
    }
    panic!("no eight free ports in a row");
}
