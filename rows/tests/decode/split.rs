//! However a file is cut, the rows of its parts are the file's.
//!
//! Files are put together at random from what a scanner might stumble over: quotes, backslashes, brackets, commas and line
//! breaks in strings and cells, characters of several bytes, a byte order mark, blank lines, rows that are rejected. Cuts are
//! anywhere, within characters, escapes and line breaks, too.

use rows::Engine;
use rows::Format::{Csv, JsonLines};
use rows::split::{Part, Scan, Syntax, cut};

use crate::support::{Chunked, Run, Setup, plain, run, run_part};

/// Pairs of a file and a way to cut it, for each kind of file.
const PAIRS: usize = 25_000;
/// Ways to cut the same file.
const CUTS: usize = 40;

/// What strings and cells are made of.
const PIECES: &[&str] = &[
    "\"", "\\", "[", "]", "{", "}", ",", ":", ";", "\n", "\r", "\r\n", "\t", " ", "a", "é", "€",
    "😀", "\\\"", "\\\\", "\"\"", "\",\"", "},{", "],[", "\u{feff}", "\u{0}", "null", "-1.5",
];
/// What may stand between values.
const SPACES: &[&str] = &["", "", "", " ", "\n", "\r\n", "\r", "\t", " \n  "];

/// Makes files.
struct Files(fastrand::Rng);

impl Files {
    fn text(&mut self) -> String {
        let count = self.0.usize(..8);
        (0..count).map(|_| self.choice(PIECES)).collect()
    }

    fn choice<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.0.usize(..from.len())]
    }

    fn space(&mut self) -> &'static str {
        self.choice(SPACES)
    }

    fn json_string(&mut self) -> String {
        let text = self.text();
        if self.0.u8(..4) > 0 {
            return serde_json::to_string(&text).unwrap();
        }
        let escaped = text.encode_utf16().map(|unit| format!("\\u{unit:04x}"));
        format!("\"{}\"", escaped.collect::<String>())
    }

    fn json_value(&mut self, depth: usize) -> String {
        match self.0.u8(..if depth < 4 { 8 } else { 5 }) {
            0 => "null".to_owned(),
            1 => self.0.i32(..).to_string(),
            2..5 => self.json_string(),
            5 => self.json_object(depth, Vec::new()),
            _ => {
                let count = self.0.usize(..4);
                let values: Vec<_> = (0..count).map(|_| self.json_value(depth + 1)).collect();
                format!("[{}{}]", values.join(","), self.space())
            }
        }
    }

    fn json_object(&mut self, depth: usize, mut members: Vec<String>) -> String {
        for index in 0..self.0.usize(..4) {
            let (name, value) = (self.json_string(), self.json_value(depth + 1));
            // A name that is there twice is rejected in a row: fine, too, but seldom.
            members.push(format!(
                "\"{index}{}{}:{}{value}",
                &name[1..],
                self.space(),
                self.space()
            ));
        }
        let between = format!("{},{}", self.space(), self.space());
        format!("{{{}{}}}", members.join(&between), self.space())
    }

    /// One row; now and then one without a key, or no row at all.
    fn json_row(&mut self, number: usize) -> String {
        match self.0.u8(..10) {
            0 => self.json_value(0),
            1 => self.json_object(0, Vec::new()),
            _ => self.json_object(0, vec![format!("\"id\":\"{number}\"")]),
        }
    }

    fn mark(&mut self) -> &'static str {
        if self.0.u8(..4) == 0 { "\u{feff}" } else { "" }
    }

    fn json_array(&mut self) -> String {
        let mut file = format!("{}{}[", self.mark(), self.space());
        for number in 0..=self.0.usize(..8) {
            let comma = if number > 0 { "," } else { "" };
            file = format!(
                "{file}{comma}{}{}{}",
                self.space(),
                self.json_row(number),
                self.space()
            );
        }
        file + "]" + self.space()
    }

    fn json_wrapped(&mut self) -> String {
        let (before, after) = (self.json_value(0), self.json_value(0));
        let rows = self.json_array();
        let rows = rows.trim_start_matches('\u{feff}');
        format!(
            "{}{{\"before\":{before},\"Items\":{rows},\"after\":{after}}}{}",
            self.mark(),
            self.space()
        )
    }

    fn json_lines(&mut self) -> String {
        let mut file = format!("{}{{\"id\":\"first\"}}\n", self.mark());
        for number in 0..=self.0.usize(..8) {
            let row = match self.0.u8(..8) {
                0 => self.choice(&["", " ", "\t \r", "\u{c}"]).to_owned(),
                1 => self.text().replace('\n', ""),
                _ => self.json_row(number).replace(['\n', '\r'], " "),
            };
            let end = self.choice(&["\n", "\n", "\r\n"]);
            file = format!("{file}{}{row}{end}", self.choice(&["", "", " "]));
        }
        self.unterminated(file)
    }

    fn csv(&mut self) -> String {
        let line_end = self.choice(&["\n", "\r\n", "\r"]);
        let mut file = format!("{}id,a,b{line_end}", self.mark());
        for number in 0..=self.0.usize(..8) {
            let mut cells = vec![number.to_string()];
            // Mostly two more.
            for _ in 0..[2, 2, 2, 2, 2, 1, 3, 0][self.0.usize(..8)] {
                let text = self.text();
                cells.push(match self.0.u8(..4) {
                    0 => text
                        .replace([',', '\n', '\r'], "")
                        .trim_start_matches('"')
                        .to_owned(),
                    1 => format!("\"{}\"x", text.replace('"', "\"\"")),
                    _ => format!("\"{}\"", text.replace('"', "\"\"")),
                });
            }
            file = format!(
                "{file}{}{line_end}{}",
                cells.join(","),
                self.choice(&["", "", "", "\n", "\r\n\r", "\r"])
            );
        }
        self.unterminated(file)
    }

    fn unterminated(&mut self, file: String) -> String {
        if self.0.bool() {
            file.trim_end_matches(['\r', '\n']).to_owned()
        } else {
            file
        }
    }

    /// A byte changed, removed or inserted somewhere.
    fn broken(&mut self, file: &str) -> Vec<u8> {
        let mut bytes = file.as_bytes().to_vec();
        let at = self.0.usize(..bytes.len());
        let byte = self.choice(PIECES).as_bytes()[0];
        match self.0.u8(..4) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            _ => bytes.truncate(at),
        }
        bytes
    }

    /// Offsets in order, some of them perhaps the same.
    fn cuts(&mut self, from: usize, to: usize) -> Vec<usize> {
        let mut cuts: Vec<_> = (0..self.0.usize(1..6))
            .map(|_| self.0.usize(from..=to))
            .collect();
        cuts.sort_unstable();
        cuts
    }
}

