//! How many bytes a frame costs: the layer on which they are counted, super-frames segment by
//! segment.

/// The layer on which a policer counts bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Accounting {
    /// What the medium is busy with: preamble, frame of at least 64 bytes with its check sequence,
    /// gap.
    L1,
    /// The frame with all tags, without its check sequence.
    #[default]
    L2,
    /// The network packet: the IP total length.
    L3,
}

/// Preamble and delimiter (8), frame check sequence (4) and inter-packet gap (12), in bytes
/// (IEEE 802.3 clauses 3.2 and 4.4.2).
const L1_OVERHEAD: u64 = 24;
/// Shortest frame without its check sequence, in bytes (IEEE 802.3 4.4.2).
const MIN_FRAME: u64 = 60;

impl Accounting {
    /// The configuration's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Accounting::L1 => "l1",
            Accounting::L2 => "l2",
            Accounting::L3 => "l3",
        }
    }
}

/// The sizes of one frame, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The frame from its Ethernet header, with all tags, without check sequence.
    pub frame: u32,
    /// The network packet in it: the IPv4 total length, or all that follows the tags.
    pub l3: u32,
    /// What every segment of a super-frame repeats: Ethernet header, tags, IP and transport
    /// header. Not read for an ordinary frame.
    pub headers: u32,
    /// Payload of each segment of a super-frame; 0 for an ordinary frame.
    pub gso_size: u16,
}

impl Size {
    /// An ordinary frame.
    pub const fn plain(frame: u32, l3: u32) -> Self {
        Self { frame, l3, headers: 0, gso_size: 0 }
    }

    /// How many frames this is on the wire: 1, or the segments of a super-frame.
    #[inline]
    pub fn segments(&self) -> u64 {
        match self.gso_size {
            0 => 1,
            size => u64::from(self.payload()).div_ceil(u64::from(size)).max(1),
        }
    }

    /// The bytes that a policer counts for all segments together.
    #[inline]
    pub fn cost(&self, accounting: Accounting) -> u64 {
        let (frame, l3, segments) = (u64::from(self.frame), u64::from(self.l3), self.segments());
        let repeated = segments - 1;
        let headers = u64::from(self.headers);
        match accounting {
            Accounting::L2 => frame + repeated * headers,
            Accounting::L3 => l3 + repeated * headers.saturating_sub(frame.saturating_sub(l3)),
            Accounting::L1 if repeated == 0 => frame.max(MIN_FRAME) + L1_OVERHEAD,
            Accounting::L1 => {
                let full = headers + u64::from(self.gso_size);
                let last =
                    headers + u64::from(self.payload()) - repeated * u64::from(self.gso_size);
                repeated * full.max(MIN_FRAME) + last.max(MIN_FRAME) + segments * L1_OVERHEAD
            }
        }
    }

    fn payload(&self) -> u32 {
        self.frame.saturating_sub(self.headers)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_smallest_frame_takes_84_bytes_of_the_medium() {
        let size = Size::plain(60, 28);
        assert_eq!(size.cost(Accounting::L1), 84);
        assert_eq!(size.cost(Accounting::L2), 60);
        assert_eq!(size.cost(Accounting::L3), 28);
        assert_eq!(Size::plain(42, 28).cost(Accounting::L1), 84);
        assert_eq!(Size::plain(1_514, 1_500).cost(Accounting::L1), 1_538);
    }

    proptest! {
        #[test]
        fn a_super_frame_costs_what_its_segments_cost(
            payload in 0u32..65_000, gso_size in 1u16..9_000, tags in 0u32..3, l4 in 8u32..60,
        ) {
            let headers = 14 + 4 * tags + 20 + l4;
            let l2 = 14 + 4 * tags;
            let whole =
                Size { frame: headers + payload, l3: headers + payload - l2, headers, gso_size };
            let mut rest = payload;
            let mut parts = Vec::new();
            loop {
                let take = rest.min(u32::from(gso_size));
                parts.push(Size::plain(headers + take, headers + take - l2));
                rest -= take;
                if rest == 0 {
                    break;
                }
            }
            prop_assert_eq!(whole.segments(), parts.len() as u64);
            for accounting in [Accounting::L1, Accounting::L2, Accounting::L3] {
                let sum: u64 = parts.iter().map(|part| part.cost(accounting)).sum();
                prop_assert_eq!(whole.cost(accounting), sum);
            }
        }

        #[test]
        fn no_size_makes_the_cost_overflow(
            frame in any::<u32>(), l3 in any::<u32>(), headers in any::<u32>(),
            gso_size in any::<u16>(),
        ) {
            let size = Size { frame, l3, headers, gso_size };
            for accounting in [Accounting::L1, Accounting::L2, Accounting::L3] {
                prop_assert!(size.cost(accounting) < u64::MAX / 2);
            }
        }
    }
}
