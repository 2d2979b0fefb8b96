//! Which machines were measured, and by which commands?

use maud::{Markup, html};

use crate::bench::record::{Environment, Record};

/// A machine with the version of the program that ran on it.
pub(super) struct Machine<'a> {
    environment: &'a Environment,
    version: &'a str,
}

/// Every machine of the records once, in their order.
pub(super) fn distinct(records: &[Record]) -> Vec<Machine<'_>> {
    let mut machines: Vec<Machine> = Vec::new();
    for Record { environment, version, .. } in records {
        let is_known =
            |own: &Machine| own.version == version && is_same(own.environment, environment);
        if !machines.iter().any(is_known) {
            machines.push(Machine { environment, version });
        }
    }
    machines
}

/// Whether two descriptions are of one machine: each run measures the counter's rate anew, to within
/// some parts in a million.
fn is_same(a: &Environment, b: &Environment) -> bool {
    let near = a.tsc_hz.abs_diff(b.tsc_hz) <= a.tsc_hz / 1000;
    near && Environment { tsc_hz: b.tsc_hz, ..a.clone() } == *b
}

/// A machine in a line.
pub(super) fn line(machine: Machine) -> String {
    let Machine { environment, version } = machine;
    let cores = if environment.cores == 1 { "core" } else { "cores" };
    let mut parts = vec![
        environment.cpu.clone(),
        format!("{} {cores}", environment.cores),
        gibibytes(environment.memory),
        environment.virtualization.clone().unwrap_or_else(|| "no hypervisor".to_owned()),
        format!("Linux {}", environment.kernel),
        format!("thruway {version}"),
    ];
    parts.retain(|part| !part.is_empty());
    parts.join(" · ")
}

fn gibibytes(bytes: u64) -> String {
    if bytes == 0 {
        return String::new();
    }
    format!("{:.1}\u{a0}GiB", bytes as f64 / f64::from(1 << 30))
}

/// The table of all machines, one a column.
pub(super) fn environment(records: &[Record]) -> Markup {
    let machines = distinct(records);
    let mut names: Vec<&str> = Vec::new();
    let rows: Vec<Vec<(&str, String)>> = machines.iter().map(facts).collect();
    for (name, _) in rows.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let value = |machine: &[(&str, String)], wanted: &str| {
        let found = machine.iter().find(|(name, _)| *name == wanted);
        found.map_or_else(|| "–".to_owned(), |(_, value)| value.clone())
    };
    html! {
        section.environment {
            h2 { "Environment" }
            table.data.last-text {
                tbody {
                    @for name in names {
                        tr {
                            th scope="row" { (name) }
                            @for machine in &rows { td { (value(machine, name)) } }
                        }
                    }
                }
            }
            (runs(records))
        }
    }
}

/// Every command once, with what repeats it.
fn runs(records: &[Record]) -> Markup {
    let mut runs: Vec<&Record> = Vec::new();
    for record in records {
        if !runs.iter().any(|run| run.run_id == record.run_id && run.command == record.command) {
            runs.push(record);
        }
    }
    html! {
        h3 { "Commands" }
        dl.how {
            @for run in runs {
                dt { (run.started) }
                dd { code { (command(&run.command)) } " (run " (run.run_id) ", seed " (run.seed) ")" }
            }
        }
    }
}

fn facts<'a>(machine: &Machine<'a>) -> Vec<(&'a str, String)> {
    let Machine { environment, version } = machine;
    let absent = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let mut facts = vec![
        ("processor", environment.cpu.clone()),
        ("cores", environment.cores.to_string()),
        ("time stamp counter", format!("{:.3}\u{a0}GHz", environment.tsc_hz as f64 / 1e9)),
        ("memory", gibibytes(environment.memory)),
        ("hypervisor", absent(&environment.virtualization)),
        ("kernel", environment.kernel.clone()),
        ("frequency governor", absent(&environment.governor)),
        ("clock source", absent(&environment.clock_source)),
        ("transparent huge pages", absent(&environment.huge_pages)),
        ("thruway", (*version).to_owned()),
    ];
    facts.extend(environment.more.iter().map(|(name, value)| (&**name, value.clone())));
    facts
}

/// The words of a command as one types them.
pub(super) fn command(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+%@".contains(c);
    let quoted = words.iter().map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::example;

    #[test]
    fn a_machine_whose_counter_was_measured_again_is_the_same() {
        let records = example::records();
        let of = |records: &[Record]| distinct(records).len();
        let before = of(&records[..1]);
        let mut twice = vec![records[0].clone(), records[0].clone()];
        twice[1].environment.tsc_hz += 500;
        assert_eq!(of(&twice), before);
        twice[1].environment.tsc_hz += twice[0].environment.tsc_hz / 10;
        assert_eq!(of(&twice), before + 1);
        twice[1] = Record { version: "other".to_owned(), ..records[0].clone() };
        assert_eq!(of(&twice), before + 1);
    }
}
