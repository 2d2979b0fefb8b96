//! How far has a TCP connection come, and how long may it now be idle?
//!
//! The state machine of RFC 6146 3.5.2, which RFC 7857 section 2 asks of every NAT, with two
//! refinements: a connection opened from outside counts as established only once its third
//! segment came, so that forged SYNs towards a server do not hold sessions for hours; and a SYN
//! on a connection that is over opens it anew.
//!
//! Only TCP segments move it: ICMP errors never do (RFC 5382 REQ-10).

use super::session::Side;
use crate::wire::tcp::flag;

/// The state of one TCP session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TcpState {
    /// A SYN went out.
    InsideSyn,
    /// A SYN came in.
    OutsideSyn,
    /// A SYN came in and the inside answered with its own.
    Answered,
    /// Both sides agreed.
    Established,
    /// The inside has sent its FIN.
    InsideFin,
    /// The outside has sent its FIN.
    OutsideFin,
    /// Both have sent their FIN.
    BothFin,
    /// A RST was seen, or the beginning was not: over unless traffic goes on.
    #[default]
    Transitory,
}

impl TcpState {
    /// Whether the connection's end was seen: both FINs, or a RST that nothing followed.
    pub const fn is_over(self) -> bool {
        matches!(self, TcpState::BothFin | TcpState::Transitory)
    }
}

impl std::fmt::Display for TcpState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TcpState::InsideSyn => "inside_syn",
            TcpState::OutsideSyn => "outside_syn",
            TcpState::Answered => "answered",
            TcpState::Established => "established",
            TcpState::InsideFin => "inside_fin",
            TcpState::OutsideFin => "outside_fin",
            TcpState::BothFin => "both_fin",
            TcpState::Transitory => "transitory",
        })
    }
}

/// Which timer a segment starts anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// None: the session ends when it would have.
    Keep,
    /// The opening timer.
    Opening,
    /// The established timer.
    Established,
    /// The closing timer.
    Closing,
}

/// What a segment's flags mean to the state machine; the first that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    Rst,
    Syn,
    SynAck,
    Fin,
    Other,
}

impl Segment {
    #[inline(always)]
    const fn of(flags: u8) -> Self {
        if flags & flag::RST != 0 {
            Segment::Rst
        } else if flags & (flag::SYN | flag::ACK) == flag::SYN {
            Segment::Syn
        } else if flags & flag::SYN != 0 {
            Segment::SynAck
        } else if flags & flag::FIN != 0 {
            Segment::Fin
        } else {
            Segment::Other
        }
    }
}

/// The state of a session that a segment opens: `None` when a RST would.
pub const fn open(side: Side, flags: u8) -> Option<TcpState> {
    match (side, Segment::of(flags)) {
        (_, Segment::Rst) => None,
        (Side::In2Out, Segment::Syn) => Some(TcpState::InsideSyn),
        (Side::Out2In, Segment::Syn) => Some(TcpState::OutsideSyn),
        _ => Some(TcpState::Transitory),
    }
}

/// Whether a segment begins a connection: a SYN and nothing that contradicts it.
#[inline]
pub const fn is_first(flags: u8) -> bool {
    matches!(Segment::of(flags), Segment::Syn) && flags & flag::FIN == 0
}

/// Whether a segment may change a connection's state: it begins or ends something.
#[inline(always)]
pub const fn is_marked(flags: u8) -> bool {
    flags & (flag::RST | flag::SYN | flag::FIN) != 0
}

