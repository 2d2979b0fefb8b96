//! When does a table spend memory on speed? See docs/adr/0002-fib-form.md.

/// From here on [`Form::Auto`] takes the memory of a wide table.
const WIDE_FROM: usize = 100_000;
/// A wide table of a few blocks of addresses is cheap, and so taken from here on.
const CHEAP_FROM: usize = 1_000;
/// First-level pages, each a /6, that such a table reaches at most; two of them take 2 MiB.
const CHEAP_PAGES: u32 = 4;

/// How much memory a table may spend on speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Compact up to 100,000 routes, or 1,000 in a few blocks of addresses; then wide.
    #[default]
    Auto,
    /// About 6 bytes a route, and 4 to 256 KiB of first level: up to seven memory accesses an address.
    Compact,
    /// The compact form and up to 64 MiB in front of it: one access an address.
    Wide,
}

impl Form {
    /// Whether a table of so many routes on so many first-level pages is to be wide.
    pub(super) fn wants_wide(self, routes: usize, pages: u32) -> bool {
        match self {
            Form::Auto if pages <= CHEAP_PAGES => routes >= CHEAP_FROM,
            Form::Auto => routes >= WIDE_FROM,
            Form::Compact => false,
            Form::Wide => true,
        }
    }
}
