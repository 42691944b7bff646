use crate::support::{Fixture, sample, scan, stack};

/// Wrong usage is told by clap, with exit code 2 and without a stack being started.
#[tokio::test]
async fn wrong_usage_ends_with_2() {
    let bench = Fixture::new();
    let cases: [(&[&str], &str); 26] = [
        (&["frobnicate"], "unrecognized subcommand"),
        (&["import"], "--table"),
        (&["import", "a.csv"], "--table"),
        (
            &["import", "s3://bucket", "--table", "T"],
            "s3://BUCKET/KEY",
        ),
        (
            &[
                "import",
                "s3://arn:aws:s3:eu-west-1:1:accesspoint/a/k",
                "--table",
                "T",
            ],
            "by its alias",
        ),
        (
            &["import", "https://b.s3.amazonaws.com/k", "--table", "T"],
            "s3://BUCKET/KEY",
        ),
        (&["status", "S3://b/k"], "s3://BUCKET/KEY"),
        (
            &["import", "a.csv", "--table", "T", "--format", "xml"],
            "possible values: json",
        ),
        (
            &["import", "a.csv", "--table", "T", "--types", "price:Q"],
            "is not a type",
        ),
        (
            &["import", "a.csv", "--table", "T", "--delimiter", "ab"],
            "is not a delimiter",
        ),
        (
            &["import", "a.csv", "--table", "T", "--encoding", "klingon"],
            "is not an encoding",
        ),
        (
            &["import", "a.csv", "--table", "T", "--max-wcu", "0"],
            "--max-wcu",
        ),
        (
            &["import", "a.csv", "--table", "T", "--lanes", "0"],
            "from 1 to 1024",
        ),
        (
            &["import", "a.csv", "--table", "T", "--max-rejects", "many"],
            "neither a number of rows nor a percentage",
        ),
        (&["validate", "a", "--max-rejects", "101%"], "--max-rejects"),
        (&["status", "--watch"], "JOB"),
        (&["status", "J", "--limit", "3"], "--limit"),
        (&["status", "--limit", "0"], "--limit"),
        (&["cancel"], "JOB"),
        (&["cancel", "s3://bucket"], "s3://BUCKET/KEY"),
        (&["validate"], "required"),
        (&["validate", "a", "--key", "id"], "is not NAME:TYPE"),
        (
            &["validate", "a", "b", "--rejects", "r"],
            "one file at a time",
        ),
        (&["generate", "--rows", "1"], "--shape"),
        (&["local", "--port", "65531"], "--port"),
        (
            &["doctor", "--no-notifier", "--notifier", "N"],
            "--no-notifier",
        ),
    ];
    for (args, expected) in cases {
        let ended = bench.run(args).await.expect(2);
        assert!(
            ended.stderr.starts_with("error: "),
            "{args:?}: {}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(expected),
            "{args:?}: {}",
            ended.stderr
        );
    }
}

/// What was typed may do something to a terminal, and is shown without that.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_typed_is_escaped_in_errors() {
    let bench = Fixture::new();
    let _stack = stack(&bench).await;
    let odd = "no\u{1b}[31m\u{202e}\nfake";
    let object = format!("s3://b/{odd}");
    let inline = format!("--max-rejects={odd}");
    let cases: [(Vec<&str>, i32); 7] = [
        (vec!["status", odd, "--local"], 1),
        (vec!["cancel", odd, "--local"], 1),
        (vec!["status", &object, "--local"], 1),
        (vec!["status", "--local", "--jobs-table", odd], 1),
        (
            vec!["import", odd, "--table", "InventoryTable", "--local"],
            1,
        ),
        (vec!["import", "a", "--table", "T", &inline], 2),
        (vec![odd], 2),
    ];
    for (args, code) in cases {
        let ended = bench.run(&args).await.expect(code);
        let is_raw =
            ended.stderr.contains(['\u{1b}', '\u{202e}']) || ended.stderr.contains("\nfake");
        assert!(!is_raw, "{args:?}: {:?}", ended.stderr);
        assert!(
            ended.stderr.contains("fake"),
            "{args:?}: {:?}",
            ended.stderr
        );
    }
}

