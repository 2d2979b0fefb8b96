//! What does an axis say? Its title, the unit, and a label at each tick.

use super::scale::{Scale, Tick};

/// What the values of an axis are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Of {
    /// A plain number of these: `pps`, `ticks`; with a prefix where it is large.
    Count(&'static str),
    /// Nanoseconds.
    Time,
    /// A share, shown in percent.
    Share,
    /// A quotient: ×1.02.
    Times,
}

/// An axis.
#[derive(Clone, Debug)]
pub(in super::super) struct Axis {
    pub(in super::super) title: String,
    pub(in super::super) of: Of,
    pub(in super::super) scale: Scale,
    /// Ticks at these places, in place of round ones.
    own: Vec<(f64, String)>,
}

impl Axis {
    pub(in super::super) fn new(title: &str, of: Of, scale: Scale) -> Self {
        Self { title: title.to_owned(), of, scale, own: Vec::new() }
    }

    /// With ticks at these places and no others.
    pub(in super::super) fn with_ticks(self, own: Vec<(f64, String)>) -> Self {
        Self { own, ..self }
    }

    /// The title with the unit that all its labels share.
    pub(super) fn heading(&self) -> String {
        let unit = match (self.of, &self.scale) {
            (_, Scale::Names(_) | Scale::Order(_)) | (Of::Times | Of::Share, _) => String::new(),
            (Of::Count(unit), Scale::Linear { high, .. }) => {
                format!("{}{unit}", common(*high, unit).1)
            }
            (Of::Count(unit), _) => unit.to_owned(),
            (Of::Time, Scale::Linear { high, .. }) => time(*high).1.to_owned(),
            (Of::Time, _) => String::new(),
        };
        match (self.title.is_empty(), unit.is_empty()) {
            (true, _) => unit,
            (false, true) => self.title.clone(),
            (false, false) => format!("{}, {unit}", self.title),
        }
    }

    /// Ticks with their labels; those without room for one have none.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(Tick, String)> {
        if !self.own.is_empty() {
            let tick = |value: f64| Tick { value, major: true };
            return self.own.iter().map(|(value, label)| (tick(*value), label.clone())).collect();
        }
        let ticks = self.scale.ticks(wanted);
        let step = ticks.windows(2).map(|two| two[1].value - two[0].value).fold(f64::MAX, f64::min);
        let label = |tick: &Tick| {
            if tick.major { self.label(tick.value, step) } else { String::new() }
        };
        ticks.iter().map(|tick| (tick.clone(), label(tick))).collect()
    }

    fn label(&self, value: f64, step: f64) -> String {
        match (&self.scale, self.of) {
            (Scale::Names(names), _) => {
                let name = names.iter().enumerate().find(|(index, _)| *index as f64 == value);
                name.map(|(_, name)| name.clone()).unwrap_or_default()
            }
            (Scale::Nines { .. }, _) => percent(value),
            (_, Of::Share) => percent(value),
            (Scale::Order(_), _) => format!("{value}"),
            (_, Of::Times) => format!("×{value:.digits$}", digits = digits(step)),
            (Scale::Linear { high, .. }, of) => {
                let unit = match of {
                    Of::Count(unit) => common(*high, unit).0,
                    _ => time(*high).0,
                };
                format!("{:.digits$}", value / unit, digits = digits(step / unit))
            }
            (_, Of::Time) => {
                let (unit, name) = time(value);
                format!("{} {name}", short(value / unit))
            }
            (_, Of::Count(_)) => {
                let (unit, name) = prefix(value);
                let gap = if name.is_empty() { "" } else { " " };
                format!("{}{gap}{name}", short(value / unit))
            }
        }
    }
}

/// Digits behind the point that steps of this size need.
fn digits(step: f64) -> usize {
    (0..6)
        .find(|digits| step * 10_f64.powi(*digits) >= 0.999)
        .map_or(6, |d| d.unsigned_abs() as usize)
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `99.99 %`, with as many digits as the nines need.
pub(in super::super) fn percent(share: f64) -> String {
    let text = format!("{:.6}", share * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// The prefix of a whole axis; plain counts have none that would hide what is counted.
fn common(high: f64, unit: &str) -> (f64, &'static str) {
    if unit.is_empty() && high < 1e5 { (1.0, "") } else { prefix(high) }
}

fn prefix(value: f64) -> (f64, &'static str) {
    match value.abs() {
        v if v >= 0.999e9 => (1e9, "G"),
        v if v >= 0.999e6 => (1e6, "M"),
        v if v >= 0.999e3 => (1e3, "k"),
        _ => (1.0, ""),
    }
}

/// The unit that suits so many nanoseconds.
fn time(ns: f64) -> (f64, &'static str) {
    match ns.abs() {
        v if v >= 0.999e9 => (1e9, "s"),
        v if v >= 0.999e6 => (1e6, "ms"),
        v if v >= 0.999e3 => (1e3, "µs"),
        _ => (1.0, "ns"),
    }
}
