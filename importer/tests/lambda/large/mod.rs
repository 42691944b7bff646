//! The steps of a large import, as the state machine takes them.

mod files;
mod hand_over;
mod kills;
pub(crate) mod machine;
mod steps;
