//! Can this machine run this build? One for newer processors dies of an illegal instruction on an
//! older one: better to say so first.

use std::fs;

/// What this build was made for, by the kernel's names.
const NEEDED: &[&str] = &[
    #[cfg(target_feature = "avx2")]
    "avx2",
    #[cfg(target_feature = "bmi2")]
    "bmi2",
    #[cfg(target_feature = "fma")]
    "fma",
    #[cfg(target_feature = "movbe")]
    "movbe",
];

/// Says what the processor lacks, if anything; where the kernel does not tell, nothing.
pub(super) fn complaint() -> Option<String> {
    lacking(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn lacking(cpuinfo: &str) -> Option<String> {
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    let has = |name: &&&str| flags.split_whitespace().any(|flag| flag == **name);
    let lacking: Vec<&str> = NEEDED.iter().filter(|name| !has(name)).copied().collect();
    (!lacking.is_empty()).then(|| {
        format!(
            "this build is for processors with {}, and this one has no {}: build it here with \
             RUSTFLAGS=\"-C target-cpu=native\"",
            NEEDED.join(", "),
            lacking.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_processor_lacks_is_named() {
        let all = format!("processor: 0\nflags\t\t: fpu {} ht\n", NEEDED.join(" "));
        assert_eq!(lacking(&all), None);
        assert_eq!(lacking("no such line"), None);
        let none = lacking("flags : fpu").unwrap_or_default();
        assert!(NEEDED.iter().all(|name| none.contains(name)), "{none}");
        assert_eq!(complaint(), None, "it runs here");
    }
}
