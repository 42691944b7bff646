//! What the dashboard's page finds: itself, its configuration, the inbox, and services that it may call.

use http::Method;
use local::{Stack, StackOptions};

use crate::{
    browser::{Browser, PASSWORD, home, login_url, text},
    client::{self, get, send},
};

const ADA: &str = "ada@example.com";

#[tokio::test]
async fn the_page_may_call_and_other_pages_may_not() {
    let stack = client::start().await;
    let endpoints = stack.endpoints();
    for url in [
        format!("{}/oauth2/token", endpoints.cognito),
        format!("{}/", endpoints.cognito),
        format!("{}/inbox", endpoints.cognito),
        format!("{}/local/faults", endpoints.cognito),
        format!("{}/", endpoints.dynamodb),
        format!("{}/{}/uploads/x", endpoints.s3, local::BUCKET),
    ] {
        for (origin, may) in [
            (endpoints.dashboard.as_str(), true),
            ("http://localhost:5173", true),
            ("https://evil.example", false),
        ] {
            let headers = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                (
                    "access-control-request-headers",
                    "x-amz-target,authorization",
                ),
            ];
            let preflight = send(Method::OPTIONS, &url, &headers, "").await;
            let answer = send(Method::GET, &url, &headers[..1], "").await;
            for answer in [preflight, answer] {
                let allowed = answer.headers().get("access-control-allow-origin");
                let allowed = allowed.and_then(|value| value.to_str().ok());
                assert_eq!(allowed, may.then_some(origin), "{url} {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_inbox_has_what_was_published_and_what_was_mailed() {
    let stack = client::start().await;
    let mut browser = Browser::default();
    let sign_up = login_url(&stack, &mut browser)
        .await
        .replace("/login", "/signup");
    let fields = [("username", ADA), ("password", PASSWORD)];
    browser.submit(&sign_up, "/signup", &fields).await;
    let sns = client::sdk!(aws_sdk_sns, &stack.endpoints().sns);
    let topic = &stack.endpoints().topic_arn;
    let publish = sns
        .publish()
        .topic_arn(topic)
        .subject("Inventory <b>")
        .message("New");
    publish.send().await.unwrap();

    let url = format!("{}/inbox", stack.endpoints().cognito);
    let (status, inbox) = get(&url, &[]).await;
    assert_eq!(status, 200);
    let messages = inbox["messages"].as_array().unwrap();
    let seen: Vec<[&str; 4]> = messages
        .iter()
        .map(|message| {
            ["from", "to", "subject", "text"].map(|name| message[name].as_str().unwrap())
        })
        .collect();
    let text_of_mail = stack.cognito().mails()[0].text.clone();
    let expected = [
        [
            "email",
            ADA,
            "Your verification code",
            text_of_mail.as_str(),
        ],
        [local::TOPIC, "", "Inventory <b>", "New"],
    ];
    assert_eq!(seen, expected);
    let page = send(Method::GET, &url, &[("accept", "text/html")], "").await;
    assert!(text(&page).contains("<h2>Inventory &lt;b&gt;</h2>"));
    assert_eq!(stack.cognito().mails_after(0).await.len(), 1);
}

#[tokio::test]
async fn the_dashboard_is_served_with_its_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let options = StackOptions {
        dashboard: Some(folder.path().to_owned()),
        ..StackOptions::default()
    };
    let stack = Stack::start(options).await.unwrap();
    let home = home(&stack);
    let answer = send(Method::GET, &home, &[], "").await;
    assert_eq!(answer.status(), 404);
    assert!(text(&answer).contains("npm run build"));

    std::fs::write(folder.path().join("index.html"), "<!doctype html>").unwrap();
    for path in ["", "imports/some-job?x=1", "%2e%2e/%2e%2e/etc/passwd"] {
        let answer = send(Method::GET, &format!("{home}{path}"), &[], "").await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(text(&answer), "<!doctype html>");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        let policy = answer.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        let local::Endpoints {
            s3,
            dynamodb,
            cognito,
            ..
        } = stack.endpoints();
        let connect = format!("connect-src 'self' {s3} {dynamodb} {cognito};");
        assert!(
            policy.contains("script-src 'self';") && policy.contains(&connect),
            "{policy}"
        );
    }
    assert_eq!(send(Method::POST, &home, &[], "").await.status(), 405);
    let head = send(Method::HEAD, &home, &[], "").await;
    assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));

    let (_, config) = get(&format!("{home}config.json"), &[]).await;
    assert_eq!(config["signInUrl"], stack.endpoints().cognito.as_str());
    assert_eq!(config["issuer"], stack.cognito().issuer());
    assert_eq!(config["endpoints"]["s3"], stack.endpoints().s3.as_str());
    for name in [
        "region",
        "userPoolId",
        "userPoolClientId",
        "identityPoolId",
        "bucket",
        "table",
        "jobsTable",
    ] {
        assert!(config[name].is_string(), "{name}");
    }
}
