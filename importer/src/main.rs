//! The importer Lambda's executable: see [`importer::run`].

// Decoding has a thread of its own; one more is enough for all lanes, and cheaper than several that wake each other.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    importer::run().await
}
