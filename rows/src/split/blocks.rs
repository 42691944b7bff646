//! Text in blocks of 64 bytes, each looked at as a whole.

use wide::u8x64;

use super::scan::Mark;

/// Bytes of a block: as many as a mask has bits.
pub(super) const BLOCK_BYTES: usize = 64;

/// Some bytes, the first of them in the lowest bit of every mask.
#[derive(Clone, Copy)]
pub(super) struct Block {
    bytes: u8x64,
    /// How many bytes there are: fewer than 64 in the last one only.
    pub(super) length: usize,
}

impl Block {
    /// Which bytes are `byte`.
    #[inline]
    pub(super) fn eq(&self, byte: u8) -> u64 {
        self.bytes.simd_eq(u8x64::splat(byte)).to_bitmask()
    }

    /// Which bytes are `byte` if 0x20 is added to those that lack it: `{` for `[` and `{`, `}` for `]` and `}`.
    #[inline]
    pub(super) fn eq_lower(&self, byte: u8) -> u64 {
        let lower = self.bytes | u8x64::splat(0x20);
        lower.simd_eq(u8x64::splat(byte)).to_bitmask()
    }
}

/// The blocks of `text`. Behind the end of the last one are spaces.
#[inline]
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Block> {
    let (whole, rest) = text.as_chunks::<BLOCK_BYTES>();
    let mut last = [b' '; BLOCK_BYTES];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(Block {
        bytes: u8x64::new(last),
        length: rest.len(),
    });
    let whole = whole.iter().map(|bytes| Block {
        bytes: u8x64::new(*bytes),
        length: BLOCK_BYTES,
    });
    whole.chain(last)
}

/// The positions of the bits of `mask`, in order.
#[inline]
pub(super) fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let at = (mask != 0).then(|| mask.trailing_zeros())?;
        mask &= mask - 1;
        Some(at)
    })
}

/// For each bit whether the number of bits up to it, itself included, is odd.
#[inline]
pub(super) fn parity(mut mask: u64) -> u64 {
    for distance in [1, 2, 4, 8, 16, 32] {
        mask ^= mask << distance;
    }
    mask
}

/// Counts line breaks, block by block.
#[derive(Default)]
pub(super) struct LineBreakMasks {
    /// Of the block: line feeds, carriage returns, and of both the return.
    breaks: u64,
    /// Whether the last byte is a carriage return, in the lowest bit.
    after_return: u64,
    /// Bytes and line breaks before the block.
    before: Mark,
    length: usize,
}

impl LineBreakMasks {
    /// Goes on to the next block.
    #[inline]
    pub(super) fn block(&mut self, block: &Block) {
        self.before.byte += self.length as u64;
        if self.breaks != 0 {
            self.before.line_breaks += u64::from(self.breaks.count_ones());
        }
        self.length = block.length;
        let returns = block.eq(b'\r');
        self.breaks = returns | (block.eq(b'\n') & !(returns << 1 | self.after_return));
        self.after_return = returns >> 63;
    }

    /// A place in the block.
    #[inline]
    pub(super) fn mark(&self, at: u32) -> Mark {
        let before = self.breaks & !(u64::MAX << at);
        Mark {
            byte: self.before.byte + u64::from(at),
            line_breaks: self.before.line_breaks + u64::from(before.count_ones()),
        }
    }

    /// Line breaks up to the end of the block.
    pub(super) fn count(&self) -> u64 {
        self.before.line_breaks + u64::from(self.breaks.count_ones())
    }
}