/// Scans `file` from the first row on in ranges that end at `cuts`.
fn parts(syntax: Syntax, file: &[u8], whole: &Run, cuts: &[usize]) -> Vec<Part> {
    let first = whole.position(1);
    let mut begin = first.byte as usize;
    let mut scans = Vec::new();
    for &end in cuts.iter().chain([&file.len()]) {
        scans.push(Scan::of(syntax, &file[begin..end]));
        begin = end;
    }
    cut(first, &scans)
}

/// That the parts of `file` have what the whole has: rows, rejects and positions in order, up to the end or the place where
/// the file is broken. Gives the number of parts.
fn same_parts(setup: &Setup, file: &[u8], whole: &Run, files: &mut Files) -> usize {
    let Some(syntax) = whole
        .syntax
        .filter(|_| whole.rows.len() + whole.rejects.len() > 0)
    else {
        return 0;
    };
    let cuts = files.cuts(whole.position(1).byte as usize, file.len());
    let chunk = [1, 3, usize::MAX, usize::MAX][files.0.usize(..4)];
    let engine = [Engine::Fast, Engine::Fast, Engine::Reference][files.0.usize(..3)];
    let setup = setup.clone().engine(engine);
    let parts = parts(syntax, file, whole, &cuts);
    let shown = || {
        format!(
            "{:?}\ncut at {cuts:?}: {parts:?}",
            String::from_utf8_lossy(file)
        )
    };
    let mut events = Vec::new();
    for part in &parts {
        let run = run_part(&setup, file, part, chunk);
        events.extend_from_slice(&run.events[..run.events.len() - 1]);
        if let Some(error) = &run.error {
            assert!(whole.error.is_some(), "{error:?}\n{}", shown());
            let place = |run: &Run| {
                run.events
                    .last()
                    .unwrap()
                    .split(" #")
                    .next()
                    .unwrap()
                    .to_owned()
            };
            assert_eq!(place(&run), place(whole), "{:?}\n{}", whole.events, shown());
            break;
        }
        let rows = (run.rows.len() + run.rejects.len()) as u64;
        assert!(
            part.rows.is_none_or(|expected| expected == rows),
            "{rows}\n{}",
            shown()
        );
    }
    assert_eq!(
        events,
        whole.events[..whole.events.len() - 1],
        "{}",
        shown()
    );
    parts.len()
}

fn check(setup: &Setup, seed: u64, make: fn(&mut Files) -> String) {
    let mut files = Files(fastrand::Rng::with_seed(seed));
    let (mut pairs, mut parts, mut broken) = (0, 0, 0);
    while pairs < PAIRS {
        let file = make(&mut files);
        let whole = run(setup, file.as_bytes());
        assert!(whole.ended(), "{file:?}: {:?}", whole.events);
        let mut check = |file: &[u8], whole: &Run, files: &mut Files| {
            let count = same_parts(setup, file, whole, files);
            pairs += usize::from(count > 0);
            parts += count;
        };
        for _ in 0..CUTS / 2 {
            check(file.as_bytes(), &whole, &mut files);
        }
        for _ in 0..CUTS / 4 {
            let file = files.broken(&file);
            let whole = run(setup, &file[..]);
            broken += usize::from(!whole.ended());
            check(&file, &whole, &mut files);
            check(&file, &whole, &mut files);
        }
    }
    assert!(
        parts > 2 * pairs && broken > 0,
        "{parts} parts, {broken} broken"
    );
}

