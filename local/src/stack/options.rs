use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::endpoints::Ports;
use crate::capacity::CapacityPlan;
use crate::deployment::IMPORTS_QUEUE;
use crate::faults::FaultPlan;
use crate::services::lambda::runtime::LambdaProgram;
use crate::services::sqs::{self, Queue, QueueSettings, Redrive};
use crate::sign_in::cognito::CognitoOptions;
use crate::wiring::{self, StreamMappingOptions};

/// What to start.
#[derive(Debug, Clone, Default)]
pub struct StackOptions {
    /// The function that the imports queue invokes; without it messages stay in the queue.
    pub importer: Option<LambdaProgram>,
    /// The function that the table's stream invokes; without it the stream is not read.
    pub notifier: Option<LambdaProgram>,
    /// Faults to inject from the start, until [`Stack::faults`](crate::Stack::faults) is given others; none by default.
    pub faults: FaultPlan,
    /// How much DynamoDB takes; everything by default.
    pub capacity: Option<CapacityPlan>,
    /// How long a message of the imports queue that was given to the importer stays hidden, and so when it comes again
    /// after a crash. By default, as in the SAM template, the importer's timeout and [`wiring::VISIBILITY_MARGIN`].
    pub visibility_timeout: Option<Duration>,
    /// How soon a message comes again whose failure the importer itself reported. By default it takes, as
    /// [on AWS](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html), until the visibility
    /// timeout ends; who sits at the keyboard would wait for that in vain.
    pub retry_delay: Option<Duration>,
    /// How often a message of the imports queue is received before it goes to the dead-letter queue; by default
    /// [`wiring::MAX_RECEIVE_COUNT`].
    pub max_receive_count: Option<u32>,
    /// How the table's stream is given to the notifier; by default as in the SAM template.
    pub stream: StreamMappingOptions,
    /// How people sign in.
    pub cognito: CognitoOptions,
    /// A folder with the built dashboard, to be served at [`Endpoints::dashboard`](crate::Endpoints::dashboard); without it
    /// there is only its `config.json`. It may be built later.
    pub dashboard: Option<PathBuf>,
    /// Where to listen; free ports by default.
    pub ports: Ports,
}

impl StackOptions {
    /// Settings of the imports queue.
    pub(super) fn imports_queue(&self, dead_letters: &Arc<Queue>) -> QueueSettings {
        let queue_default = QueueSettings::default().visibility_timeout;
        let by_function = self.importer.as_ref().map_or(queue_default, |importer| {
            importer.timeout + wiring::VISIBILITY_MARGIN
        });
        QueueSettings {
            visibility_timeout: self.visibility_timeout.unwrap_or(by_function),
            redrive: Some(Redrive {
                dead_letter_queue: Arc::clone(dead_letters),
                max_receive_count: self.max_receive_count.unwrap_or(wiring::MAX_RECEIVE_COUNT),
            }),
            policy: Some(wiring::queue_policy(&sqs::arn(IMPORTS_QUEUE)).to_string()),
            ..QueueSettings::default()
        }
    }
}
