//! Any text is a configuration or has errors in words; what is accepted can be compiled or
//! is refused in words.

use thruway::{compile, config};

/// Longer texts only cost time.
const MOST: usize = 16 << 10;

/// Reads a text as a configuration.
///
/// # Panics
/// When reading or compiling does.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(&data[..data.len().min(MOST)]) else { return };
    match config::parse("fuzz.toml", text) {
        Ok(loaded) => {
            if let Err(refused) = compile::compile(&loaded.model, 1) {
                assert!(!refused.to_string().is_empty());
            }
        }
        Err(report) => assert!(!report.to_string().is_empty()),
    }
}
