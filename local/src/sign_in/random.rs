//! What nobody is to guess.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Random bytes of the system.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    // The kernel has no way to refuse a few bytes once it has started; UUIDs need them, too.
    filled.expect("the system gives random bytes");
    bytes
}

/// 256 random bits as text for URLs.
pub(crate) fn text() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// `length` random characters of `alphabet`, of which there are at most 256.
pub(crate) fn characters(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    // Bytes beyond the last whole round would favour the alphabet's beginning.
    let fair = 256 - 256 % alphabet.len();
    std::iter::repeat_with(|| usize::from(bytes::<1>()[0]))
        .filter(|byte| *byte < fair)
        .map(|byte| alphabet[byte % alphabet.len()])
        .take(length)
        .collect()
}
