//! The importer Lambda's executable: see [`importer::lambda`].

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    importer::lambda::run().await
}
