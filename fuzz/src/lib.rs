//! What must hold for any bytes: a module a target, each with one function that is given bytes and
//! panics when something does not hold. libFuzzer calls them, and so do the tests of the program,
//! over the committed corpus and over random bytes.

pub mod capture;
pub mod checksums;
pub mod config;
pub mod headers;
mod input;
#[path = "../../tests/support/lab.rs"]
pub mod lab;
pub mod parsers;
pub mod pipeline;
pub mod routes;
pub mod tags;

/// A target's body.
pub type Check = fn(&[u8]);

/// All targets by name.
pub const TARGETS: [(&str, Check); 8] = [
    ("capture", capture::check),
    ("checksums", checksums::check),
    ("config", config::check),
    ("headers", headers::check),
    ("parsers", parsers::check),
    ("pipeline", pipeline::check),
    ("routes", routes::check),
    ("tags", tags::check),
];
