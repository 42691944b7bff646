//! How a cap is divided, and where each part of it is noted.
//!
//! Every cap is divided into the same [`SLOTS`] slots, whatever it is. A slot is a register: it says who holds it and until
//! when, and is replaced by compare and set only. [`REGISTERS`] registers are one item of the table of jobs, a page, so that
//! one write takes, renews or returns many. Pages of the same form hold the names of those who wait.

use std::fmt;
use std::str::FromStr;

/// Registers of a page: with their values an item stays below 1 KB, which is 1 WCU for a table whose name and Region have up to
/// 90 characters.
pub const REGISTERS: usize = 32;
/// Pages that hold slots.
pub const SLOT_PAGES: usize = 32;
/// Slots of a cap, and so workers that can share it.
pub const SLOTS: usize = SLOT_PAGES * REGISTERS;
/// All pages: as many again for those who wait.
pub const PAGES: usize = 2 * SLOT_PAGES;

/// WCU a second of a slot under `cap`.
///
/// Slots add up to the cap. A slot of a larger cap is never smaller than the same slot of a smaller one: while workers with
/// different caps share the slots, they stay below the largest of the caps.
pub fn slot_wcu(cap: u32, slot: usize) -> u32 {
    let (whole, rest) = (cap / SLOTS as u32, cap % SLOTS as u32);
    // A small cap is on few pages, which few writes renew. What is left of a large one is spread over all pages.
    let rank = if whole == 0 { slot } else { spread(slot) };
    whole + u32::from(rank < rest as usize)
}

/// Slots that have a WCU under `cap`: the first ones.
pub fn slots(cap: u32) -> usize {
    SLOTS.min(cap as usize)
}

/// A slot's number with its bits reversed.
fn spread(slot: usize) -> usize {
    slot.reverse_bits() >> (usize::BITS - SLOTS.trailing_zeros())
}

/// Somebody who shares a cap: a number that nobody else has drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Worker(u64);

impl Worker {
    const BITS: u32 = 48;

    /// The worker of this number, of which 48 bits count.
    pub fn new(number: u64) -> Self {
        Self(number & ((1 << Self::BITS) - 1))
    }
}

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
    }
}

/// What a register says. A register that was never used, or not for long, says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Somebody holds it.
    Held {
        /// Who.
        by: Worker,
        /// When it lapses by the holder's clock, in milliseconds of Unix time. Each value of a holder is later than the one
        /// before: no value comes twice.
        until_ms: u64,
    },
    /// Nobody holds it since then, by the clock of who held it last, in milliseconds of Unix time.
    Returned {
        /// Since when.
        at_ms: u64,
    },
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { by, until_ms } => write!(f, "{by}/{until_ms}"),
            Self::Returned { at_ms } => write!(f, "-/{at_ms}"),
        }
    }
}

impl FromStr for Value {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (by, ms) = text.split_once('/')?;
            let ms = ms.parse().ok()?;
            if by == "-" {
                return Some(Self::Returned { at_ms: ms });
            }
            let by = Worker::new(u64::from_str_radix(by, 16).ok()?);
            Some(Self::Held { by, until_ms: ms })
        };
        parse().ok_or_else(|| format!("\"{text}\" is not a share of a cap"))
    }
}

/// What a page's registers say.
pub type Page = [Option<Value>; REGISTERS];

/// A page on which nothing was ever noted.
pub const EMPTY: Page = [None; REGISTERS];

/// Replaces one register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// Which of the page's registers.
    pub register: usize,
    /// What it must say.
    pub from: Option<Value>,
    /// What it then says.
    pub to: Option<Value>,
}

/// Replaces registers of a page: all of them, or none if one does not say what it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which page; those from [`SLOT_PAGES`] on are of those who wait.
    pub page: usize,
    /// The registers.
    pub swaps: Vec<Swap>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_add_up_to_the_cap_and_never_shrink_as_it_grows() {
        let caps = (1..3_000).chain([4_000, 40_001, 1_000_000, u32::MAX]);
        let mut before = vec![0; SLOTS];
        for cap in caps {
            let wcu: Vec<_> = (0..SLOTS).map(|slot| slot_wcu(cap, slot)).collect();
            let sum: u64 = wcu.iter().map(|&wcu| u64::from(wcu)).sum();
            assert_eq!(sum, u64::from(cap));
            assert!(
                wcu.iter().zip(&before).all(|(now, then)| now >= then),
                "{cap}"
            );
            assert_eq!(
                wcu.iter().filter(|&&wcu| wcu > 0).count(),
                slots(cap),
                "{cap}"
            );
            assert!(wcu[..slots(cap)].iter().all(|&wcu| wcu > 0), "{cap}");
            before = wcu;
        }
    }

    #[test]
    fn pages_of_a_large_cap_are_alike() {
        let page_wcu = |page: usize| -> u32 {
            (0..REGISTERS)
                .map(|register| slot_wcu(1_500, page * REGISTERS + register))
                .sum()
        };
        for page in 0..SLOT_PAGES {
            assert!((46..=47).contains(&page_wcu(page)), "{page}");
        }
    }

    #[test]
    fn a_value_is_read_as_it_is_written() {
        let by = Worker::new(0x0012_3456_789a);
        for value in [
            Value::Held {
                by,
                until_ms: 1_763_912_345_678,
            },
            Value::Returned { at_ms: 0 },
        ] {
            assert_eq!(value.to_string().parse(), Ok(value));
        }
        for text in ["", "-", "x/1", "-/", "-/x", "00123456789a"] {
            assert!(Value::from_str(text).is_err(), "{text}");
        }
    }
}
