//! How the stack is set up can be read, and changed, by the APIs that people do it with on AWS.

use aws_sdk_s3::types::NotificationConfiguration;
use http::Method;
use local::{BUCKET, LambdaProgram, Stack, StackOptions};
use serde_json::{Value, json};

use crate::client::{self, s3, sdk, send};

/// A stack with both functions, which nothing starts.
async fn start() -> Stack {
    let function = |name: &str| Some(LambdaProgram::new(name, "never-started"));
    let options = StackOptions {
        importer: function("ProcessInventoryFile"),
        notifier: function("NotifyInventoryUpdate"),
        ..StackOptions::default()
    };
    Stack::start(options).await.unwrap()
}

/// A call of Lambda: its status and its answer.
async fn lambda(stack: &Stack, method: Method, path: &str, body: Value) -> (u16, Value) {
    let url = format!("{}{path}", stack.endpoints().lambda);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let answer = send(method, &url, &[], body).await;
    let status = answer.status().as_u16();
    (
        status,
        serde_json::from_slice(answer.body()).unwrap_or_default(),
    )
}

async fn get(stack: &Stack, path: &str) -> Value {
    let (status, answer) = lambda(stack, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {answer}");
    answer
}

async fn sqs(stack: &Stack, action: &str, request: Value) -> (u16, Value) {
    let target = format!("AmazonSQS.{action}");
    client::json(&stack.endpoints().sqs, &target, &request).await
}

#[tokio::test]
async fn functions_are_told_and_changed() {
    let stack = start().await;
    let function = "/2015-03-31/functions/ProcessInventoryFile";
    let settings = format!("{function}/configuration");
    let reported = get(&stack, &settings).await;
    assert_eq!(reported["Timeout"], 900);
    let variables = reported["Environment"]["Variables"].as_object().unwrap();
    assert_eq!(variables["INTAKE_QUEUE_URL"], stack.endpoints().queue_url);
    assert!(
        !variables.keys().any(|name| name.starts_with("AWS_")),
        "{variables:?}"
    );
    assert_eq!(
        reported["Role"],
        "arn:aws:iam::000000000000:role/intake-importer"
    );

    let change = json!({ "Timeout": 3, "FunctionArn": "mine" });
    lambda(&stack, Method::PUT, &settings, change).await;
    let changed = get(&stack, &settings).await;
    assert_eq!(
        (&changed["Timeout"], &changed["FunctionArn"]),
        (&json!(3), &reported["FunctionArn"])
    );

    let concurrency = "/2019-09-30/functions/ProcessInventoryFile/concurrency";
    assert_eq!(get(&stack, concurrency).await, json!({}));
    let none = json!({ "ReservedConcurrentExecutions": 0 });
    let put = "/2017-10-31/functions/ProcessInventoryFile/concurrency";
    lambda(&stack, Method::PUT, put, none.clone()).await;
    assert_eq!(get(&stack, concurrency).await, none);
    lambda(&stack, Method::DELETE, put, Value::Null).await;
    assert_eq!(get(&stack, concurrency).await, json!({}));

    let refused = [
        (
            Method::GET,
            format!("{settings}?Qualifier=live"),
            json!(null),
            404,
        ),
        (
            Method::GET,
            "/2015-03-31/functions/Nobody/configuration".to_owned(),
            json!(null),
            404,
        ),
        (Method::PUT, put.to_owned(), json!({}), 400),
        (Method::PATCH, settings.clone(), json!({}), 404),
        (Method::GET, "/".to_owned(), json!(null), 404),
    ];
    for (method, path, body, status) in refused {
        assert_eq!(
            lambda(&stack, method, &path, body).await.0,
            status,
            "{path}"
        );
    }
    lambda(&stack, Method::DELETE, function, Value::Null).await;
    assert_eq!(
        lambda(&stack, Method::GET, &settings, Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn mappings_are_told_in_pages_and_changed() {
    let stack = start().await;
    let list = "/2015-03-31/event-source-mappings";
    let first = get(&stack, &format!("{list}?MaxItems=1")).await;
    let marker = first["NextMarker"].as_str().unwrap();
    let second = get(&stack, &format!("{list}?MaxItems=1&Marker={marker}")).await;
    assert_eq!(second["NextMarker"], Value::Null);
    let source = |page: &Value| page["EventSourceMappings"][0]["EventSourceArn"].clone();
    assert_eq!(
        source(&first),
        "arn:aws:sqs:us-east-1:000000000000:intake-imports"
    );
    let describe = json!({ "TableName": local::TABLE });
    let target = "DynamoDB_20120810.DescribeTable";
    let (_, table) = client::json(&stack.endpoints().dynamodb, target, &describe).await;
    assert_eq!(source(&second), table["Table"]["LatestStreamArn"]);

    let of = |name: &str| format!("{list}?FunctionName={name}");
    let own = get(&stack, &of("NotifyInventoryUpdate")).await;
    assert_eq!(own["EventSourceMappings"], second["EventSourceMappings"]);
    let nobody = get(&stack, &of("Nobody")).await;
    assert_eq!(nobody["EventSourceMappings"], json!([]));

    let uuid = own["EventSourceMappings"][0]["UUID"].as_str().unwrap();
    let mapping = format!("{list}/{uuid}");
    let change = json!({ "Enabled": false, "FilterCriteria": { "Filters": [] } });
    let (status, changed) = lambda(&stack, Method::PUT, &mapping, change).await;
    assert_eq!((status, &changed["State"]), (200, &json!("Disabled")));
    assert_eq!(get(&stack, &mapping).await, changed);
    lambda(&stack, Method::DELETE, &mapping, Value::Null).await;
    assert_eq!(
        lambda(&stack, Method::GET, &mapping, Value::Null).await.0,
        404
    );
}

#[tokio::test]
async fn a_disabled_mapping_leaves_messages_in_the_queue() {
    let stack = start().await;
    let list = "/2015-03-31/event-source-mappings?FunctionName=ProcessInventoryFile";
    let own = get(&stack, list).await;
    let uuid = own["EventSourceMappings"][0]["UUID"].as_str().unwrap();
    let mapping = format!("/2015-03-31/event-source-mappings/{uuid}");
    lambda(&stack, Method::PUT, &mapping, json!({ "Enabled": false })).await;
    stack
        .put_object("uploads/a.csv", "productId\nP1\n")
        .await
        .unwrap();
    let attributes = json!({
        "QueueUrl": stack.endpoints().queue_url, "AttributeNames": ["ApproximateNumberOfMessages"],
    });
    let (_, reported) = sqs(&stack, "GetQueueAttributes", attributes).await;
    assert_eq!(reported["Attributes"]["ApproximateNumberOfMessages"], "1");
    assert_eq!(stack.importer().unwrap().invocations(), 0);
}

#[tokio::test]
async fn a_bucket_tells_as_it_is_configured() {
    let stack = client::start().await;
    let s3 = s3(stack.endpoints());
    let reported = s3
        .get_bucket_notification_configuration()
        .bucket(BUCKET)
        .send();
    let reported = reported.await.unwrap();
    let queue = &reported.queue_configurations()[0];
    assert_eq!(
        queue.queue_arn(),
        "arn:aws:sqs:us-east-1:000000000000:intake-imports"
    );
    assert_eq!(queue.events()[0].as_str(), "s3:ObjectCreated:*");
    let rule = &queue.filter().unwrap().key().unwrap().filter_rules()[0];
    assert_eq!(
        (rule.name().unwrap().as_str(), rule.value()),
        ("prefix", Some("uploads/"))
    );

    stack.put_object("uploads/a", "a").await.unwrap();
    let nothing = NotificationConfiguration::builder().build();
    let put = s3.put_bucket_notification_configuration().bucket(BUCKET);
    put.notification_configuration(nothing)
        .send()
        .await
        .unwrap();
    stack.put_object("uploads/b", "b").await.unwrap();
    let keys: Vec<String> = stack
        .uploads()
        .into_iter()
        .map(|upload| upload.key)
        .collect();
    assert_eq!(keys, ["uploads/a"]);
    let other = s3
        .get_bucket_notification_configuration()
        .bucket("other")
        .send();
    assert!(other.await.is_err(), "there is no such bucket");
}

#[tokio::test]
async fn a_queue_is_changed_and_deleted() {
    let stack = client::start().await;
    let url = &stack.endpoints().queue_url;
    let all = json!({ "QueueUrl": url, "AttributeNames": ["All"] });
    let (_, before) = sqs(&stack, "GetQueueAttributes", all.clone()).await;
    let policy: Value =
        serde_json::from_str(before["Attributes"]["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        policy["Statement"][0]["Principal"]["Service"],
        "s3.amazonaws.com"
    );
    let change = json!({ "QueueUrl": url, "Attributes": { "VisibilityTimeout": "7", "RedrivePolicy": "", "Policy": "" } });
    assert_eq!(sqs(&stack, "SetQueueAttributes", change).await.0, 200);
    let (_, after) = sqs(&stack, "GetQueueAttributes", all.clone()).await;
    let after = &after["Attributes"];
    assert_eq!(
        (
            &after["VisibilityTimeout"],
            &after["RedrivePolicy"],
            &after["Policy"]
        ),
        (&json!("7"), &json!(null), &json!(null))
    );
    for (attributes, error) in [
        (
            json!({ "VisibilityTimeout": "never" }),
            "InvalidParameterValueException",
        ),
        (json!({ "Policy": "{}" }), "InvalidParameterValueException"),
        (json!({ "Colour": "red" }), "InvalidAttributeName"),
    ] {
        let request = json!({ "QueueUrl": url, "Attributes": attributes });
        let (status, answer) = sqs(&stack, "SetQueueAttributes", request).await;
        assert_eq!(status, 400);
        assert!(
            answer["__type"].as_str().unwrap().ends_with(error),
            "{answer}"
        );
    }
    assert_eq!(
        sqs(&stack, "DeleteQueue", json!({ "QueueUrl": url }))
            .await
            .0,
        200
    );
    assert_eq!(sqs(&stack, "GetQueueAttributes", all).await.0, 400);
    // As on AWS, an upload works all the same, and nobody hears of it.
    stack.put_object("uploads/a", "a").await.unwrap();
    assert!(stack.uploads().is_empty());
}

#[tokio::test]
async fn a_topic_tells_who_has_confirmed() {
    let stack = client::start().await;
    let sns = sdk!(aws_sdk_sns, &stack.endpoints().sns);
    let topic = &stack.endpoints().topic_arn;
    let subscribe = sns
        .subscribe()
        .topic_arn(topic)
        .protocol("email")
        .endpoint("new@example.com");
    subscribe.send().await.unwrap();
    let listed = sns
        .list_subscriptions_by_topic()
        .topic_arn(topic)
        .send()
        .await
        .unwrap();
    let pending: Vec<(&str, bool)> = listed
        .subscriptions()
        .iter()
        .map(|s| {
            (
                s.endpoint().unwrap(),
                s.subscription_arn() == Some("PendingConfirmation"),
            )
        })
        .collect();
    assert_eq!(
        pending,
        [(local::SUBSCRIBER, false), ("new@example.com", true)]
    );
    let reported = sns
        .get_topic_attributes()
        .topic_arn(topic)
        .send()
        .await
        .unwrap();
    let reported = reported.attributes().unwrap();
    assert_eq!(
        (
            reported["SubscriptionsConfirmed"].as_str(),
            reported["SubscriptionsPending"].as_str()
        ),
        ("1", "1")
    );
    for _ in 0..2 {
        sns.delete_topic().topic_arn(topic).send().await.unwrap();
    }
    let gone = sns
        .get_topic_attributes()
        .topic_arn(topic)
        .send()
        .await
        .unwrap_err();
    assert!(gone.into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn a_role_may_do_what_its_policies_say() {
    let stack = start().await;
    let iam = async |form: &str| {
        let answer = send(Method::POST, &stack.endpoints().iam, &[], form.to_owned()).await;
        (
            answer.status().as_u16(),
            String::from_utf8(answer.body().to_vec()).unwrap(),
        )
    };
    let simulate = "Action=SimulatePrincipalPolicy&PolicySourceArn=arn:aws:iam::000000000000:role/intake-notifier\
        &ActionNames.member.1=sns:Publish&ActionNames.member.2=sns:Subscribe\
        &ResourceArns.member.1=arn:aws:sns:us-east-1:000000000000:inventory-alerts";
    let decisions = |answer: &(u16, String)| {
        let parts = answer.1.split("<EvalDecision>").skip(1);
        parts
            .map(|part| part.split('<').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(decisions(&iam(simulate).await), ["allowed", "implicitDeny"]);
    let deny = "Action=PutRolePolicy&RoleName=intake-notifier&PolicyName=no\
        &PolicyDocument={\"Statement\":{\"Effect\":\"Deny\",\"Action\":\"sns:*\",\"Resource\":\"*\"}}";
    assert_eq!(iam(deny).await.0, 200);
    assert_eq!(
        decisions(&iam(simulate).await),
        ["explicitDeny", "explicitDeny"]
    );
    assert_eq!(
        iam("Action=DeleteRolePolicy&RoleName=intake-notifier&PolicyName=no")
            .await
            .0,
        200
    );
    assert_eq!(decisions(&iam(simulate).await), ["allowed", "implicitDeny"]);
    for (form, status, code) in [
        (
            "Action=DeleteRolePolicy&RoleName=intake-notifier&PolicyName=no",
            404,
            "NoSuchEntity",
        ),
        (
            "Action=DeleteRolePolicy&RoleName=nobody&PolicyName=no",
            404,
            "NoSuchEntity",
        ),
        (
            "Action=PutRolePolicy&RoleName=intake-notifier&PolicyName=no&PolicyDocument=no",
            400,
            "MalformedPolicyDocument",
        ),
        ("Action=PutRolePolicy", 400, "ValidationError"),
        ("Action=Dance", 400, "InvalidAction"),
    ] {
        let answer = iam(form).await;
        assert_eq!(answer.0, status, "{form}");
        assert!(
            answer.1.contains(&format!("<Code>{code}</Code>")),
            "{form}: {}",
            answer.1
        );
    }
}