/// The state after a segment, and the timer that it starts.
#[inline]
pub const fn step(state: TcpState, side: Side, flags: u8) -> (TcpState, Timer) {
    use Segment::{Fin, Other, Rst, Syn, SynAck};
    use Side::{In2Out, Out2In};
    use TcpState::{
        Answered, BothFin, Established, InsideFin, InsideSyn, OutsideFin, OutsideSyn, Transitory,
    };

    match (state, side, Segment::of(flags)) {
        // Opening. A SYN from each side is an open, in one step or at the same time (RFC 5382
        // REQ-2a). A RST is an answer, not traffic (RFC 7857 section 9).
        (InsideSyn, Out2In, Syn | SynAck) => (Established, Timer::Established),
        (InsideSyn, In2Out, Syn) => (InsideSyn, Timer::Opening),
        (OutsideSyn, In2Out, Syn | SynAck) => (Answered, Timer::Opening),
        (OutsideSyn, Out2In, Syn) => (OutsideSyn, Timer::Opening),
        (Answered, Out2In, SynAck | Other) => (Established, Timer::Established),
        (Answered, Out2In, Fin) => (OutsideFin, Timer::Established),
        (InsideSyn | OutsideSyn | Answered, ..) => (state, Timer::Keep),

        // RFC 7857 2.2: the RST passes and the session stays for a while, in case it was forged.
        (Established | InsideFin | OutsideFin, _, Rst) => (Transitory, Timer::Closing),
        (Established, In2Out, Fin) => (InsideFin, Timer::Established),
        (Established, Out2In, Fin) => (OutsideFin, Timer::Established),
        (InsideFin, Out2In, Fin) | (OutsideFin, In2Out, Fin) => (BothFin, Timer::Closing),
        (Established | InsideFin | OutsideFin, ..) => (state, Timer::Established),

        (BothFin | Transitory, In2Out, Syn) => (InsideSyn, Timer::Opening),
        (BothFin | Transitory, Out2In, Syn) => (OutsideSyn, Timer::Opening),
        (BothFin, ..) => (BothFin, Timer::Keep),
        (Transitory, _, Rst) => (Transitory, Timer::Keep),
        (Transitory, ..) => (Established, Timer::Established),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flag::{ACK, FIN, RST, SYN};

    fn run(segments: &[(Side, u8)]) -> (TcpState, Timer) {
        let (side, flags) = segments[0];
        let state = open(side, flags).unwrap();
        segments[1..]
            .iter()
            .fold((state, Timer::Opening), |(state, _), &(side, flags)| step(state, side, flags))
    }

    const IN: Side = Side::In2Out;
    const OUT: Side = Side::Out2In;

    #[test]
    fn t2_a_handshake_from_inside_establishes() {
        assert_eq!(
            run(&[(IN, SYN), (OUT, SYN | ACK), (IN, ACK)]),
            (TcpState::Established, Timer::Established)
        );
    }

    #[test]
    fn a_handshake_from_outside_establishes_with_its_third_segment() {
        assert_eq!(run(&[(OUT, SYN), (IN, SYN | ACK)]), (TcpState::Answered, Timer::Opening));
        assert_eq!(
            run(&[(OUT, SYN), (IN, SYN | ACK), (OUT, ACK)]),
            (TcpState::Established, Timer::Established)
        );
    }

    #[test]
    fn t2a_a_simultaneous_open_establishes() {
        let segments = [(IN, SYN), (OUT, SYN), (IN, SYN | ACK), (OUT, SYN | ACK)];
        assert_eq!(run(&segments).0, TcpState::Established);
        let segments = [(OUT, SYN), (IN, SYN), (OUT, SYN | ACK), (IN, SYN | ACK)];
        assert_eq!(run(&segments).0, TcpState::Established);
    }

    #[test]
    fn x2_both_fins_start_the_closing_timer_and_nothing_starts_it_again() {
        let open = [(IN, SYN), (OUT, SYN | ACK), (IN, ACK)];
        let half = [&open[..], &[(IN, FIN | ACK), (OUT, ACK)]].concat();
        assert_eq!(run(&half), (TcpState::InsideFin, Timer::Established), "half closed is open");
        let both = [&half[..], &[(OUT, FIN | ACK)]].concat();
        assert_eq!(run(&both), (TcpState::BothFin, Timer::Closing));
        let last = [&both[..], &[(IN, ACK)]].concat();
        assert_eq!(run(&last), (TcpState::BothFin, Timer::Keep));
    }

    #[test]
    fn x3_a_rst_is_forgotten_when_traffic_goes_on() {
        let rst = [(IN, SYN), (OUT, SYN | ACK), (IN, ACK), (OUT, RST)];
        assert_eq!(run(&rst), (TcpState::Transitory, Timer::Closing));
        let again = [&rst[..], &[(OUT, RST)]].concat();
        assert_eq!(run(&again), (TcpState::Transitory, Timer::Keep));
        let on = [&rst[..], &[(IN, ACK)]].concat();
        assert_eq!(run(&on), (TcpState::Established, Timer::Established));
    }

    #[test]
    fn a_syn_opens_a_finished_connection_anew() {
        let over = [(IN, SYN), (OUT, SYN | ACK), (IN, FIN | ACK), (OUT, FIN | ACK), (IN, SYN)];
        assert_eq!(run(&over), (TcpState::InsideSyn, Timer::Opening));
    }

    #[test]
    fn x9_a_rst_answer_to_a_syn_refreshes_nothing() {
        assert_eq!(run(&[(OUT, SYN), (IN, RST | ACK)]), (TcpState::OutsideSyn, Timer::Keep));
        assert_eq!(run(&[(IN, SYN), (OUT, RST | ACK)]), (TcpState::InsideSyn, Timer::Keep));
        assert_eq!(open(OUT, RST), None);
    }
}
