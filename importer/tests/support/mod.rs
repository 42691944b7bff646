//! What tests on the wire share: clients, and servers that misbehave as told.

pub(crate) mod clients;
pub(crate) mod scripted;
