//! Zstandard in Rust, for targets without a C compiler: frames one after the other, each with its checksum verified.

use std::io::{self, BufRead, Read};

use super::decompress::pass_zeros;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Decompresses the frames of `source`; skippable ones are skipped.
pub(super) struct Frames<R> {
    source: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Frames<R> {
    /// Frames whose window has at most `window_bytes_max` bytes; others are errors.
    pub(super) fn new(source: R, window_bytes_max: u64) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(window_bytes_max);
        Self {
            source,
            decoder,
            is_in_frame: false,
        }
    }

    /// Begins the next frame that has content. `false` is the end of the file.
    fn begin_frame(&mut self) -> io::Result<bool> {
        while pass_zeros(&mut self.source)? {
            match self.decoder.init(&mut self.source) {
                Ok(()) => {
                    self.is_in_frame = true;
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let mut content = self.source.by_ref().take(length.into());
                    if io::copy(&mut content, &mut io::sink())? < length.into() {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        Ok(false)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        self.is_in_frame = false;
        let expected = self.decoder.get_checksum_from_data();
        if expected.is_some() && expected != self.decoder.get_calculated_checksum() {
            return Err(io::Error::other("the checksum of a frame is wrong"));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !out.is_empty() && (self.is_in_frame || self.begin_frame()?) {
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one_block = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder
                    .decode_blocks(&mut self.source, one_block)
                    .map_err(io::Error::other)?;
            }
            let read = self.decoder.read(out)?;
            if read > 0 {
                return Ok(read);
            }
            self.end_frame()?;
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    const WINDOW_BYTES_MAX: u64 = 1 << 20;

    fn read(file: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Frames::new(file, WINDOW_BYTES_MAX).read_to_end(&mut out)?;
        Ok(out)
    }

    fn frame(data: &[u8], level: i32) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), level).unwrap();
        encoder.window_log(20).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn skippable_frames_are_skipped_wherever_they_are() {
        let skippable = [0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2];
        let file = [
            &skippable[..],
            &frame(b"ro", 3),
            &skippable,
            &frame(b"ws", 3),
            &skippable,
        ];
        assert_eq!(read(&file.concat()).unwrap(), b"rows");
        assert_eq!(read(&skippable).unwrap(), b"");
        assert!(read(&skippable[..9]).is_err());
    }

    #[test]
    fn a_cut_off_or_damaged_file_and_a_large_window_are_errors() {
        let data: Vec<u8> = (0..20_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = frame(&data, 3);
        assert_eq!(read(&whole).unwrap(), data);
        for cut in 1..64 {
            assert!(read(&whole[..whole.len() * cut / 64]).is_err(), "{cut}");
        }
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(read(&damaged).is_err());
        assert!(read(&[&whole[..], b"more"].concat()).is_err());
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(21).unwrap();
        encoder.write_all(&data).unwrap();
        assert!(read(&encoder.finish().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn both_decoders_agree(
            data in proptest::collection::vec(0..16_u8, 0..5_000),
            level in 1..19,
            frames in 1..4_usize,
        ) {
            let file = frame(&data, level).repeat(frames);
            prop_assert_eq!(read(&file).unwrap(), zstd::decode_all(&file[..]).unwrap());
        }
    }
}
