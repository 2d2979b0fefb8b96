//! Does the house stand as it was drawn? Which module may name which, how long a file may be, and
//! where `unsafe` may stand. `docs/adr/0001-levels-and-direction.md` says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "layering/source.rs"]
mod source;

use source::{Named, Token};

const LEVEL_0: &[&str] = &["ids", "planted", "time", "sync", "mem", "wire"];
const LEVEL_1: &[&str] = &["frame", "fib", "nat", "flow", "police", "neighbour"];
const PIPELINE: &[&str] = &["tables", "stage", "pipeline"];

/// Which top-level modules a top-level module may name; each may name itself.
///
/// The order is the direction: a line's module is named only by lines below it.
const RULES: &[(&str, &[&[&str]])] = &[
    ("ids", &[]),
    ("planted", &[]),
    ("time", &[]),
    ("sync", &[&["ids", "time"]]),
    ("mem", &[&["ids", "time"]]),
    ("wire", &[&["ids", "planted", "time"]]),
    ("frame", &[LEVEL_0]),
    ("fib", &[LEVEL_0, &["frame"]]),
    ("nat", &[LEVEL_0, &["frame"]]),
    ("flow", &[LEVEL_0, &["frame"]]),
    ("police", &[LEVEL_0, &["frame"]]),
    ("neighbour", &[LEVEL_0, &["frame"]]),
    ("hostile", &[LEVEL_0]),
    ("model", &[&["ids", "time", "wire"]]),
    ("tables", &[LEVEL_0, LEVEL_1]),
    ("stage", &[LEVEL_0, LEVEL_1, &["tables"]]),
    ("pipeline", &[LEVEL_0, LEVEL_1, &["tables", "stage"]]),
    ("io", &[LEVEL_0, &["frame"]]),
    // Parsers beside each other: what stages read of a capture's frames.
    ("dissect", &[LEVEL_0, &["frame", "stage", "io"]]),
    // The one module that brings stages and ports together.
    ("worker", &[LEVEL_0, LEVEL_1, PIPELINE, &["io"]]),
    ("config", &[LEVEL_0, &["model"]]),
    ("compile", &[LEVEL_0, LEVEL_1, &["model", "tables"]]),
    ("control", &[LEVEL_0, LEVEL_1, PIPELINE, &["model", "io", "worker", "config", "compile"]]),
    (
        "replay",
        &[LEVEL_0, LEVEL_1, PIPELINE, &["model", "io", "worker", "config", "compile", "control"]],
    ),
    ("lab", &[LEVEL_0, &["frame", "io"]]),
    (
        "bench",
        &[
            LEVEL_0,
            LEVEL_1,
            PIPELINE,
            &["model", "io", "worker", "config", "compile", "control", "lab"],
        ],
    ),
    (
        "cli",
        &[
            LEVEL_0,
            LEVEL_1,
            PIPELINE,
            &["hostile", "model", "io", "worker", "config", "compile", "control", "lab"],
            &["replay", "bench", "dissect"],
        ],
    ),
    ("main", &[&["cli"]]),
];

/// Most lines of a file, those of its tests left out.
const MOST_LINES: usize = 400;

/// Where `unsafe` may stand: system calls, memory, frames, and what threads share.
const UNSAFE: &[&str] = &[
    "src/io/sys/",
    "src/frame/pool.rs",
    "src/sync.rs",
    "src/mem.rs",
    // Entering namespaces and ending child processes with their parent.
    "src/lab/sys.rs",
    // An allocator that counts, for the test that nothing on the way of a packet allocates.
    "tests/alloc.rs",
    // A race on purpose, that ThreadSanitizer must see.
    "tests/threads.rs",
];

/// A source file, cut into tokens.
struct File {
    /// From the root of the package, with `/`.
    name: String,
    lines: usize,
    tokens: Vec<Token>,
    /// Whether a token belongs to a test.
    test: Vec<bool>,
}

impl File {
    fn new(name: &str, text: &str) -> Self {
        let tokens = source::tokens(text);
        let mut test = vec![false; tokens.len()];
        for part in source::test_parts(&tokens) {
            test[part].fill(true);
        }
        Self { name: name.to_owned(), lines: text.lines().count(), tokens, test }
    }

    /// The modules above this file's own: `["io", "tap"]` for `src/io/tap.rs`.
    fn module(&self) -> Vec<String> {
        let path = self.name.trim_start_matches("src/").trim_end_matches(".rs");
        let mut parts: Vec<String> = path.split('/').map(str::to_owned).collect();
        if parts.last().is_some_and(|last| last == "mod") {
            parts.pop();
        }
        parts
    }

