//! Changes to items as values: what a stream record says about an item, and how its values read.
//!
//! Pure. Nothing here knows the settings, or which changes are wanted.

pub mod attribute;
pub mod image;
pub mod number;
