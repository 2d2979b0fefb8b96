#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| thruway_fuzz::parse_l2l4::check(data));