/// A user's mistake is told in one line with its fix, and ends with 1.
#[tokio::test(flavor = "multi_thread")]
async fn failures_end_with_1_and_name_the_fix() {
    let bench = Fixture::new();
    let stack = stack(&bench).await;
    bench.file("empty.json", b"");
    bench.file(
        "broken.json",
        b"[\n{\"productId\":\"B1\"},\n{\"productId\":\"B2\"},\n{\"productId\":\"B3}]",
    );
    bench.file("cut.csv", b"productId,name\nC1,\"never closed\nC2,x\n");
    let cases: [(&str, &str, &[&str]); 6] = [
        ("none.csv", "InventoryTable", &["none.csv", "fix: "]),
        (".", "InventoryTable", &["error: . ", "fix: "]),
        ("empty.json", "InventoryTable", &["empty.json: ", "fix: "]),
        (
            "broken.json",
            "InventoryTable",
            &["broken.json: the file is broken at line 4", "fix: "],
        ),
        (
            "cut.csv",
            "InventoryTable",
            &["cut.csv: ", "line 2", "fix: "],
        ),
        ("empty.json", "Nope", &["Nope", "fix: "]),
    ];
    for (file, table, expected) in cases {
        let ended = bench
            .run(["import", file, "--table", table, "--local"])
            .await
            .expect(1);
        for expected in expected {
            assert!(
                ended.stderr.contains(expected),
                "{file} {table}: no {expected:?} in:\n{}",
                ended.stderr
            );
        }
    }
    // The rows before the break are written.
    let keys: Vec<_> = scan(stack.endpoints())
        .await
        .iter()
        .map(|item| item["productId"]["S"].clone())
        .collect();
    assert!(
        keys.contains(&"B1".into()) && keys.contains(&"B2".into()) && !keys.contains(&"B3".into()),
        "{keys:?}"
    );
}

#[tokio::test]
async fn without_region_or_credentials_the_fix_is_named() {
    let bench = Fixture::new();
    let cases = [
        (
            ("AWS_ACCESS_KEY_ID", "id"),
            "no AWS region is set",
            "fix: export AWS_REGION=",
        ),
        (
            ("AWS_REGION", "eu-central-1"),
            "no AWS credentials",
            "fix: set AWS_PROFILE",
        ),
    ];
    for ((name, value), problem, fix) in cases {
        let mut command = bench.command(["import", "-", "--table", "InventoryTable"]);
        let ended = crate::support::wait(command.env(name, value).spawn().unwrap())
            .await
            .expect(1);
        assert!(
            ended.stderr.contains(problem) && ended.stderr.contains(fix),
            "{}",
            ended.stderr
        );
    }
}

/// A way to AWS that other tools take and Intake does not ends with 2 before anything is sent.
#[tokio::test]
async fn a_proxy_or_certificates_that_would_be_ignored_are_refused_by_name() {
    const PROXY: &str = "http://127.0.0.1:9";
    let bench = Fixture::new();
    for (env, problem, fix) in [
        (
            &[("HTTPS_PROXY", PROXY)][..],
            "HTTPS_PROXY sends requests to dynamodb.eu-central-1.amazonaws.com through a proxy",
            "env -u HTTPS_PROXY",
        ),
        (
            &[
                ("ALL_PROXY", PROXY),
                ("NO_PROXY", "dynamodb.eu-central-1.amazonaws.com"),
            ],
            "ALL_PROXY sends requests to s3.eu-central-1.amazonaws.com through a proxy",
            "add .amazonaws.com to NO_PROXY",
        ),
        (
            &[("AWS_CA_BUNDLE", "/ca.pem")],
            "AWS_CA_BUNDLE names certificates to trust",
            "SSL_CERT_FILE",
        ),
        (
            &[("SSL_CERT_FILE", "/nonexistent")],
            "SSL_CERT_FILE names no certificate to trust",
            "env -u SSL_CERT_FILE",
        ),
        (
            &[("SSL_CERT_FILE", "")],
            "SSL_CERT_FILE names no certificate to trust: it is empty",
            "env -u SSL_CERT_FILE",
        ),
        (
            &[("HTTPS_PROXY", "http://user:pa ss@h:1")],
            "HTTPS_PROXY sends requests to dynamodb.eu-central-1.amazonaws.com through a proxy",
            "env -u HTTPS_PROXY",
        ),
    ] {
        let mut command = bench.command(["import", "-", "--table", "InventoryTable"]);
        let command = command
            .env("AWS_REGION", "eu-central-1")
            .env_remove("SSL_CERT_FILE")
            .env_remove("SSL_CERT_DIR")
            .envs(env.iter().copied());
        let ended = crate::support::wait(command.spawn().unwrap())
            .await
            .expect(2);
        assert!(
            ended.stderr.contains(problem) && ended.stderr.contains(fix),
            "{}",
            ended.stderr
        );
    }
}