    /// The tokens that are no test's.
    fn code(&self) -> Vec<Token> {
        let kept = self.tokens.iter().zip(&self.test).filter(|(_, test)| !**test);
        kept.map(|(token, _)| token.clone()).collect()
    }

    /// Lines without those of tests.
    fn lines_of_code(&self) -> usize {
        let mut tests = 0;
        let mut i = 0;
        while i < self.tokens.len() {
            let run = self.test[i..].iter().take_while(|test| **test).count();
            if run > 0 {
                tests += self.tokens[i + run - 1].line - self.tokens[i].line + 1;
            }
            i += run.max(1);
        }
        self.lines.saturating_sub(tests)
    }

    /// Test modules in files of their own that this file declares.
    fn test_modules(&self) -> Vec<PathBuf> {
        let parts = source::test_parts(&self.tokens);
        let mut files = Vec::new();
        for part in parts {
            let item = &self.tokens[part];
            let Some(at) = item.iter().position(|t| t.text == "mod") else { continue };
            if item.get(at + 2).is_some_and(|t| t.text == ";") {
                files.extend(self.homes(&item[at + 1].text));
            }
        }
        files
    }

    /// Where the file of the module `child` of this one may lie. A `#[path]` is not followed: such
    /// a file has the name that the module would have, behind this file's (`x_tests.rs`).
    fn homes(&self, child: &str) -> Vec<PathBuf> {
        let path = Path::new(&self.name);
        let (above, stem) = (path.parent().unwrap_or(path), path.file_stem().unwrap_or_default());
        let stem = stem.to_string_lossy();
        let own =
            if stem == "mod" || stem == "lib" { above.to_owned() } else { above.join(&*stem) };
        vec![
            own.join(format!("{child}.rs")),
            own.join(child),
            above.join(format!("{stem}_{child}.rs")),
        ]
    }
}

/// Every source file of the package; modules that are tests count as tests throughout.
fn package() -> Vec<File> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the root"));
    let mut files = Vec::new();
    for top in ["src", "tests", "benches"] {
        collect(&root, &root.join(top), &mut files);
    }
    files.sort_by(|a: &File, b: &File| a.name.cmp(&b.name));
    let tests: Vec<PathBuf> = files.iter().flat_map(File::test_modules).collect();
    for file in &mut files {
        let name = PathBuf::from(&file.name);
        if tests.iter().any(|test| name.starts_with(test)) {
            file.test.fill(true);
            file.lines = 0;
        }
    }
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("a folder of the package can be read").path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let name = path.strip_prefix(root).expect("it was found below the root");
            files.push(File::new(&name.to_string_lossy(), &text));
        }
    }
}

/// What a file names against the direction, as sentences.
fn trespasses(file: &File) -> Vec<String> {
    let home = file.module();
    let top = home.first().map_or("", String::as_str);
    if top == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = RULES.iter().find(|(module, _)| *module == top) else {
        return vec![format!("{}: the module `{top}` has no line in RULES", file.name)];
    };
    let (inside, roots): (&[String], &[&str]) =
        if top == "main" { (&[], &["thruway"]) } else { (&home, &[]) };
    let forbidden =
        |named: &Named| named.module != top && !allowed.concat().contains(&named.module.as_str());
    source::named(&file.code(), inside, roots)
        .into_iter()
        .filter(forbidden)
        .map(|Named { module, line }| {
            format!("{}:{line}: `{top}` must not name `{module}`", file.name)
        })
        .collect()
}

