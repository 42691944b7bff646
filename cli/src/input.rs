//! Where rows are read from, as it is typed.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A file, an object or standard input.
///
/// # Examples
///
/// ```
/// use intake::input::Input;
///
/// let input: Input = "s3://my-bucket/uploads/catalog.csv".parse().unwrap();
/// assert_eq!(input, Input::Object { bucket: "my-bucket".into(), key: "uploads/catalog.csv".into() });
/// assert!("s3://my-bucket".parse::<Input>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Standard input, typed as `-`.
    Stdin,
    /// A local file.
    File(PathBuf),
    /// An object in S3, typed as `s3://bucket/key`.
    Object {
        /// The bucket's name.
        bucket: String,
        /// The object's key, unencoded.
        key: String,
    },
}

impl Input {
    /// Whether `path` is this very file, whatever it is called: by a link, another spelling, or as what standard input comes
    /// from. Devices do not count, as what is written to a terminal is not what is read from it.
    #[cfg(unix)]
    pub fn is_file(&self, path: &Path) -> bool {
        use std::os::fd::AsFd as _;
        use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
        let input = match self {
            Self::Stdin => {
                let stdin = std::io::stdin().as_fd().try_clone_to_owned();
                stdin.and_then(|stdin| std::fs::File::from(stdin).metadata())
            }
            Self::File(path) => path.metadata(),
            Self::Object { .. } => return false,
        };
        // If this fails, opening the file fails, too, with a better error.
        let (Ok(input), Ok(output)) = (input, path.metadata()) else {
            return false;
        };
        (input.dev(), input.ino()) == (output.dev(), output.ino())
            && !input.file_type().is_char_device()
    }

    /// Whether `path` is this very file, whatever it is called.
    #[cfg(not(unix))]
    pub fn is_file(&self, path: &Path) -> bool {
        match (self, path.canonicalize()) {
            (Self::File(input), Ok(path)) => input.canonicalize().is_ok_and(|input| input == path),
            _ => false,
        }
    }
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let address = text.strip_prefix("s3://");
        // Its own name has a slash: what is behind the first one is not the key.
        if address.unwrap_or(text).starts_with("arn:") {
            return Err(
                "an access point is named by its alias, not by its ARN: s3://ALIAS/KEY (aws s3control get-access-point \
                 says the alias); other objects are named as s3://BUCKET/KEY"
                    .to_owned(),
            );
        }
        let Some(address) = address else {
            if is_like_an_address(text) {
                return Err(
                    "an object is written as s3://BUCKET/KEY, a file as its path (./ before it if it looks like an address)"
                        .to_owned(),
                );
            }
            return Ok(Self::File(PathBuf::from(text)));
        };
        match address.split_once('/') {
            Some((bucket, key)) if !bucket.is_empty() && !key.is_empty() => Ok(Self::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            }),
            _ => Err("an object is written as s3://BUCKET/KEY".to_owned()),
        }
    }
}

/// Whether a text is meant to be the address of something that is no local file, as `https://…`, `s3a://…`, `S3://…` or `s3:/…`.
fn is_like_an_address(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("s3"))
}

/// The name as people see it: on one line.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Stdin => "standard input".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Object { bucket, key } => format!("s3://{bucket}/{key}"),
        };
        f.write_str(&rows::prose(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_told_apart_by_their_beginning() {
        let object = |bucket: &str, key: &str| {
            Ok(Input::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            })
        };
        let cases = [
            ("-", Ok(Input::Stdin)),
            ("./-", Ok(Input::File("./-".into()))),
            ("a/b c.csv", Ok(Input::File("a/b c.csv".into()))),
            ("s3:/x", Err(())),
            ("s3:x", Err(())),
            ("S3://b/k", Err(())),
            ("s3a://b/k", Err(())),
            ("https://b.s3.amazonaws.com/k", Err(())),
            ("arn:aws:s3:eu-west-1:1:accesspoint/ap", Err(())),
            ("arn:aws:s3:::b/k", Err(())),
            ("./s3:/x", Ok(Input::File("./s3:/x".into()))),
            ("10:30.csv", Ok(Input::File("10:30.csv".into()))),
            ("a:b.csv", Ok(Input::File("a:b.csv".into()))),
            ("s3://b/k", object("b", "k")),
            ("s3://b/a/b+c d.csv", object("b", "a/b+c d.csv")),
            ("s3://b", Err(())),
            ("s3://b/", Err(())),
            ("s3:///k", Err(())),
            (
                "s3://ap-x7-s3alias/a/b.csv",
                object("ap-x7-s3alias", "a/b.csv"),
            ),
            (
                "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/ap/a/b.csv",
                Err(()),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().map_err(|_: String| ()), expected, "{text}");
        }
        let error = "s3://arn:aws:s3:eu-west-1:1:accesspoint/ap/k".parse::<Input>();
        assert!(error.unwrap_err().contains("s3://ALIAS/KEY"));
        let error = "https://b.s3.amazonaws.com/k".parse::<Input>();
        assert!(error.unwrap_err().contains("s3://BUCKET/KEY"));
    }

    #[test]
    fn a_name_is_on_one_line() {
        let input: Input = "s3://b/a\n\u{1b}[2J\u{202e}.csv".parse().unwrap();
        assert_eq!(input.to_string(), r"s3://b/a\n\u{1b}[2J\u{202e}.csv");
    }
}
