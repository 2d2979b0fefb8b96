//! Do the documents say what the program does? Those that can be made from the code are, and are
//! compared here; `UPDATE_DOCS=1 cargo test --test docs` writes them anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use thruway::frame::DropReason;

/// The stages in the order in which a packet meets them.
const STAGES: &[&str] = &[
    "validate",
    "classify",
    "punt",
    "steer",
    "nat44",
    "police",
    "source_check",
    "nsg",
    "lookup",
    "answer",
    "gateway",
    "egress",
    "fragment",
    "rewrite",
];

/// What makes sure that a command works: a file and the words in it that run the command; where
/// nothing does yet, the reason.
type Proof = Result<(&'static str, &'static str), &'static str>;

/// How each command of the README begins.
const COMMANDS: &[(&str, Proof)] = &[
    ("scripts/check", Ok((".ci/run", "exec scripts/check"))),
    ("cargo run --release -- demo", Ok(("tests/demo.rs", "--json"))),
    ("thruway check", Ok(("tests/cli.rs", "\"check\""))),
    ("thruway run", Ok(("tests/netns/fixture.rs", "\"run\""))),
    ("thruway show", Ok(("tests/cli.rs", "\"show\", \"status\""))),
    ("thruway bench", Ok(("tests/netns/questions.rs", "\"compare\""))),
    ("thruway replay", Ok(("tests/cli.rs", "\"replay\""))),
    ("thruway fuzz-traffic", Ok(("tests/netns/hostile.rs", "\"fuzz-traffic\""))),
    ("thruway dissect", Ok(("tests/cli/dissect.rs", "\"dissect\""))),
];

fn root() -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo names the root"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The files of a folder with this ending, by name without it, in order; none without the folder.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect();
    names.sort();
    names
}

/// Whether documents are written anew; what other tests read may not be there yet.
fn updating() -> bool {
    std::env::var_os("UPDATE_DOCS").is_some()
}

/// Compares a document with what the code says, or writes it.
fn expect_current(name: &str, text: &str) {
    let path = root().join(name);
    if updating() {
        fs::write(&path, text).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    if let Some(line) = first_difference(&found, text) {
        panic!("{name}:{line} is stale: UPDATE_DOCS=1 cargo test --test docs writes it anew");
    }
}

/// The first line, counted from 1, in which two texts differ.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

/// The `//!` head of a source file as Markdown; links into the code become plain names.
fn head(name: &str) -> String {
    let path = root().join(name);
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let mut head = String::new();
    for line in lines {
        let line = line.strip_prefix(' ').unwrap_or(line);
        head += &line.replace("[`", "`").replace("`]", "`");
        head.push('\n');
    }
    head
}

/// The names in backticks behind `**Ends**` in the head of a stage.
fn ends(head: &str) -> Vec<String> {
    let Some((_, ends)) = head.split_once("**Ends**") else { return Vec::new() };
    ends.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The heads of all stages, by name.
fn stage_heads() -> BTreeMap<String, String> {
    let names = files("src/stage", ".rs").into_iter();
    let heads = names.map(|name| (head(&format!("src/stage/{name}.rs")), name));
    heads.filter(|(head, _)| head.contains("**Reads**")).map(|(head, name)| (name, head)).collect()
}

#[test]
fn every_drop_reason_is_explained() {
    let heads = stage_heads();
    let mut page = "# Drop reasons\n\n\
        Every packet that ends without leaving ends with one of these names; each has a counter\n\
        (`thruway show drops`).\n\n\
        | name | meaning | stages |\n|---|---|---|\n"
        .to_owned();
    for reason in DropReason::ALL {
        let at = |stage: &&&str| {
            heads.get(**stage).is_some_and(|head| ends(head).iter().any(|e| e == reason.name()))
        };
        let stages: Vec<&str> = STAGES.iter().filter(at).copied().collect();
        let stages = if stages.is_empty() { "-".to_owned() } else { stages.join(", ") };
        // Line breaks of the source are no line breaks of the table.
        let meaning = reason.doc().split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(page, "| `{}` | {meaning} | {stages} |", reason.name()).expect("a string grows");
    }
    page += "\nA dash: ports, rings and workers drop it, or more than one stage by common code.\n\
        \nFrames that the kernel dropped before thruway could receive them have no name here and are \
        in no sum:\nthose of a TAP whose queue was full or had no carrier, and of a packet or xdp port whose \
        ring was full.\n`thruway show ports` tells their number as `medium drops`. Frames that end inside \
        their outer tag (under\n20 bytes) the kernel gives to no packet port, and counts nowhere.\n";
    expect_current("docs/drops.md", &page);
}

#[test]
fn the_pipeline_page_is_current() {
    let heads = stage_heads();
    let mut page = "# The pipeline\n\nMade from the heads of the source files.\n\n".to_owned();
    page += &head("src/pipeline.rs");
    page += "\n";
    page += &head("src/stage/mod.rs");
    for stage in STAGES {
        if let Some(head) = heads.get(*stage) {
            write!(page, "\n## {stage}\n\n{head}").expect("a string grows");
        }
    }
    expect_current("docs/pipeline.md", &page);
}

#[test]
fn the_list_of_stages_is_complete() {
    for name in stage_heads().keys() {
        assert!(STAGES.contains(&name.as_str()), "src/stage/{name}.rs is not in STAGES");
    }
}

#[test]
fn stages_end_packets_by_names_that_exist() {
    for (stage, head) in stage_heads() {
        for name in ends(&head) {
            let known = DropReason::ALL.iter().any(|reason| reason.name() == name);
            assert!(known, "src/stage/{stage}.rs ends packets with `{name}`: no such drop reason");
        }
    }
}

#[test]
fn stages_tell_by_which_names_they_end_packets() {
    let mut untold = BTreeSet::new();
    for (stage, head) in stage_heads() {
        let text = read(&format!("src/stage/{stage}.rs"));
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for rest in code.split("DropReason::").skip(1) {
            let variant = rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
            let reason = DropReason::ALL.iter().find(|reason| format!("{reason:?}") == variant);
            let Some(reason) = reason else { continue };
            let told = ends(&head).iter().any(|name| name == reason.name());
            if !told {
                untold.insert(format!("src/stage/{stage}.rs: `{reason}` is missing at **Ends**"));
            }
        }
    }
    assert!(untold.is_empty(), "\n{}\n", Vec::from_iter(untold).join("\n"));
}

#[test]
fn decisions_have_one_form_and_an_index() {
    const PARTS: [&str; 5] =
        ["## Context", "## Options", "## Decision", "## Consequences", "## How we would know"];
    let mut index = "# Decisions\n\n\
        One page each: what asked for a decision, what there was to choose from, what was chosen, \
        what\nfollows, and what would show that it was wrong. A decision that no longer holds \
        stays and names the\none that replaced it.\n\n"
        .to_owned();
    for name in files("docs/adr", ".md") {
        if name == "README" {
            continue;
        }
        let text = read(&format!("docs/adr/{name}.md"));
        let title = text.lines().next().and_then(|line| line.strip_prefix("# "));
        let title = title.unwrap_or_else(|| panic!("docs/adr/{name}.md begins with `# title`"));
        for part in PARTS {
            assert!(text.contains(part), "docs/adr/{name}.md has no `{part}`");
        }
        writeln!(index, "- [{title}]({name}.md)").expect("a string grows");
    }
    expect_current("docs/adr/README.md", &index);
}

/// The lines of a document's command blocks that call the program, cargo or a script.
fn commands(text: &str) -> Vec<&str> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            let line = line.trim().trim_start_matches("sudo ").trim_start_matches("$ ");
            let first = line.split(' ').next().unwrap_or_default();
            if ["cargo", "thruway"].contains(&first) || first.starts_with("scripts/") {
                commands.push(line);
            }
        }
    }
    commands
}

