#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thruway_fuzz::policer_model::check(data));
