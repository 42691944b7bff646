//! Where rows are read from, as it is typed.

use std::fmt;
use std::path::PathBuf;
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

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "-" {
            return Ok(Self::Stdin);
        }
        let Some(address) = text.strip_prefix("s3://") else {
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

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
            Self::Object { bucket, key } => write!(f, "s3://{bucket}/{key}"),
        }
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
            ("s3:/x", Ok(Input::File("s3:/x".into()))),
            ("s3://b/k", object("b", "k")),
            ("s3://b/a/b+c d.csv", object("b", "a/b+c d.csv")),
            ("s3://b", Err(())),
            ("s3://b/", Err(())),
            ("s3:///k", Err(())),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse().map_err(|_: String| ()), expected, "{text}");
        }
    }
}
