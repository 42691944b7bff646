use serde::{Deserialize, Serialize};

/// Where a running [`Stack`](crate::Stack) listens, and the names of what is in it.
///
/// It serializes to a flat JSON object, so that another process can be told in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// URL of S3, such as `http://127.0.0.1:41234`. Path-style addressing only.
    pub s3: String,
    /// URL of DynamoDB and DynamoDB Streams. With a [`FaultPlan`](crate::FaultPlan) it is the faulty one.
    pub dynamodb: String,
    /// URL of SQS.
    pub sqs: String,
    /// URL of SNS.
    pub sns: String,
    /// Region to sign for.
    pub region: String,
    /// Access key to sign with.
    pub access_key_id: String,
    /// Secret to sign with.
    pub secret_access_key: String,
    /// The bucket; objects under [`UPLOAD_PREFIX`](crate::UPLOAD_PREFIX) are imported.
    pub bucket: String,
    /// The table.
    pub table: String,
    /// The table of import jobs.
    pub jobs_table: String,
    /// ARN of the topic that both functions publish to.
    pub topic_arn: String,
    /// URL of the queue between S3 and the importer.
    pub queue_url: String,
    /// URL of its dead-letter queue.
    pub dlq_url: String,
}

impl Endpoints {
    /// The environment variables that point the AWS CLI and every AWS SDK at this stack.
    ///
    /// They are the [service-specific endpoints](https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html)
    /// with region and credentials; nothing else of a developer's AWS configuration needs to change.
    pub fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL_S3", &self.s3),
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb),
            ("AWS_ENDPOINT_URL_DYNAMODB_STREAMS", &self.dynamodb),
            ("AWS_ENDPOINT_URL_SQS", &self.sqs),
            ("AWS_ENDPOINT_URL_SNS", &self.sns),
            ("AWS_REGION", &self.region),
            // The CLI and boto3 read only this one.
            ("AWS_DEFAULT_REGION", &self.region),
            ("AWS_ACCESS_KEY_ID", &self.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &self.secret_access_key),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .into()
    }
}
