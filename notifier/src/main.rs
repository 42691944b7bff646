//! The `NotifyInventoryUpdate` Lambda function: wiring only, the work is in the library.

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    notifier::function::run().await
}
