//! The commands as a user types them, where they need no network.

use std::path::Path;
use std::process::{Command, Output};

fn thruway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thruway"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the program was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Errors are wrapped to the terminal's width: one line again.
fn error(output: &Output) -> String {
    let text = text(&output.stderr);
    text.split(|c: char| c.is_whitespace() || c == '│').filter(|word| !word.is_empty()).fold(
        String::new(),
        |line, word| if line.is_empty() { word.to_owned() } else { line + " " + word },
    )
}

#[test]
fn the_example_files_are_right_for_every_role() {
    let both = ["all", "provider", "microsoft"];
    for (file, roles) in [("lab.toml", &both[..1]), ("two-processes.toml", &both[1..])] {
        for role in roles {
            let path = format!("docs/examples/{file}");
            let output = thruway(&["check", &path, "--role", role]);
            assert!(output.status.success(), "{file} as {role}: {}", text(&output.stderr));
            assert!(text(&output.stdout).contains("is right"), "{}", text(&output.stdout));
        }
    }
}

#[test]
fn a_file_with_mistakes_is_refused_with_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bad.toml");
    let good = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/lab.toml"),
    )
    .unwrap();
    let bad = good
        .replace("sku = \"ErGw3AZ\"", "sku = \"ErGw9\"")
        .replace("vlan             = 200", "vlan             = 5000");
    assert_ne!(good, bad);
    std::fs::write(&path, bad).unwrap();
    let output = thruway(&["check", path.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    for words in ["2 errors", "`vlan` is 5000", "`vlan` is 1 to 4094", "ErGw9", "ErGwScale"] {
        assert!(error.contains(words), "no `{words}` in: {error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = thruway(&["run", "no-such-file.toml"]);
    assert!(!output.status.success());
    assert!(error(&output).contains("cannot read no-such-file.toml"), "{}", error(&output));
}

#[test]
fn show_says_how_to_get_something_to_show() {
    let output = thruway(&["show", "status", "--socket", "/nonexistent/thruway.sock"]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("cannot reach thruway at /nonexistent/thruway.sock"), "{error}");
    assert!(error.contains("thruway run FILE"), "{error}");
}

#[test]
fn run_refuses_an_interface_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ports.toml");
    let config = "[[port]]\nname = \"a\"\npacket = \"tw-none0\"\n\
        [vnet.v]\nregion = \"West Europe\"\naddress_space = [\"10.0.0.0/16\"]\n\
        subnets = { s = { prefix = \"10.0.1.0/24\", port = \"a\" } }\n";
    std::fs::write(&path, config).unwrap();
    let api = folder.path().join("api.sock");
    let output = thruway(&["run", path.to_str().unwrap(), "--api", api.to_str().unwrap()]);
    assert!(!output.status.success());
    let error = error(&output);
    assert!(error.contains("port a"), "{error}");
    assert!(!api.exists(), "a socket was left behind");
}