#[test]
fn a_json_array_in_parts_is_the_whole() {
    check(&plain(), 1, Files::json_array);
}

#[test]
fn an_array_within_an_object_in_parts_is_the_whole() {
    check(&plain().rows_at("/Items"), 2, Files::json_wrapped);
}

#[test]
fn json_lines_in_parts_are_the_whole() {
    check(&plain().format(JsonLines), 3, Files::json_lines);
}

#[test]
fn csv_in_parts_is_the_whole() {
    check(&plain().format(Csv).delimiter(b','), 4, Files::csv);
}

/// Every range of up to three bytes, of a file that has everything.
#[test]
fn parts_of_a_byte_each_are_the_whole() {
    let mut files = Files(fastrand::Rng::with_seed(5));
    for (setup, make) in [
        (plain(), Files::json_array as fn(&mut Files) -> String),
        (plain().format(JsonLines), Files::json_lines),
        (plain().format(Csv).delimiter(b','), Files::csv),
    ] {
        for length in 1..4 {
            let file = make(&mut files);
            let whole = run(&setup, Chunked(file.as_bytes(), usize::MAX));
            let cuts: Vec<_> = (whole.position(1).byte as usize..file.len())
                .step_by(length)
                .collect();
            let parts = parts(whole.syntax.unwrap(), file.as_bytes(), &whole, &cuts);
            let mut events: Vec<_> = parts
                .iter()
                .flat_map(|part| run_part(&setup, file.as_bytes(), part, usize::MAX).events)
                .filter(|event| event != "end")
                .collect();
            events.push("end".to_owned());
            assert_eq!(events, whole.events, "{file:?}: {parts:?}");
        }
    }
}

/// It had been rejected as a row that is too long, which the scan does not count: the part behind it had a row too many.
#[test]
fn a_blank_line_longer_than_a_row_is_no_row() {
    let blank = " ".repeat(9 * 1024 * 1024);
    let file = format!("{{\"id\":\"a\"}}\n{blank}\n{{\"id\":\"b\"}}\n{{\"id\":\"c\"}}\n");
    let setup = plain().format(JsonLines);
    let whole = run(&setup, file.as_bytes());
    assert_eq!((whole.rows.len(), whole.rejects.len()), (3, 0));
    let cuts = [file.len() - 30, file.len() - 20];
    let parts = parts(Syntax::JsonLines, file.as_bytes(), &whole, &cuts);
    assert_eq!(parts.len(), 2, "{parts:?}");
    let mut events = Vec::new();
    for part in &parts {
        let run = run_part(&setup, file.as_bytes(), part, usize::MAX);
        let rows = (run.rows.len() + run.rejects.len()) as u64;
        assert!(
            part.rows.is_none_or(|expected| expected == rows),
            "{part:?}"
        );
        events.extend(run.events.into_iter().filter(|event| event != "end"));
    }
    assert_eq!(events, whole.events[..3]);
}

/// A scan of text is that of its bytes, one put to the other in any grouping.
#[test]
fn scans_are_a_monoid() {
    let mut files = Files(fastrand::Rng::with_seed(6));
    for round in 0..6_000 {
        let text: String = (0..files.0.usize(..12)).map(|_| files.text()).collect();
        // Backslashes in a row, over more than one block.
        let text = text
            + &"\\".repeat(if round % 16 == 0 {
                files.0.usize(..140)
            } else {
                0
            });
        let text = text + &files.text();
        let text = text.as_bytes();
        for syntax in [
            Syntax::JsonArray,
            Syntax::JsonLines,
            Syntax::Csv { delimiter: b',' },
            Syntax::Csv { delimiter: b';' },
        ] {
            let of = |text| Scan::of(syntax, text);
            let whole = of(text);
            let none = Scan::none(syntax);
            let by_byte = text
                .chunks(1)
                .map(of)
                .fold(none.clone(), |all, next| all.then(&next));
            assert_eq!(
                whole,
                by_byte,
                "{syntax:?} {:?}",
                String::from_utf8_lossy(text)
            );
            assert_eq!(none.then(&whole), whole);
            assert_eq!(whole.then(&none), whole);
            let cuts = files.cuts(0, text.len());
            let (a, b) = (cuts[0], cuts[cuts.len() - 1]);
            let [a, b, c] = [of(&text[..a]), of(&text[a..b]), of(&text[b..])];
            assert_eq!(a.then(&b).then(&c), whole);
            assert_eq!(a.then(&b.then(&c)), whole);
        }
    }
}
