//! Where do figures lie, and how far apart? Figures that are no numbers have no place: they are
//! left out.

/// Place and spread of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    /// How many figures.
    pub len: usize,
    /// The least.
    pub min: f64,
    /// A quarter lies below.
    pub lower_quartile: f64,
    /// Half lies below.
    pub median: f64,
    /// A quarter lies above.
    pub upper_quartile: f64,
    /// The greatest.
    pub max: f64,
    /// The sum over `len`.
    pub mean: f64,
    /// The standard deviation of the population that these are a sample of (n - 1); 0 for one.
    pub deviation: f64,
}

impl Summary {
    /// Of at least one number.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let sorted = sorted(figures);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let len = sorted.len();
        let mean = sorted.iter().sum::<f64>() / len as f64;
        let squares: f64 = sorted.iter().map(|figure| (figure - mean).powi(2)).sum();
        Some(Self {
            len,
            min,
            lower_quartile: percentile(&sorted, 0.25)?,
            median: percentile(&sorted, 0.5)?,
            upper_quartile: percentile(&sorted, 0.75)?,
            max,
            mean,
            deviation: if len > 1 { (squares / (len - 1) as f64).sqrt() } else { 0.0 },
        })
    }

    /// The distance from the least to the greatest, as a share of the median.
    pub fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }

    /// The standard deviation as a share of the mean (coefficient of variation).
    pub fn variation(&self) -> f64 {
        self.deviation / self.mean
    }
}

/// The numbers among these, in order.
pub fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|f| !f.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The figure below which the share `q` of sorted figures lies, between two of them in proportion
/// (Hyndman and Fan 1996, type 7); none of an empty series.
pub fn percentile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = whole(place).min(last);
    let (low, high) = (sorted[below], sorted[(below + 1).min(last)]);
    // Where both are the same, also infinity, nothing is in between.
    Some(if low == high { low } else { low + (high - low) * (place - below as f64) })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of a length, not negative"
)]
fn whole(place: f64) -> usize {
    place as usize
}

/// The middle figure; none of an empty series.
pub fn median(figures: &[f64]) -> Option<f64> {
    percentile(&sorted(figures), 0.5)
}
