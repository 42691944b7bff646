use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

/// A time in RFC 3339 with milliseconds, in UTC: as most of what AWS sends has it.
pub(crate) fn timestamp(time: impl Into<OffsetDateTime>) -> String {
    format(
        time,
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"),
    )
}

/// A time in a format of date and time, in UTC.
pub(crate) fn format(time: impl Into<OffsetDateTime>, format: &[BorrowedFormatItem<'_>]) -> String {
    // Only parts that every date-time has.
    let utc = time.into().to_offset(UtcOffset::UTC);
    utc.format(format)
        .expect("a date-time has a date and a time")
}
