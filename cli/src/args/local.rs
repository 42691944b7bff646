//! `intake local`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

const LOCAL_HELP: &str = "Examples:
  intake local
  intake local --port 4510                          # S3 on 4510, DynamoDB 4511, …, the dashboard on 4517
  intake local --inbox                              # and show the e-mails
  intake local --dashboard ../dist                  # with a dashboard that was built elsewhere
  intake local --inbox email,sms,sqs --window 30    # and more, with all changes of half a minute in one message
  intake local --functions .aws-sam/build           # with the functions that `sam build` has made
  intake import inventory.csv --table InventoryTable --local       # in another terminal
  aws s3 cp inventory.csv s3://inventory-upload-local/uploads/     # after the export lines";

/// What follows `intake local`.
#[derive(Debug, Args)]
#[command(after_long_help = LOCAL_HELP)]
pub struct LocalArgs {
    /// Listen on N (S3), N+1 (DynamoDB), N+2 (SQS), N+3 (SNS), N+4 (Lambda), N+5 (IAM), N+6 (Cognito) and N+7 (the
    /// dashboard) [default: free ports]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=65528))]
    pub port: Option<u16>,

    /// Serve the dashboard that was built into this folder [default: dashboard/dist]
    #[arg(long, value_name = "DIR")]
    pub dashboard: Option<PathBuf>,

    /// Show messages as they come, as subscribers with these protocols get them [default: email]
    #[arg(long, value_name = "PROTOCOL", value_enum, value_delimiter = ',', num_args = 0.., default_missing_value = "email")]
    pub inbox: Option<Vec<Protocol>>,

    /// Tell changes of this many seconds in one message, 0 to 900; 0 for each batch at once. On AWS it is a minute.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=900))]
    pub window: u64,

    /// Run the functions as they are deployed: the folder that `make build` or `sam build` has left them in
    #[arg(long, value_name = "DIR")]
    pub functions: Option<PathBuf>,
}

/// A protocol of SNS subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// Text with SNS' footer
    Email,
    /// The notification as JSON
    EmailJson,
    /// A short text
    Sms,
    /// The notification as JSON, as the body of a queue's message
    Sqs,
    /// The event of a function
    Lambda,
    /// The notification as JSON, as the body of a POST
    Http,
    /// The same
    Https,
}