fn fail_with(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn a_module_names_only_what_stands_below_it() {
    let files = package();
    let source = files.iter().filter(|file| file.name.starts_with("src/"));
    fail_with(source.flat_map(trespasses).collect());
}

#[test]
fn the_rules_themselves_have_a_direction() {
    let place: BTreeMap<&str, usize> =
        RULES.iter().enumerate().map(|(i, (module, _))| (*module, i)).collect();
    for (module, allowed) in RULES {
        for below in allowed.concat() {
            let at = place.get(below).copied();
            assert!(at.is_some(), "`{module}` may name `{below}`, which has no line");
            let level_0 = LEVEL_0.contains(module) && LEVEL_0.contains(&below);
            assert!(level_0 || at < place.get(module).copied(), "`{below}` not below `{module}`");
        }
    }
}

#[test]
fn files_are_short_enough_to_be_read_at_once() {
    let long = package().into_iter().filter(|file| file.lines_of_code() >= MOST_LINES);
    fail_with(
        long.map(|file| {
            let lines = file.lines_of_code();
            format!("{}: {lines} lines without tests; under {MOST_LINES} is the rule", file.name)
        })
        .collect(),
    );
}

#[test]
fn unsafe_stands_where_it_is_expected() {
    let mut found = Vec::new();
    for file in package() {
        if UNSAFE.iter().any(|place| file.name.starts_with(place)) {
            continue;
        }
        let words = file.tokens.iter().filter(|t| ["unsafe", "unsafe_code"].contains(&&*t.text));
        found.extend(words.map(|t| format!("{}:{}: `{}`", file.name, t.line, t.text)));
    }
    fail_with(found);
}

/// The modules that a text in the file `name` names.
fn modules(name: &str, text: &str) -> Vec<String> {
    let file = File::new(name, text);
    source::named(&file.code(), &file.module(), &[]).into_iter().map(|n| n.module).collect()
}

#[test]
fn every_spelling_of_a_path_is_found() {
    let name = "src/stage/nat44.rs";
    assert_eq!(modules(name, "use crate::io::Queue;"), ["io"]);
    assert_eq!(
        modules(name, "use crate::{io::{self, Queue}, ids as names, control};"),
        ["io", "ids", "control"]
    );
    assert_eq!(
        modules(name, "fn f() -> crate::io::Queue { crate::control::go::<u8>() }"),
        ["io", "control"]
    );
    assert_eq!(modules(name, "use super::super::io;"), ["io"]);
    assert_eq!(modules(name, "use super::{super::{io, control::*}, state};"), ["io", "control"]);
    assert_eq!(
        modules(name, "mod inner { use super::super::super::io; } use super::state;"),
        ["io"]
    );
    assert_eq!(modules(name, "use crate::*;"), ["*"]);
    assert_eq!(modules(name, "macro_rules! m { () => { $crate::io::x() } }"), ["io"]);
    assert_eq!(modules("src/stage/mod.rs", "use super::io;"), ["io"]);
    assert_eq!(modules("src/worker.rs", "use super::io;"), ["io"]);
}

#[test]
fn what_only_looks_like_a_path_is_not_found() {
    let name = "src/stage/nat44.rs";
    let text = r##"
        //! [`crate::io`]
        /* crate::io /* nested */ crate::io */
        pub(crate) fn f<'a>(x: &'a str) -> char { let _ = (r#"crate::io " "#, "\"crate::io"); '"' }
        use std::io; use super::io::x; use self::io::y; use tap::io;
        const C: [char; 3] = ['\'', 'é', '\u{41}'];
    "##;
    assert_eq!(modules(name, text), Vec::<String>::new());
}

#[test]
fn tests_may_name_anything_and_do_not_count() {
    let text = "use crate::ids;\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n use crate::io;\n}\n\
                #[cfg(all(test, target_os = \"linux\"))]\nuse crate::lab::{a, b};\nfn f() {}\n";
    let file = File::new("src/nat/table.rs", text);
    assert_eq!(modules(&file.name, text), ["ids"]);
    assert_eq!(file.lines_of_code(), 2);
    assert_eq!(modules("src/nat/tests.rs", "#![cfg(test)]\nuse crate::io;"), Vec::<String>::new());
    let declared = File::new("src/nat/table.rs", "#[cfg(test)]\nmod tests;").test_modules();
    assert!(declared.contains(&PathBuf::from("src/nat/table/tests.rs")));
    assert!(declared.contains(&PathBuf::from("src/nat/table_tests.rs")));
}

#[test]
fn a_trespass_is_named_with_file_line_and_module() {
    let file = File::new("src/stage/nat44.rs", "use crate::nat;\n\nuse crate::io::Queue;\n");
    assert_eq!(trespasses(&file), ["src/stage/nat44.rs:3: `stage` must not name `io`"]);
    let file = File::new("src/main.rs", "fn main() { thruway::cli::main(); thruway::io::x() }");
    assert_eq!(trespasses(&file), ["src/main.rs:1: `main` must not name `io`"]);
    let file = File::new("src/novelty.rs", "");
    assert_eq!(trespasses(&file), ["src/novelty.rs: the module `novelty` has no line in RULES"]);
}
