//! What tests in a browser ask of the stack by HTTP.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use http::Method;
use local::{BUCKET, Fault, FaultCounts, FaultPlan, Stack};
use serde_json::{Value, json};

use crate::client::{self, get, s3, send, try_send};

const JSON: &str = "application/json";

fn faults_url(stack: &Stack) -> String {
    format!("{}/local/faults", stack.endpoints().cognito)
}

async fn set(stack: &Stack, content_type: &str, body: String) -> (u16, Value) {
    let headers = [("content-type", content_type)];
    let answer = send(Method::POST, &faults_url(stack), &headers, body).await;
    let text = serde_json::from_slice(answer.body()).unwrap();
    (answer.status().as_u16(), text)
}

/// Parts of an upload, without a client that tries again.
struct Upload {
    s3: aws_sdk_s3::Client,
    id: String,
}

impl Upload {
    const KEY: &str = "uploads/large.csv";

    async fn begin(stack: &Stack) -> Self {
        let s3 = s3(stack.endpoints());
        let create = s3.create_multipart_upload().bucket(BUCKET).key(Self::KEY);
        let id = create.send().await.unwrap().upload_id.unwrap();
        Self { s3, id }
    }

    /// Whether sending a part got an answer.
    async fn send(&self, number: i32) -> bool {
        let part = self.s3.upload_part().bucket(BUCKET).key(Self::KEY);
        let part = part.upload_id(&self.id).part_number(number);
        let config = PresigningConfig::expires_in(Duration::from_mins(15)).unwrap();
        let presigned = part.presigned(config).await.unwrap();
        // More than the network buffers, so that a connection can break while it is sent.
        let body = vec![b'x'; 8 << 20];
        let answer = try_send(Method::PUT, presigned.uri(), &[], body).await;
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    async fn stored(&self) -> Vec<i32> {
        let parts = self.s3.list_parts().bucket(BUCKET).key(Self::KEY);
        let parts = parts.upload_id(&self.id).send().await.unwrap();
        let numbers = parts.parts().iter().filter_map(|part| part.part_number);
        let mut numbers: Vec<i32> = numbers.collect();
        numbers.sort_unstable();
        numbers
    }
}

#[tokio::test]
async fn connections_are_cut_as_asked_and_counted() {
    let stack = client::start().await;
    let plan = json!({ "faults": [
        { "operation": "UploadPart", "on": Upload::KEY, "calls": [2], "fault": "ResetBefore" },
        { "operation": "UploadPart", "calls": [3, 9], "fault": "ResetAfter" },
    ] });
    let nothing = json!({ "operations": {}, "injected": {} });
    assert_eq!(set(&stack, JSON, plan.to_string()).await, (200, nothing));
    let upload = Upload::begin(&stack).await;
    let mut answered = Vec::new();
    for number in 1..=4 {
        answered.push(upload.send(number).await);
    }
    assert_eq!(answered, [true, false, false, true]);
    // The second did not arrive, the third did.
    assert_eq!(upload.stored().await, [1, 3, 4]);
    let (status, came_of_it) = get(&faults_url(&stack), &[]).await;
    let expected = json!({
        "operations": {
            "CreateMultipartUpload": { "calls": 1, "injected": 0 },
            "ListParts": { "calls": 1, "injected": 0 },
            "UploadPart": { "calls": 4, "injected": 2 },
        },
        "injected": { "ResetAfter": 1, "ResetBefore": 1 },
    });
    assert_eq!((status, came_of_it), (200, expected));

    set(&stack, JSON, r#"{"faults": []}"#.to_owned()).await;
    for number in 1..=3 {
        assert!(upload.send(number).await);
    }
    let counts = stack.faults().counts("UploadPart");
    let expected = FaultCounts {
        calls: 3,
        injected: 0,
    };
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn what_is_not_a_plan_is_refused_and_changes_nothing() {
    let stack = client::start().await;
    stack
        .faults()
        .set(FaultPlan::default().fail("CreateMultipartUpload", 2, Fault::ResetBefore));
    Upload::begin(&stack).await;
    let plan = |name: &str| {
        let fault = json!({ "operation": "UploadPart", "calls": [1], "fault": name });
        json!({ "faults": [fault] }).to_string()
    };
    for (content_type, body, expected) in [
        // The only type of these that a page can send without asking.
        (
            "text/plain",
            plan("Throttle"),
            "the content type must be application/json",
        ),
        (
            JSON,
            plan("reset"),
            "no fault is named \"reset\": Throttle,",
        ),
        (
            JSON,
            plan("TruncatedBody"),
            "TruncatedBody makes no sense for UploadPart",
        ),
        (JSON, String::new(), "not a plan: EOF"),
    ] {
        let (status, answer) = set(&stack, content_type, body).await;
        let error = answer["error"].as_str().unwrap();
        assert_eq!(status, 400, "{error}");
        assert!(error.starts_with(expected), "{error}");
    }
    let counts = stack.faults().counts("CreateMultipartUpload");
    assert_eq!(counts.calls, 1);
    let url = faults_url(&stack);
    let headers = [("content-type", JSON)];
    for (method, path) in [(Method::PUT, ""), (Method::POST, "/more")] {
        let answer = send(method, &format!("{url}{path}"), &headers, plan("Throttle")).await;
        assert_eq!(answer.status(), 404);
    }
}
