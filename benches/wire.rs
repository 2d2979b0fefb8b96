//! Reading and writing headers: `cargo bench --bench wire`.
#![allow(missing_docs, unreachable_pub, reason = "modules of a program")]

mod catalogue;
#[path = "catalogue/clock.rs"]
mod clock;

fn main() {
    clock::time(&["wire"]);
}
