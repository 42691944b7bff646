//! What tests on the wire share: clients, and servers that misbehave as told.

use importer::write::WriterKind;

pub(crate) mod clients;
pub(crate) mod raw;
pub(crate) mod scripted;

/// Both writers: what is said of one holds for the other.
pub(crate) const WRITERS: [WriterKind; 2] = [WriterKind::Sdk, WriterKind::Wire];

/// Makes tests of functions that take a [`WriterKind`], one for each writer.
macro_rules! with_each_writer {
    ($($test:ident),+ $(,)?) => {
        mod sdk {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(importer::write::WriterKind::Sdk).await;
                }
            )+
        }

        mod wire {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(importer::write::WriterKind::Wire).await;
                }
            )+
        }
    };
}
pub(crate) use with_each_writer;
