//! Policer, stages and whole ways through a worker: `cargo bench --bench pipeline`.
#![allow(missing_docs, unreachable_pub, reason = "modules of a program")]

mod catalogue;
#[path = "catalogue/clock.rs"]
mod clock;

fn main() {
    clock::time(&["police", "stage", "pipeline", "worker"]);
}