#[test]
fn every_command_of_the_readme_is_known() {
    let readme = read("README.md");
    let commands = commands(&readme);
    assert!(!commands.is_empty(), "the README has no commands");
    for command in &commands {
        let known = COMMANDS.iter().any(|(start, _)| command.starts_with(start));
        assert!(known, "README.md: `{command}` is not in COMMANDS of tests/docs.rs");
    }
    for (start, proof) in COMMANDS {
        assert!(commands.iter().any(|c| c.starts_with(start)), "README.md has no `{start}`");
        match proof {
            Ok((file, words)) => assert!(read(file).contains(words), "{file}: no `{words}`"),
            Err(why) => assert!(!why.is_empty(), "`{start}`: say why nothing runs it"),
        }
    }
}

#[test]
fn every_field_of_dissect_is_explained() {
    let page = read("docs/dissect.md");
    for (name, meaning) in thruway::dissect::FIELDS {
        let row = format!("| `{name}` | {meaning} |");
        assert!(page.contains(&row), "docs/dissect.md has no row `{row}`");
    }
}

/// The targets of a document's links that are files of the package.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.filter_map(|target| target.split('#').next()).collect()
}

#[test]
fn links_lead_somewhere() {
    if updating() {
        return;
    }
    for folder in ["", "docs", "docs/adr"] {
        for name in files(folder, ".md") {
            let name = Path::new(folder).join(format!("{name}.md"));
            let text = read(&name.to_string_lossy());
            for link in links(&text) {
                let found = root().join(folder).join(link).exists();
                assert!(found, "{}: no file `{link}`", name.display());
            }
        }
    }
}

#[test]
fn the_helpers_of_these_tests_find_what_they_look_for() {
    assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
    assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
    assert_eq!(first_difference("a\n", "a\nc\n"), Some(2));
    assert_eq!(ends("- **Reads** `x`.\n- **Ends** `a`,\n  `b`; holds."), ["a", "b"]);
    assert_eq!(
        commands("cargo no\n```sh\n$ cargo a\nb\nsudo thruway c\n```\nthruway no"),
        ["cargo a", "thruway c"]
    );
    assert_eq!(links("[a](b.md#c) [d](https://e) [f](#g) [h](i/)"), ["b.md", "i/"]);
}
