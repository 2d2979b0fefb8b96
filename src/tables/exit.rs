//! What do packets share that leave by the same way? Their port, their header's size, who counts them
//! and who else is to be asked: in one number, so that many are added up at once.

use crate::ids::{GatewayId, MeterId, PortId};

/// Who counts packets on the way out to a neighbour: nobody, a meter, or a gateway.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted(u32);

impl Counted {
    /// Nobody.
    pub const NOBODY: Counted = Counted(0);
    const OUT: u32 = 1 << 16;
    const PAST: u32 = 2 << 16;

    /// The meter of a link towards on-premises.
    pub const fn out(id: MeterId) -> Self {
        Self(Self::OUT | id.0 as u32)
    }

    /// The gateway that packets from on-premises would have taken.
    pub const fn past(id: GatewayId) -> Self {
        Self(Self::PAST | id.0 as u32)
    }

    /// The meter, if it is one.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the id")]
    pub fn meter(self) -> Option<MeterId> {
        (self.0 & Self::OUT != 0).then_some(MeterId(self.0 as u16))
    }

    /// The gateway, if it is one.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the id")]
    pub fn gateway(self) -> Option<GatewayId> {
        (self.0 & Self::PAST != 0).then_some(GatewayId(self.0 as u16))
    }
}

/// Who is to be asked besides the next hop itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A subnet's security group.
    pub group: bool,
    /// A link's bandwidth.
    pub police: bool,
}

/// The way out of a rewrite's packets: who counts them (low half), port, bytes of header, and who
/// is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exit(u64);

impl Exit {
    const PORT: u32 = 32;
    const SIZE: u32 = 48;
    const GROUP: u64 = 1 << 56;
    const POLICE: u64 = 1 << 57;

    /// The exit of these.
    pub fn new(port: PortId, header_size: u8, counted: Counted, asked: Asked) -> Self {
        let flag = |on: bool, bit: u64| if on { bit } else { 0 };
        Self(
            u64::from(counted.0)
                | u64::from(port.0) << Self::PORT
                | u64::from(header_size) << Self::SIZE
                | flag(asked.group, Self::GROUP)
                | flag(asked.police, Self::POLICE),
        )
    }

    /// The port to send by.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "16 bits are the port")]
    pub const fn port(self) -> PortId {
        PortId((self.0 >> Self::PORT) as u16)
    }

    /// Bytes of the Ethernet header with its tags.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "8 bits are the size")]
    pub const fn header_size(self) -> u8 {
        (self.0 >> Self::SIZE) as u8
    }

    /// Who counts.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is who counts")]
    pub const fn counted(self) -> Counted {
        Counted(self.0 as u32)
    }

    /// Who is asked.
    #[inline(always)]
    pub const fn asked(self) -> Asked {
        Asked { group: self.0 & Self::GROUP != 0, police: self.0 & Self::POLICE != 0 }
    }

    /// The same exit, counted by another.
    #[must_use]
    pub fn counted_by(self, counted: Counted) -> Self {
        Self::new(self.port(), self.header_size(), counted, self.asked())
    }
}

/// What is known of many packets' exits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exits(u64);

impl Exits {
    /// Of packets that all leave by this one.
    #[inline(always)]
    pub const fn of(exit: Exit) -> Self {
        Self(exit.0)
    }

    /// One more packet's.
    #[inline(always)]
    pub fn add(&mut self, exit: Exit) {
        self.0 |= exit.0;
    }

    /// Who is asked by any of them.
    #[inline(always)]
    pub fn asked(&self) -> Asked {
        Exit(self.0).asked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_exit_keeps_what_it_is_made_of(
            port: u16, size: u8, id: u16, kind in 0..3, group: bool, police: bool,
        ) {
            let counted = match kind {
                0 => Counted::NOBODY,
                1 => Counted::out(MeterId(id)),
                _ => Counted::past(GatewayId(id)),
            };
            let asked = Asked { group, police };
            let exit = Exit::new(PortId(port), size, Counted::NOBODY, asked).counted_by(counted);
            let found = (exit.port(), exit.header_size(), exit.counted(), exit.asked());
            prop_assert_eq!(found, (PortId(port), size, counted, asked));
            prop_assert_eq!(exit.counted().meter(), (kind == 1).then_some(MeterId(id)));
            prop_assert_eq!(exit.counted().gateway(), (kind == 2).then_some(GatewayId(id)));
        }
    }

    #[test]
    fn exits_ask_whoever_one_of_them_asks() {
        let exit =
            |group, police| Exit::new(PortId(1), 22, Counted::NOBODY, Asked { group, police });
        let mut exits = Exits::default();
        exits.add(exit(false, false));
        assert_eq!(exits.asked(), Asked::default());
        exits.add(exit(true, false));
        assert_eq!(exits.asked(), Asked { group: true, police: false });
        exits.add(exit(false, true));
        assert_eq!(exits.asked(), Asked { group: true, police: true });
        assert_eq!(Exits::of(exit(false, true)).asked(), Asked { group: false, police: true });
    }
}
