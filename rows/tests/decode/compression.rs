//! Compressed files that are cut off or damaged: whole rows before are delivered, and it is never a success.

use std::error::Error as StdError;
use std::io::{self, Read};

use rows::Error;

use crate::support::{Chunked, gzip, plain, run, zstd};

/// Two of the shapes; the rest read the same way.
fn files() -> [Vec<u8>; 3] {
    let lines: String = (0..40)
        .map(|i| format!("{{\"id\":\"a{i}\",\"n\":{}}}\n", i * 7919))
        .collect();
    let array = format!("[{}]", lines.trim_end().replace('\n', ","));
    let csv: String = (0..40).map(|i| format!("a{i},{}\n", i * 7919)).collect();
    [lines.into(), array.into(), format!("id,n\n{csv}").into()]
}

#[test]
fn a_compressed_file_cut_anywhere_is_an_error_after_the_rows_that_could_be_read() {
    for file in files() {
        let all = run(&plain(), &file[..]).rows;
        for packed in [gzip(&file), zstd(&file)] {
            let mut most = 0;
            for cut in 0..packed.len() {
                let run = run(&plain(), Chunked(&packed[..cut], 100));
                assert_eq!(run.rows, all[..run.rows.len()], "cut at {cut}");
                match run.error {
                    // Too short to be known as compressed, or to hold a byte.
                    Some(Error::Unusable { .. }) => {
                        assert!(cut < 4, "cut at {cut}: {:?}", run.events);
                    }
                    Some(Error::Compression { .. }) => {}
                    _ => panic!("cut at {cut}: {:?}", run.events),
                }
                most = most.max(run.rows.len());
            }
            // The checksum alone is missing: the rows are all there.
            assert!(most == all.len() || packed[0] != 0x1f, "{most} rows");
        }
    }
}

#[test]
fn a_damaged_gzip_file_is_never_a_success_with_other_rows() {
    for file in files() {
        let all = run(&plain(), &file[..]).rows;
        let packed = gzip(&file);
        for at in 0..packed.len() {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x20;
            let run = run(&plain(), &damaged[..]);
            // Some bytes of the header mean nothing, such as the time.
            assert!(
                !run.ended() || run.rows == all,
                "damaged at {at}: {:?}",
                run.events
            );
        }
    }
}

#[test]
fn parts_of_a_compressed_file_are_one_text() {
    for file in files() {
        let all = run(&plain(), &file[..]).rows;
        let (a, b) = file.split_at(file.len() / 3);
        for packed in [[gzip(a), gzip(b)].concat(), [zstd(a), zstd(b)].concat()] {
            assert_eq!(run(&plain(), &packed[..]).rows, all);
        }
    }
}

/// Fails after its bytes.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other(Cause)),
            read => Ok(read),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the disk is gone")]
struct Cause;

#[test]
fn a_source_that_fails_anywhere_is_an_error_that_keeps_its_cause() {
    for file in files() {
        let all = run(&plain(), &file[..]).rows;
        for cut in 0..=file.len() {
            let run = run(&plain(), Broken(&file[..cut]));
            assert_eq!(run.rows, all[..run.rows.len()], "after {cut}");
            assert!(
                cut < file.len() || run.rows.len() == all.len(),
                "{:?}",
                run.events
            );
            let Some(Error::Read { source, .. }) = run.error else {
                panic!("after {cut}: {:?}", run.events);
            };
            assert!(
                source
                    .get_ref()
                    .is_some_and(<dyn StdError + Send + Sync>::is::<Cause>),
                "after {cut}: {source:?}"
            );
        }
    }
}

/// Is interrupted before every read.
struct Interrupted<'a>(&'a [u8], bool);

impl Read for Interrupted<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let read = Chunked(self.0, 7).read(out)?;
        self.0 = &self.0[read..];
        Ok(read)
    }
}

#[test]
fn interrupted_reads_are_read_again() {
    for file in files() {
        // Past what is read to recognise the format, each decoder reads on its own.
        let mut long = file.clone();
        let blank = if file[0] == b'[' { b" " } else { b"\n" };
        long.splice(file.len() - 1..file.len() - 1, blank.repeat(70_000));
        let all = run(&plain(), &file[..]).rows;
        assert_eq!(run(&plain(), Interrupted(&long, false)).rows, all);
    }
}
