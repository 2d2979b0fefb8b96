#![no_main]

//! All targets in one program, for `scripts/fuzz`: it is linked once. `THRUWAY_TARGET` says which.

libfuzzer_sys::fuzz_target!(|data: &[u8]| thruway_fuzz::chosen()(data));
