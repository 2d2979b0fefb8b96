//! What did a namespace's kernel count? Broken checksums, reordering, retransmissions.
//!
//! The counters are of the whole namespace since it was made: take the difference of two.

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use crate::lab::error::{Doing, LabError};
use crate::lab::netns::Netns;

macro_rules! kernel_counters {
    ($($(#[doc = $doc:literal])* $field:ident = $table:literal . $name:literal;)*) => {
        /// Counters of `/proc/net/snmp` and `/proc/net/netstat`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct KernelCounters {
            $($(#[doc = $doc])* pub $field: u64,)*
        }

        impl KernelCounters {
            fn of(values: &HashMap<(String, String), u64>) -> Self {
                let value = |table: &str, name: &str| {
                    values.get(&(table.to_owned(), name.to_owned())).copied().unwrap_or(0)
                };
                Self { $($field: value($table, $name),)* }
            }

            /// What was counted since `earlier`.
            #[must_use]
            pub fn since(&self, earlier: &Self) -> Self {
                Self { $($field: self.$field.saturating_sub(earlier.$field),)* }
            }
        }
    };
}

kernel_counters! {
    /// IPv4 packets received.
    ip_received = "Ip"."InReceives";
    /// IPv4 packets with a bad header, bad checksums among them.
    ip_header_errors = "Ip"."InHdrErrors";
    /// IPv4 packets with a bad header checksum.
    ip_checksum_errors = "IpExt"."InCsumErrors";
    /// IPv4 packets forwarded.
    ip_forwarded = "Ip"."ForwDatagrams";
    /// ICMP echo replies received, whoever waits for them.
    icmp_echo_replies = "Icmp"."InEchoReps";
    /// ICMP messages with a bad checksum.
    icmp_checksum_errors = "Icmp"."InCsumErrors";
    /// TCP segments with a bad checksum.
    tcp_checksum_errors = "Tcp"."InCsumErrors";
    /// UDP datagrams with a bad checksum.
    udp_checksum_errors = "Udp"."InCsumErrors";
    /// UDP datagrams dropped because a socket's receive buffer was full.
    udp_buffer_errors = "Udp"."RcvbufErrors";
    /// TCP segments received.
    tcp_in_segments = "Tcp"."InSegs";
    /// TCP segments sent, without those sent again.
    tcp_out_segments = "Tcp"."OutSegs";
    /// TCP segments sent again.
    tcp_retransmits = "Tcp"."RetransSegs";
    /// TCP retransmission timers that ran out.
    tcp_timeouts = "TcpExt"."TCPTimeouts";
    /// Reordering that TCP found by selective acknowledgments.
    tcp_sack_reorder = "TcpExt"."TCPSACKReorder";
    /// Reordering that TCP found by time stamps.
    tcp_ts_reorder = "TcpExt"."TCPTSReorder";
    /// Reordering that TCP found by duplicate acknowledgments.
    tcp_reno_reorder = "TcpExt"."TCPRenoReorder";
    /// TCP segments that came out of order and were queued.
    tcp_out_of_order = "TcpExt"."TCPOFOQueue";
}

impl KernelCounters {
    /// Packets with a broken checksum, of any protocol.
    pub fn checksum_errors(&self) -> u64 {
        self.ip_checksum_errors
            + self.icmp_checksum_errors
            + self.tcp_checksum_errors
            + self.udp_checksum_errors
    }

    /// Reordering that TCP found, by any means.
    pub fn tcp_reordering(&self) -> u64 {
        self.tcp_sack_reorder + self.tcp_ts_reorder + self.tcp_reno_reorder
    }
}

/// Reads a namespace's counters.
///
/// # Errors
/// When `/proc` is not mounted.
pub fn kernel_counters(netns: &Netns) -> Result<KernelCounters, LabError> {
    netns.run(|| {
        let mut values = HashMap::new();
        // thread-self: /proc/net is the main thread's namespace.
        for file in ["snmp", "netstat"] {
            let path = format!("/proc/thread-self/net/{file}");
            parse(&fs::read_to_string(&path).doing(|| format!("reading {path}"))?, &mut values);
        }
        Ok(KernelCounters::of(&values))
    })?
}

/// Pairs of lines, `Table: names` and `Table: values`.
fn parse(text: &str, values: &mut HashMap<(String, String), u64>) {
    let mut lines = text.lines();
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let Some((table, names)) = names.split_once(':') else { continue };
        let Some((_, numbers)) = numbers.split_once(':') else { continue };
        for (name, number) in names.split_whitespace().zip(numbers.split_whitespace()) {
            // Tcp MaxConn is -1; nothing here asks for it.
            let Ok(number) = number.parse() else { continue };
            values.insert((table.to_owned(), name.to_owned()), number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_read_by_table_and_name() {
        let snmp = "Ip: Forwarding InReceives\nIp: 2 17\n\
                    Tcp: MaxConn RetransSegs InCsumErrors\nTcp: -1 3 4\n";
        let netstat = "TcpExt: TCPTSReorder TCPSACKReorder\nTcpExt: 5 6\n\
                       IpExt: InCsumErrors\nIpExt: 7\n";
        let mut values = HashMap::new();
        parse(snmp, &mut values);
        parse(netstat, &mut values);
        let counters = KernelCounters::of(&values);
        assert_eq!(counters.ip_received, 17);
        assert_eq!(counters.tcp_retransmits, 3);
        assert_eq!(counters.checksum_errors(), 11);
        assert_eq!(counters.tcp_reordering(), 11);
        assert_eq!(counters.since(&counters), KernelCounters::default());
    }
}
