//! What may a packet cost? The paths that have a goal, 64 bytes each, QinQ, in random order over
//! all destinations or flows, with every stage at work: policers and flow tables included.

use crate::bench::scenario::{Limits, Mix, Routes, Spec, TO_AZURE, TO_ONPREM, Way};

/// A path and its goal.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What is measured.
    pub spec: Spec,
    /// Which way.
    pub lane: usize,
    /// Which flows.
    pub mix: Mix,
    /// Ticks a packet, hot and cold, that it should not exceed, where there is a goal.
    pub goal: Option<(f64, f64)>,
}

/// Routes of a full table.
const FULL_TABLE: u32 = 1_000_000;
/// About a million sessions: 16,384 hosts of 63.
const MILLION: u64 = 1_032_192;

/// Every row, the cheapest tables first.
pub fn rows(seed: u64) -> Vec<Row> {
    let spec = |way| Spec { limits: Limits::Ample, seed, ..Spec::new(way) };
    let row = |name, spec, lane, goal| Row { name, spec, lane, mix: Mix::Known, goal };
    let full = |way, flows| Spec { routes: Routes::internet(seed, FULL_TABLE), flows, ..spec(way) };
    let nat = |way, flows| Spec { flows, ..spec(way) };
    let vms = spec(Way::FastPath);
    let table = full(Way::FastPath, u64::from(FULL_TABLE));
    vec![
        row("provider push", spec(Way::Provider), TO_AZURE, None),
        row("provider pop", spec(Way::Provider), TO_ONPREM, None),
        row("fastpath 10 k VMs", vms.clone(), TO_AZURE, Some((45.0, 62.0))),
        row("fastpath 10 k VMs, answers", vms.clone(), TO_ONPREM, None),
        row("fastpath 10 k VMs, 50 rules", Spec { rules: 50, ..vms }, TO_AZURE, Some((80.0, 97.0))),
        row("fastpath 1 M routes", table.clone(), TO_AZURE, Some((55.0, 70.0))),
        row("fastpath 1 M routes, answers", table, TO_ONPREM, None),
        row(
            "gateway 1 M routes, 100 k flows",
            full(Way::Gateway, 100_000),
            TO_AZURE,
            Some((85.0, 108.0)),
        ),
        row("nat in2out 64 k", nat(Way::Nat, 64_512), TO_AZURE, Some((75.0, 95.0))),
        row("nat out2in 64 k", nat(Way::Nat, 64_512), TO_ONPREM, Some((75.0, 95.0))),
        row("nat in2out 1 M", nat(Way::Nat, MILLION), TO_AZURE, Some((95.0, 115.0))),
        row("nat out2in 1 M", nat(Way::Nat, MILLION), TO_ONPREM, Some((95.0, 115.0))),
        Row {
            mix: Mix::New,
            ..row(
                "nat in2out new",
                Spec { new_flows: MILLION, ..nat(Way::Nat, 63) },
                TO_AZURE,
                None,
            )
        },
        row("microsoft in2out 64 k", nat(Way::Microsoft, 64_512), TO_AZURE, None),
        row("microsoft out2in 64 k", nat(Way::Microsoft, 64_512), TO_ONPREM, None),
        row("nat in2out 10 M", nat(Way::Nat, 10_000_000), TO_AZURE, Some((125.0, 150.0))),
        row("nat out2in 10 M", nat(Way::Nat, 10_000_000), TO_ONPREM, Some((125.0, 150.0))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::Scenario;

    #[test]
    fn every_row_can_be_had_and_has_a_name_of_its_own() {
        let rows = rows(1);
        let names: std::collections::HashSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for row in rows {
            Scenario::new(row.spec).unwrap();
        }
    }
}