/// The SDK would name a part of it that is not built in.
#[tokio::test]
async fn credentials_of_aws_login_are_asked_for_in_the_words_of_the_cli() {
    let bench = Fixture::new();
    let profile =
        "[profile shop]\nregion = eu-central-1\nlogin_session = arn:aws:iam::123456789012:user/x\n";
    bench.file("login-config", profile.as_bytes());
    let mut command = bench.command(["import", "-", "--table", "InventoryTable"]);
    let command = command
        .env("AWS_CONFIG_FILE", bench.path("login-config"))
        .env("AWS_PROFILE", "shop");
    let ended = crate::support::wait(command.spawn().unwrap())
        .await
        .expect(1);
    assert!(
        ended.stderr.contains("the credentials of profile shop")
            && ended.stderr.contains("aws configure export-credentials")
            && !ended.stderr.contains("cargo"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn validate_says_what_import_would() {
    let bench = Fixture::new();
    let [inventory, csv, bad] = ["inventory.json", "inventory.csv", "bad-rows.jsonl"].map(sample);
    let [inventory, csv, bad] = [&inventory, &csv, &bad].map(|path| path.to_str().unwrap());
    let cases: [(&[&str], i32); 8] = [
        (&[inventory, csv], 0),
        (&[inventory, bad, csv], 3),
        (&[inventory, "none.csv", bad], 1),
        (&["none.csv", inventory], 1),
        (&[inventory, "--key", "name:S,quantity:N"], 0),
        (&[inventory, "--key", "name:S,quantity:S"], 3),
        (&[inventory, "--key", "missing:S"], 3),
        (&[inventory, "--table", "InventoryTable", "--local"], 0),
    ];
    for (args, code) in cases {
        bench
            .run(["validate"].iter().chain(args))
            .await
            .expect(code);
    }
    let both = bench.run(["validate", inventory, csv]).await.expect(0);
    assert_eq!(
        both.stdout.matches("2 rows read = 2 good").count(),
        2,
        "{}",
        both.stdout
    );
    let rejected = bench.run(["validate", bad]).await.expect(3);
    assert!(
        rejected.stderr.contains("rejected: line 3, "),
        "{}",
        rejected.stderr
    );
    assert!(
        rejected
            .stderr
            .contains("key attribute \"productId\" is missing"),
        "{}",
        rejected.stderr
    );
    assert!(
        rejected.stderr.contains("hint: --rejects FILE"),
        "{}",
        rejected.stderr
    );
}

/// More rejected rows than are allowed make a file a failure; before that they are only rejected.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_rejected_rows_end_with_1() {
    let bench = Fixture::new();
    let _stack = stack(&bench).await;
    let good = |n| format!("{{\"productId\":\"G{n}\"}}\n");
    let mut rows: String = (0..98).map(good).collect();
    rows.push_str("{\"name\":\"no key\"}\n{\"name\":\"neither\"}\n");
    bench.file("two-of-100.jsonl", rows.as_bytes());
    let import = [
        "import",
        "two-of-100.jsonl",
        "--table",
        "InventoryTable",
        "--local",
    ];
    let validate = ["validate", "two-of-100.jsonl"];
    for command in [&import[..], &validate[..]] {
        for (max_rejects, code) in [("2", 3), ("1", 1), ("0", 1), ("2%", 3), ("1.9%", 1)] {
            let extra = ["--max-rejects", max_rejects];
            let ended = bench.run(command.iter().chain(&extra)).await.expect(code);
            let is_told = ended
                .stderr
                .contains("more rows were rejected than is allowed");
            assert_eq!(is_told, code == 1, "{max_rejects}: {}", ended.stderr);
            let has_fix = ended.stderr.contains("allow more with --max-rejects");
            assert_eq!(has_fix, code == 1, "{max_rejects}: {}", ended.stderr);
        }
    }
}

#[tokio::test]
async fn generate_survives_a_reader_that_leaves() {
    let bench = Fixture::new();
    for format in ["json", "jsonl", "csv", "ddb-json"] {
        let args = [
            "generate", "--rows", "1000000", "--shape", "catalog", "--format", format,
        ];
        let mut child = bench.command(args).spawn().unwrap();
        drop(child.stdout.take());
        let ended = crate::support::wait(child).await.expect(0);
        assert_eq!(ended.stderr, "", "{format}");
    }
}

#[tokio::test]
async fn help_teaches_every_command() {
    let bench = Fixture::new();
    for command in [
        "import", "validate", "status", "cancel", "doctor", "local", "generate",
    ] {
        let ended = bench.run([command, "--help"]).await.expect(0);
        let example = format!("Examples:\n  intake {command}");
        assert!(
            ended.stdout.contains(&example),
            "{command}: {}",
            ended.stdout
        );
    }
    let import = bench.run(["import", "--help"]).await.expect(0);
    assert!(
        import.stdout.contains("The table must exist"),
        "{}",
        import.stdout
    );
    let ended = bench.run(["--help"]).await.expect(0);
    assert!(ended.stdout.contains("Exit codes:"), "{}", ended.stdout);
    assert!(
        !ended.stdout.contains("lambda importer"),
        "{}",
        ended.stdout
    );
}
