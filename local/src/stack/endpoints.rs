use serde::{Deserialize, Serialize};

use crate::deployment::{ACCESS_KEY_ID, BUCKET, JOBS_TABLE, REGION, SECRET_ACCESS_KEY, TABLE};
use crate::error::LocalError;
use crate::server::{Bound, bind};

/// Ports on 127.0.0.1; 0 takes a free one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// For S3.
    pub s3: u16,
    /// For DynamoDB and its streams.
    pub dynamodb: u16,
    /// For SQS.
    pub sqs: u16,
    /// For SNS.
    pub sns: u16,
    /// For Lambda's configuration.
    pub lambda: u16,
    /// For IAM.
    pub iam: u16,
    /// For Cognito.
    pub cognito: u16,
    /// For the dashboard.
    pub dashboard: u16,
}

impl Ports {
    /// Eight ports in a row, in the order of the fields: `first` is for S3.
    ///
    /// # Panics
    ///
    /// If `first` is more than 65,528.
    #[must_use]
    pub const fn starting_at(first: u16) -> Self {
        Self {
            s3: first,
            dynamodb: first + 1,
            sqs: first + 2,
            sns: first + 3,
            lambda: first + 4,
            iam: first + 5,
            cognito: first + 6,
            dashboard: first + 7,
        }
    }
}

/// Where a running [`Stack`](crate::Stack) listens, and the names of what is in it.
///
/// It serializes to a flat JSON object, so that another process can be told in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoints {
    /// URL of S3, such as `http://127.0.0.1:41234`. Path-style addressing only.
    pub s3: String,
    /// URL of DynamoDB and DynamoDB Streams.
    pub dynamodb: String,
    /// URL of SQS.
    pub sqs: String,
    /// URL of SNS.
    pub sns: String,
    /// URL of Lambda.
    pub lambda: String,
    /// URL of IAM.
    pub iam: String,
    /// URL of Cognito: of the user pool, its hosted pages and the identity pool.
    pub cognito: String,
    /// URL of the dashboard, without a slash at its end.
    pub dashboard: String,
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
            ("AWS_ENDPOINT_URL_LAMBDA", &self.lambda),
            ("AWS_ENDPOINT_URL_IAM", &self.iam),
            ("AWS_ENDPOINT_URL_COGNITO_IDENTITY", &self.cognito),
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

/// Where each service listens.
pub(super) struct Listeners {
    pub(super) s3: Bound,
    pub(super) dynamodb: Bound,
    pub(super) sqs: Bound,
    pub(super) sns: Bound,
    pub(super) lambda: Bound,
    pub(super) iam: Bound,
}

impl Listeners {
    pub(super) async fn bind(ports: Ports) -> Result<Self, LocalError> {
        Ok(Self {
            s3: bind("S3", ports.s3).await?,
            dynamodb: bind("DynamoDB", ports.dynamodb).await?,
            sqs: bind("SQS", ports.sqs).await?,
            sns: bind("SNS", ports.sns).await?,
            lambda: bind("Lambda", ports.lambda).await?,
            iam: bind("IAM", ports.iam).await?,
        })
    }

    /// With the names of the topic, the queue and its dead-letter queue.
    pub(super) fn endpoints(
        &self,
        [cognito, dashboard]: &[Bound; 2],
        [topic_arn, queue_url, dlq_url]: [String; 3],
    ) -> Endpoints {
        Endpoints {
            s3: self.s3.url.clone(),
            dynamodb: self.dynamodb.url.clone(),
            sqs: self.sqs.url.clone(),
            sns: self.sns.url.clone(),
            lambda: self.lambda.url.clone(),
            iam: self.iam.url.clone(),
            cognito: cognito.url.clone(),
            dashboard: dashboard.url.clone(),
            region: REGION.to_owned(),
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
            bucket: BUCKET.to_owned(),
            table: TABLE.to_owned(),
            jobs_table: JOBS_TABLE.to_owned(),
            topic_arn,
            queue_url,
            dlq_url,
        }
    }
}

/// Where Cognito and the dashboard listen. No faults are in front of them, so there is one of each.
pub(super) async fn bind_sign_in(ports: Ports) -> Result<[Bound; 2], LocalError> {
    Ok([
        bind("Cognito", ports.cognito).await?,
        bind("the dashboard", ports.dashboard).await?,
    ])
}
