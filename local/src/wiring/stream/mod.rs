//! The event source mapping of a table's stream, by
//! [Lambda's rules](https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html).
//!
//! * A batch is given to the function when it has `batch_size` records or 6 MB, when its first record has waited for the
//!   batching window, or when its tumbling window is over. Records that the filter leaves out are not in it.
//! * With a [tumbling window](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-windows.html), an event has the
//!   records of one window, by their approximate creation time, and the state that the event before it returned (`{}` for
//!   the first). When the window is over, or a record of a later one is next, a last event without records has
//!   `isFinalInvokeForWindow`. A state of more than 1 MB ends the window early: such a last event has
//!   `isWindowTerminatedEarly`, too, and the window goes on with a new state. A response without `state` is a failure.
//! * A batch whose invocation failed is
//!   [halved](https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html), which does not count as an
//!   attempt, or offered again, up to `maximum_retry_attempts` times or until its records are too old; then it goes to the
//!   on-failure destination as Lambda's invocation record, and the stream goes on.
//! * `batchItemFailures` [move the checkpoint](https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html)
//!   to the lowest record they name: it and all after it are offered again.
//! * Several lanes of a shard work at once with a parallelisation factor; all records of an item go through one of them.
//!
//! Where Lambda's documentation is silent: a state that comes with `batchItemFailures` is taken if at least one record was
//! handled; a record that shows up after its window was closed is counted in the next one; a last event that fails is
//! offered again as a batch is, and its state ends in the destination's payload; attempts count anew after a checkpoint has
//! moved. Nothing is lost: records stay in the stream until they are read, and are read only as fast as they are handled.
//! What a mapping has read is in memory, and gone with the stack.
//!
//! Nothing here reads the stream's storage or runs the function: it connects the two.

mod clock;
mod discarded;
mod mapping;
mod options;
mod source;
mod target;
mod worker;

pub use self::mapping::StreamMapping;
pub use self::options::{
    MAX_BATCH_SIZE, MAX_BATCHING_WINDOW, MAX_PARALLELIZATION_FACTOR, MAX_RETRY_ATTEMPTS,
    MAX_TUMBLING_WINDOW, MIN_RECORD_AGE, STREAM_RETENTION, StreamMappingOptions,
};
pub use self::source::StreamSource;
pub(crate) use self::source::TableStream;
pub(crate) use self::target::NotifierTarget;
pub use self::target::StreamTarget;
pub use crate::services::dynamodb::StreamRecord;
