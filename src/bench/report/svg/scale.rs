//! Where on an axis does a value stand, and where do its ticks?

/// How values are spread over an axis.
#[derive(Clone, Debug)]
pub(in super::super) enum Scale {
    /// Evenly.
    Linear { low: f64, high: f64 },
    /// By their logarithm; `low` is above 0.
    Log { low: f64, high: f64 },
    /// Shares of samples by the logarithm of 1/(1-q): each nine takes the same room.
    Nines { last: f64 },
    /// Ratios: 0 at the end, and from `least` to 1 by their logarithm.
    Loss { least: f64 },
    /// Evenly spread places with names, the first one at the top or left.
    Names(Vec<String>),
    /// Places from 1 to this many.
    Order(usize),
}

/// A tick: where, and whether it is one that is worth a label when room is short.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) struct Tick {
    pub(in super::super) value: f64,
    pub(in super::super) major: bool,
}

/// Room that the zero of a [`Scale::Loss`] takes.
const ZERO: f64 = 0.2;

impl Scale {
    /// From 0 to a little above the largest value.
    pub(in super::super) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let high = values.into_iter().filter(|v| v.is_finite()).fold(0.0, f64::max);
        Self::Linear { low: 0.0, high: if high > 0.0 { high * 1.06 } else { 1.0 } }
    }

    /// Around the values, with some room at both ends.
    pub(in super::super) fn around(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = limits(values);
        let room = if high > low { (high - low) * 0.08 } else { high.abs().max(1.0) * 0.05 };
        Self::Linear { low: low - room, high: high + room }
    }

    /// By the logarithm, around those values that have one.
    pub(in super::super) fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = limits(values.into_iter().filter(|value| *value > 0.0));
        let (low, high) = if low > 0.0 { (low, high) } else { (1.0, 10.0) };
        let room = (high / low).powf(0.06).max(1.08);
        Self::Log { low: low / room, high: high * room }
    }

    /// Evenly, or by the logarithm where the largest value is more than `span` times the least.
    pub(in super::super) fn fitting(values: &[f64], span: f64) -> Self {
        let (low, high) = limits(values.iter().copied());
        let log = low > 0.0 && high / low > span;
        if log {
            Self::log(values.iter().copied())
        } else {
            Self::from_zero(values.iter().copied())
        }
    }

    /// Where a value stands, from 0 at the begin to 1 at the end of the axis; beyond it for values
    /// that have no place on it.
    pub(in super::super) fn place(&self, value: f64) -> f64 {
        match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => (value / low).ln() / (high / low).ln(),
            Self::Nines { last } => (1.0 - value.min(*last)).ln() / (1.0 - last).ln(),
            Self::Loss { least } if value < *least => {
                if value > 0.0 {
                    ZERO * 0.75
                } else {
                    ZERO * 0.25
                }
            }
            Self::Loss { least } => ZERO + (1.0 - ZERO) * (1.0 - value.min(1.0).ln() / least.ln()),
            Self::Names(names) => (value + 0.5) / names.len().max(1) as f64,
            Self::Order(len) => (value - 0.4) / ((*len).max(2) as f64 + 0.2),
        }
    }

    /// Whether a value stands on the axis.
    pub(in super::super) fn holds(&self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.place(value))
    }

    /// Ticks at round values, about as many as are wanted.
    pub(in super::super) fn ticks(&self, wanted: usize) -> Vec<Tick> {
        let values = match self {
            Self::Linear { low, high } => linear(*low, *high, wanted),
            Self::Log { low, high } => return log(*low, *high, wanted),
            Self::Nines { last } => {
                let nines = (1..12).map(|nines| 1.0 - 0.1_f64.powi(nines));
                [0.0, 0.5].into_iter().chain(nines).filter(|share| share <= last).collect()
            }
            Self::Loss { least } => {
                let decades = (0..16).map(|decade| 0.1_f64.powi(decade));
                let every = 1 + decades.clone().filter(|r| r >= least).count() / wanted.max(1);
                let shown = decades.filter(|ratio| *ratio >= least * 0.99).step_by(every);
                [0.0].into_iter().chain(shown).collect()
            }
            Self::Order(len) => {
                let ticks = linear(1.0, (*len).max(2) as f64, wanted).into_iter();
                ticks.filter(|value| value.fract() == 0.0).collect()
            }
            Self::Names(names) => (0..names.len()).map(|index| index as f64).collect(),
        };
        values.into_iter().map(|value| Tick { value, major: true }).collect()
    }
}

fn limits(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite
        .fold(None, |limits: Option<(f64, f64)>, value| {
            let (low, high) = limits.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        })
        .unwrap_or((0.0, 1.0))
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear(low: f64, high: f64, wanted: usize) -> Vec<f64> {
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let fits = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= rough * 0.999);
    let step = fits.unwrap_or(10.0) * power;
    let first = (low / step).ceil();
    // Multiples of the step rather than sums of it: 0.30000000000000004 is no round value.
    (0..100)
        .map(|n| (first + f64::from(n)) * step)
        .take_while(|value| *value <= high + step * 1e-9)
        .map(|value| if value == 0.0 { 0.0 } else { value })
        .collect()
}

/// Powers of ten; with less than two of them, also twice and five times these.
fn log(low: f64, high: f64, wanted: usize) -> Vec<Tick> {
    let decades = (high / low).log10();
    let parts: &[f64] = if decades < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = if decades.ceil() > wanted.max(1) as f64 { 2 } else { 1 };
    let mut ticks = Vec::new();
    let mut exponent = low.log10().floor();
    let mut count = 0;
    while exponent <= high.log10() {
        for part in parts {
            let value = part * 10_f64.powf(exponent);
            if value >= low * 0.999 && value <= high * 1.001 {
                ticks.push(Tick { value, major: count % every == 0 });
            }
        }
        count += 1;
        exponent += 1.0;
    }
    ticks
}
