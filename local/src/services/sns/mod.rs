//! SNS: topics, subscriptions and publishing over the
//! [query protocol](https://docs.aws.amazon.com/sns/latest/api/CommonParameters.html), with an inbox to read
//! what was published. Nothing is delivered to subscribers: [`Message::delivered`] gives what one would get.
//!
//! Nothing here knows the functions that publish.

mod actions;
mod delivery;
mod error;
mod message;
mod topics;

pub use self::delivery::PROTOCOLS;
pub use self::message::Message;
pub(crate) use self::topics::Topics;

pub(crate) const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
