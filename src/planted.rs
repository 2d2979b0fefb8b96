//! Does a fuzzer find this? Bugs on purpose, one at a time, for `scripts/fuzz planted`.
//!
//! They exist under `--cfg planted` alone, which nothing but that script sets: everywhere else
//! [`planted`] is the constant `false` and the compiler takes the bug out. Under it the environment
//! variable `THRUWAY_PLANTED` names the one that is active.

/// A bug that may be planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Layer 4 begins a byte late behind IPv4 options.
    HeaderLength,
    /// A UDP checksum that comes out as zero is written as zero, which says that there is none.
    UdpZero,
    /// NAT gives out a port that another host's mapping holds.
    PortTwice,
    /// A new default route is not written to the table.
    DefaultRoute,
    /// Popping two tags takes three off where there are three.
    DoublePop,
    /// A second fragment may reach over TCP's flags.
    FragmentOverlap,
    /// A security group's flow stays allowed when the rules change.
    StaleEpoch,
    /// A frame that finds the ring to its owner full is lost without a count.
    FullRing,
    /// The cost of a packet wraps in the policer.
    PolicerWrap,
    /// A quoted header is read where the quote ends.
    QuotePastEnd,
    /// A security group's port range ends one port early.
    RangeEnd,
    /// An odd last byte counts as the low half of its word in a checksum.
    OddByte,
    /// A session that ended is found again by its next packet.
    DeadSession,
}

impl Bug {
    /// All of them.
    pub const ALL: [Bug; 13] = [
        Bug::HeaderLength,
        Bug::UdpZero,
        Bug::PortTwice,
        Bug::DefaultRoute,
        Bug::DoublePop,
        Bug::FragmentOverlap,
        Bug::StaleEpoch,
        Bug::FullRing,
        Bug::PolicerWrap,
        Bug::QuotePastEnd,
        Bug::RangeEnd,
        Bug::OddByte,
        Bug::DeadSession,
    ];
}

/// Whether this bug is active: never, but under `--cfg planted`.
#[cfg(not(planted))]
#[inline(always)]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Whether this bug is the one that the environment names.
#[cfg(planted)]
pub fn planted(bug: Bug) -> bool {
    static NAMED: std::sync::OnceLock<Option<Bug>> = std::sync::OnceLock::new();
    *NAMED.get_or_init(|| {
        let name = std::env::var("THRUWAY_PLANTED").ok()?;
        let bug = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name);
        Some(bug.unwrap_or_else(|| panic!("no bug is called {name}; there are: {:?}", Bug::ALL)))
    }) == Some(bug)
}
