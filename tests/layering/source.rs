//! What does a source file say to the compiler? Words and marks with their lines, without
//! comments, strings and characters; which of them are tests; which paths they name.
//!
//! It knows as much of the language as paths need and expands no macro.

use std::ops::Range;

/// One word or mark of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// A word, `::`, or one other character.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Cuts a source text into tokens; literals disappear, a lifetime leaves its word.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let (end, keep) = lexeme(bytes, at);
        if keep {
            tokens.push(Token { text: text[at..end].to_owned(), line });
        }
        line += bytes[at..end].iter().filter(|&&b| b == b'\n').count();
        at = end;
    }
    tokens
}

/// Where the piece of source at `at` ends, and whether it is a token.
fn lexeme(bytes: &[u8], at: usize) -> (usize, bool) {
    let rest = &bytes[at..];
    match rest[0] {
        b'/' if rest.starts_with(b"//") => (at + until(rest, |b| b == b'\n'), false),
        b'/' if rest.starts_with(b"/*") => (at + block_comment(rest), false),
        b'"' => (at + string(rest), false),
        b'r' if raw_string(rest).is_some() => (at + raw_string(rest).unwrap_or(1), false),
        b'\'' => (at + character(rest), false),
        b if is_word(b) => (at + until(rest, |b| !is_word(b)), true),
        b':' if rest.starts_with(b"::") => (at + 2, true),
        b if b.is_ascii_whitespace() => (at + 1, false),
        b if b.is_ascii() => (at + 1, true),
        // Letters beyond ASCII stand in comments and strings alone; one in a name is no path.
        _ => (at + until(rest, |b| b.is_ascii()).max(1), false),
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn until(bytes: &[u8], stop: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&b| stop(b)).unwrap_or(bytes.len())
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (2, 1);
    while at < bytes.len() && depth > 0 {
        match &bytes[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// The length of `r"..."` or `r#"..."#`; a byte string's `b` has gone by as a word, or stands
/// before an ordinary string.
fn raw_string(bytes: &[u8]) -> Option<usize> {
    let hashes = until(&bytes[1..], |b| b != b'#');
    if bytes.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let body = 2 + hashes;
    let end = bytes[body..].windows(close.len()).position(|w| w == close);
    Some(end.map_or(bytes.len(), |end| body + end + close.len()))
}

/// The length of a character literal, or 1 for the mark before a lifetime.
fn character(bytes: &[u8]) -> usize {
    match bytes.get(1) {
        Some(b'\\') => {
            (3 + until(bytes.get(3..).unwrap_or(&[]), |b| b == b'\'') + 1).min(bytes.len())
        }
        Some(&b) => {
            let width = match b {
                0..0x80 => 1,
                0x80..0xe0 => 2,
                0xe0..0xf0 => 3,
                _ => 4,
            };
            if bytes.get(1 + width) == Some(&b'\'') { width + 2 } else { 1 }
        }
        None => 1,
    }
}

/// The parts of a file that stand under `#[cfg(test)]`, as ranges of tokens; a file under
/// `#![cfg(test)]` is one such part.
pub(crate) fn test_parts(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(tokens, at, &["#", "!", "["]) {
            return std::iter::once(0..tokens.len()).collect();
        }
        if is_test_attribute(tokens, at, &["#", "["]) {
            let end = item_end(tokens, at);
            parts.push(at..end);
            at = end;
        } else {
            at += 1;
        }
    }
    parts
}

/// `cfg(test)`, or `cfg(all(test, ...))`, behind `opening`.
fn is_test_attribute(tokens: &[Token], at: usize, opening: &[&str]) -> bool {
    let says = |words: &[&str]| {
        let all = opening.iter().chain(words);
        all.enumerate().all(|(i, word)| tokens.get(at + i).is_some_and(|t| t.text == *word))
    };
    says(&["cfg", "(", "test", ")"]) || says(&["cfg", "(", "all", "(", "test"])
}

/// Where the item that begins with an attribute at `at` ends: behind its `;` or its body.
fn item_end(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => {
                depth = depth.saturating_sub(1);
                if depth == 0 && token.text == "}" {
                    return i + 1;
                }
            }
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// A top-level module that some code names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The module; `*` for a glob over the whole crate.
    pub(crate) module: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Every top-level module that the code of the module `home` names by `crate::` (or one of
/// `roots`, for programs) or by climbing with `super::`.
pub(crate) fn named(tokens: &[Token], home: &[String], roots: &[&str]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut open: Vec<Option<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let text = tokens[at].text.as_str();
        let follows = |n: usize| tokens.get(at + n).map_or("", |t| t.text.as_str());
        match text {
            "mod" if follows(2) == "{" => {
                open.push(Some(follows(1).to_owned()));
                at += 2;
            }
            "{" => open.push(None),
            "}" => drop(open.pop()),
            word if word.bytes().all(is_word) && follows(1) == "::" => {
                let inline = open.iter().flatten().cloned();
                let here: Vec<String> = home.iter().cloned().chain(inline).collect();
                at = path(tokens, at, Place { here: &here, roots }, None, &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Where a path stands, and the names of the crate's root beside `crate`.
#[derive(Clone, Copy)]
struct Place<'a> {
    here: &'a [String],
    roots: &'a [&'a str],
}

/// Follows one path, or one tree of a `use`, from `at`; `depth` is that of the module which its
/// first word is looked up in, when that is known. Returns where the path ends.
fn path(
    tokens: &[Token],
    mut at: usize,
    place: Place<'_>,
    mut depth: Option<usize>,
    found: &mut Vec<Named>,
) -> usize {
    let mut first = depth.is_none();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" if !first => return group(tokens, at, place, depth, found),
            "crate" => depth = Some(0),
            root if first && place.roots.contains(&root) => depth = Some(0),
            "super" => depth = Some(depth.unwrap_or(place.here.len()).saturating_sub(1)),
            "self" => depth = Some(depth.unwrap_or(place.here.len())),
            word if word == "*" || word.bytes().all(is_word) => {
                if depth == Some(0) {
                    found.push(Named { module: word.to_owned(), line: token.line });
                }
                // Below the root nothing but `super` matters, which may not follow a name.
                depth = Some(usize::MAX);
            }
            _ => return at.max(1),
        }
        first = false;
        at += 1;
        if tokens.get(at).is_none_or(|t| t.text != "::") {
            return at;
        }
        at += 1;
    }
    at
}

/// The trees between the braces of a `use`.
fn group(
    tokens: &[Token],
    mut at: usize,
    place: Place<'_>,
    depth: Option<usize>,
    found: &mut Vec<Named>,
) -> usize {
    at += 1;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "}" => return at + 1,
            "," => at += 1,
            // The new name of `a as b` is no path.
            "as" => at += 2,
            _ => at = path(tokens, at, place, depth, found).max(at + 1),
        }
    }
    at
}
