//! How much memory the importers take.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a Lambda function of the smallest size has.
const MEMORY_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// The most that any importer started by this process had in memory at a time.
static PEAK_BYTES: AtomicU64 = AtomicU64::new(0);

/// Watches the importers from now on, those that will be killed, too.
pub(crate) fn watch() {
    static WATCHING: OnceLock<()> = OnceLock::new();
    WATCHING.get_or_init(|| {
        std::thread::spawn(|| {
            loop {
                look();
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    });
}

/// Asserts that no importer took more than the smallest Lambda function has, and gives the most that one took.
pub(crate) fn peak_bytes() -> u64 {
    look();
    let peak = PEAK_BYTES.load(Ordering::Relaxed);
    assert!(!cfg!(target_os = "linux") || peak > 0, "nothing was seen");
    assert!(peak <= MEMORY_BYTES_MAX, "an importer took {peak} bytes");
    peak
}

/// Looks at the peak of every child of this process, where the system tells.
fn look() {
    let own = format!("PPid:\t{}\n", std::process::id());
    let importer = std::fs::canonicalize(env!("CARGO_BIN_EXE_intake")).unwrap();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        // Until it runs the importer, a child is as large as this process.
        let program = std::fs::read_link(process.path().join("exe"));
        if !program.is_ok_and(|program| program == importer) {
            continue;
        }
        // Any of them may have ended in the meantime.
        let Ok(status) = std::fs::read_to_string(process.path().join("status")) else {
            continue;
        };
        if status.contains(&own) {
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            PEAK_BYTES.fetch_max(kib.unwrap_or(0) * 1024, Ordering::Relaxed);
        }
    }
}
