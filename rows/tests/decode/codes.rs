//! The names that machines know a failure by.

use rows::{Engine, Format};

use crate::support::{plain, run};

#[test]
fn each_failure_of_a_file_has_a_code() {
    for (setup, file, code) in [
        (plain(), &b""[..], "empty"),
        (plain(), b"PK\x03\x04", "foreign"),
        (plain().delimiter(b';'), b"[]", "delimiter"),
        (plain().delimiter(b'"'), b"id\n", "delimiter"),
        (plain().rows_at("/a"), b"id\n", "rows-at"),
        (plain().rows_at("a"), b"{}", "rows-at"),
        (plain().rows_at("/b"), b"{\"a\":[]}", "rows-at"),
        (plain().types("n:N"), b"[{\"id\":{\"S\":\"1\"}}]", "types"),
        (plain().types("n:N"), b"id\n", "types"),
        (plain().format(Format::Json), b"id", "format"),
        (plain(), b"{\"a\":[{\"id\":\"1\"}]}", "wrapped"),
        (plain(), b"id,\xff\n", "encoding"),
        (plain(), b"id,\"a\"b\n", "header"),
        (plain(), b",id\n", "header"),
        (plain(), b"id,id\n", "header"),
        (plain(), b"a,b\n", "missing-key"),
        (plain(), b"id,b\n1,\"", "cut-off"),
        (plain(), b"[{\"id\":\"1\"},", "cut-off"),
        (plain(), b"{\"id\":\"1\"}\n{\"id\"", "cut-off"),
        (plain(), b"[{\"id\":\"1\",\xff\"v\":1}]", "encoding"),
        (plain(), b"[{\"id\":\"5\" inch\"}]", "broken"),
        (plain(), b"[] []", "broken"),
        (plain(), b"\x1f\x8b\x08", "compression"),
    ] {
        for engine in [Engine::Fast, Engine::Reference] {
            let error = run(&setup.clone().engine(engine), file).error;
            let shown = String::from_utf8_lossy(file);
            assert_eq!(error.map(|error| error.code()), Some(code), "{shown}");
        }
    }
}
