//! NAT44 at the provider edge: `cargo bench --bench nat`.
#![allow(missing_docs, unreachable_pub, reason = "modules of a program")]

mod catalogue;
#[path = "catalogue/clock.rs"]
mod clock;

fn main() {
    clock::time(&["nat"]);
}
