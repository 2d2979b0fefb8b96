//! Which machine is this? Read from the kernel, once a run; what cannot be read is left out.

use std::collections::BTreeMap;
use std::fs;

use super::record::Environment;
use super::trial::RealClock;
use crate::io::sys::affinity;

/// The machine as it is now.
pub fn environment(clock: &RealClock) -> Environment {
    let cpu = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let memory = read("/proc/meminfo");
    let kib = field(&memory, "MemTotal").and_then(|text| text.split(' ').next()?.parse().ok());
    Environment {
        cpu: field(&cpu, "model name").unwrap_or_else(|| "unknown".to_owned()),
        cores: affinity::allowed()
            .map_or(0, |cores| u32::try_from(cores.len()).unwrap_or(u32::MAX)),
        tsc_hz: whole(clock.hertz().unwrap_or(0.0)),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        virtualization: field(&cpu, "flags")
            .filter(|flags| flags.split(' ').any(|flag| flag == "hypervisor"))
            .map(|_| known(&["/sys/hypervisor/type", "/sys/class/dmi/id/sys_vendor"])),
        governor: first("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source: first("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        huge_pages: first("/sys/kernel/mm/transparent_hugepage/enabled")
            .as_deref()
            .and_then(chosen),
        memory: kib.map_or(0, |kib: u64| kib * 1024),
        more: more(clock),
    }
}

fn more(clock: &RealClock) -> BTreeMap<String, String> {
    let mut more = BTreeMap::new();
    more.insert("clock".to_owned(), clock.source().to_owned());
    let build = if cfg!(debug_assertions) { "debug: figures mean nothing" } else { "release" };
    more.insert("build".to_owned(), build.to_owned());
    let folder = fs::read_dir("/sys/devices/system/cpu/vulnerabilities").into_iter().flatten();
    let mitigated = folder.flatten().filter_map(|entry| {
        let text = fs::read_to_string(entry.path()).ok()?;
        text.starts_with("Mitigation").then(|| entry.file_name().to_string_lossy().into_owned())
    });
    let mut mitigated: Vec<String> = mitigated.collect();
    mitigated.sort();
    more.insert("mitigations".to_owned(), mitigated.join(", "));
    more
}

/// The first of these files that can be read, or that it is some virtual machine.
fn known(files: &[&str]) -> String {
    files.iter().find_map(|file| first(file)).unwrap_or_else(|| "virtual machine".to_owned())
}

/// The word in brackets of a list of choices.
fn chosen(choices: &str) -> Option<String> {
    Some(choices.split_once('[')?.1.split_once(']')?.0.to_owned())
}

fn first(file: &str) -> Option<String> {
    let text = read(file);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a frequency")]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
