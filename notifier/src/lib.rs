//! The notifier: a DynamoDB stream event in, one SNS digest out.
//!
//! The lab publishes one message for every inserted item, which a bulk import turns into a hundred
//! thousand e-mails. This crate folds all records of an invocation into a [`Digest`](digest::Digest)
//! and publishes one [`Message`](message::Message): what people read as text, what machines read as JSON.
//!
//! ```text
//! event ─▶ record (parse leniently) ─▶ digest (count, first names) ─▶ message (text + JSON) ─▶ publish (retry)
//! ```
//!
//! Everything left of `publish` is pure. `lambda` holds the handler and the main loop.
//!
//! A single insert reads as in the lab:
//!
//! ```
//! use notifier::{digest::Digest, message::Message, record::{Change, EventName}};
//!
//! let mut digest = Digest::default();
//! digest.add(&Change { event_name: EventName::Insert, name: "Laptop".into() });
//! let message = Message::from(&digest);
//! assert_eq!(message.subject(), "Inventory Update");
//! assert!(message.body().contains(r#""default":"New product added: Laptop""#));
//! ```

pub mod digest;
pub mod error;
pub mod lambda;
pub mod message;
pub mod publish;
pub mod record;
pub mod settings;

pub use error::{Class, Error};
