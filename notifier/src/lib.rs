//! The notifier: DynamoDB stream events in, one SNS digest a window out.
//!
//! The lab publishes one message for every inserted item, which a bulk import turns into a hundred
//! thousand e-mails. This crate counts a tumbling window's records in a [`Digest`](digest::Digest), which travels from
//! invocation to invocation as the window's state, and at the window's end publishes it as one
//! [`Message`](message::Message): what people read as text, what machines read as JSON. Watch rules add an alert.
//!
//! ```text
//! event ─▶ record (one pass, leniently) ─▶ digest (counts, first names, rules) ─▶ state ─▶ … next batch of the window
//!                                                                                  └─▶ at its end: parcel
//! parcel ─▶ budget (how often, all shards together) ─▶ message (text + JSON) ─▶ publish (again and again)
//!                                                                                  └─▶ undelivered (refused for good)
//! ```
//!
//! Everything left of `budget`, and `message`, is pure. `function` holds the handler and the main loop.
//!
//! A single insert reads as in the lab:
//!
//! ```
//! use notifier::{change::{Change, EventName}, digest::{Digest, Parcel}, message::Message, settings::Settings};
//!
//! let mut digest = Digest::default();
//! digest.add(&Change::new(EventName::Insert, "Laptop"), &Settings::new("arn:aws:sns:eu-central-1:123456789012:t"));
//! let messages = Message::all(&Parcel { digest, ..Parcel::default() });
//! assert_eq!(messages[0].subject(), "Inventory Update");
//! assert!(messages[0].body().contains(r#""default":"New product added: Laptop""#));
//! ```

mod aws;
pub mod budget;
pub mod change;
pub mod digest;
pub mod error;
pub mod function;
pub mod message;
mod metrics;
pub mod publish;
pub mod record;
mod retry;
pub mod settings;
mod text;
pub mod watch;

pub use error::{Class, Error};
