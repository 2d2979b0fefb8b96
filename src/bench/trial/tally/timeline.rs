//! How did a run go over time? Frames and their latency in slices of equal width.

/// The most slices: a finer width than this allows is widened.
pub const MOST: u64 = 1 << 20;

/// One slice of time. All but `arrived` go by the time that frames were due, so that a frame is
/// sent and received in the same slice however long it was under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    /// Frames that left.
    pub offered: u64,
    /// Of those, frames that arrived, each once.
    pub received: u64,
    /// Sum of their latencies from due time, in nanoseconds.
    pub latency_sum_ns: u64,
    /// The longest of them.
    pub latency_max_ns: u64,
    /// Frames that arrived within the slice, each once, whenever they were due.
    pub arrived: u64,
}

impl Slice {
    /// Mean latency from due time in nanoseconds; `None` when nothing arrived.
    pub fn latency_mean_ns(&self) -> Option<f64> {
        let mean = super::spread::float(self.latency_sum_ns) / super::spread::float(self.received);
        (self.received > 0).then_some(mean)
    }
}

/// Slices from a begin on; frames due before it are left out.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    begin_ns: u64,
    /// 0 when no timeline is kept.
    width_ns: u64,
    slices: Vec<Slice>,
}

impl Timeline {
    /// Slices of `width_ns` from `begin_ns` to `end_ns`; none when the width is 0.
    pub fn new(begin_ns: u64, end_ns: u64, width_ns: u64) -> Self {
        if width_ns == 0 {
            return Self::default();
        }
        let length = end_ns.saturating_sub(begin_ns);
        let width_ns = width_ns.max(length.div_ceil(MOST));
        let len = usize::try_from(length.div_ceil(width_ns)).expect("at most 2^20");
        Self { begin_ns, width_ns, slices: vec![Slice::default(); len] }
    }

    /// Width of a slice in nanoseconds.
    pub const fn width_ns(&self) -> u64 {
        self.width_ns
    }

    /// The slices in order.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    #[inline]
    pub(super) fn sent(&mut self, due_ns: u64) {
        if let Some(slice) = self.at(due_ns) {
            slice.offered += 1;
        }
    }

    #[inline]
    pub(super) fn received(&mut self, due_ns: u64, rx_ns: u64) {
        if let Some(slice) = self.at(due_ns) {
            let latency = rx_ns.saturating_sub(due_ns);
            slice.received += 1;
            slice.latency_sum_ns += latency;
            slice.latency_max_ns = slice.latency_max_ns.max(latency);
        }
        if let Some(slice) = self.at(rx_ns) {
            slice.arrived += 1;
        }
    }

    #[inline]
    fn at(&mut self, nanos: u64) -> Option<&mut Slice> {
        if self.width_ns == 0 {
            return None;
        }
        let index = nanos.checked_sub(self.begin_ns)? / self.width_ns;
        self.slices.get_mut(usize::try_from(index).ok()?)
    }
}
