//! The `intake` command as a library, so that its parts can be tested and its test data used from other crates.
//!
//! A command goes from `args`, which is what can be typed, through `commands` to the folder that does the work; every
//! folder writes to the terminal through `terminal`.

/// Text for builds with the local stack; empty in others.
#[cfg(feature = "local")]
macro_rules! if_local {
    ($text:literal) => {
        $text
    };
}
#[cfg(not(feature = "local"))]
macro_rules! if_local {
    ($text:literal) => {
        ""
    };
}

pub mod args;
pub mod aws;
pub mod commands;
pub mod doctor;
pub mod input;
pub mod jobs;
#[cfg(feature = "local")]
pub mod local_stack;
pub mod run;
pub mod terminal;
pub mod workers;
