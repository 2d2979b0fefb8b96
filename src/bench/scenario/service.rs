//! Which of the service's limits is reached first, and at which rate? By arithmetic from what the
//! service publishes, not from what a policer does.

use super::{Limits, Scenario, TO_AZURE, Way};
use crate::bench::traffic::Genome;
use crate::time::Span;

/// A limit of the service on a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceLimit {
    /// What it is, in words.
    pub what: String,
    /// The name of the drop that tells of it.
    pub drop: &'static str,
    /// Frames a second that it lets through.
    pub rate: f64,
    /// How long what passes at its rate may pass at once, after a rest.
    pub burst: Span,
}

/// How long the bucket of a gateway's rates lasts; the service publishes none.
const GATEWAY_BURST: Span = Span::millis(50);
/// Bytes of a frame around its packet: Ethernet header and check sequence.
const AROUND_PACKET: u32 = 18;

impl Scenario {
    /// The limit that a lane's frames reach first, where limits are enforced: the circuit's
    /// bandwidth, and on the way through the gateway to Azure that gateway's packets and bits a
    /// second. Ways whose traffic crosses no circuit's edge have none.
    pub fn first_limit(&self, lane: usize, genome: &Genome) -> Option<ServiceLimit> {
        let mut limits = vec![self.circuit_limit(genome)?];
        if self.spec.way == Way::Gateway && lane == TO_AZURE {
            let (sku, gateway) = (self.spec.gateway, self.spec.gateway.limits());
            let limit = |what, drop, rate| ServiceLimit { what, drop, rate, burst: GATEWAY_BURST };
            let packets = gateway.packets_per_second as f64;
            limits.push(limit(format!("packets a second of {sku}"), "gateway_packets", packets));
            let packet = mean(genome);
            let bits = gateway.bits_per_second as f64 / (8.0 * packet);
            limits.push(limit(format!("bits a second of {sku}"), "gateway_bits", bits));
        }
        limits.into_iter().min_by(|a, b| a.rate.total_cmp(&b.rate))
    }

    /// What the circuit's policer lets through: unless it is told otherwise it counts IP packets.
    pub fn circuit_limit(&self, genome: &Genome) -> Option<ServiceLimit> {
        let (way, bandwidth) = (self.spec.way, self.spec.bandwidth);
        if self.spec.limits != Limits::Enforced || matches!(way, Way::Nat | Way::Provider) {
            return None;
        }
        let packet = mean(genome);
        Some(ServiceLimit {
            what: format!("circuit of {bandwidth}"),
            drop: "policed",
            rate: bandwidth.bits_per_second() as f64 / (8.0 * packet),
            burst: Span::millis(u64::from(self.spec.burst_millis)),
        })
    }
}

/// Bytes of the mean packet in frames of a genome.
fn mean(genome: &Genome) -> f64 {
    let sizes = genome.sizes();
    let sum: u64 = sizes.iter().map(|size| u64::from(size - AROUND_PACKET)).sum();
    sum as f64 / sizes.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::scenario::{HandOver, Spec};
    use crate::model::{Bandwidth, GatewaySku};

    fn limit(way: Way, hand_over: HandOver, gateway: GatewaySku, size: u32) -> (String, f64) {
        let bandwidth = Bandwidth::gbps(1);
        let limits = Limits::Enforced;
        let spec = Spec { hand_over, gateway, bandwidth, limits, ..Spec::new(way) };
        let scenario = Scenario::new(spec).unwrap();
        let limit = scenario.first_limit(TO_AZURE, &Genome::one(size).unwrap()).unwrap();
        (limit.what, limit.rate.round())
    }

    #[test]
    fn the_limit_that_is_reached_first_is_found() {
        let big = GatewaySku::ErGwScale(40);
        // 512 bytes with check sequence hold a packet of 494, whatever the tags.
        let gigabit = |rate| ("circuit of 1 Gbps".to_owned(), rate);
        assert_eq!(limit(Way::FastPath, HandOver::Untagged, big, 512), gigabit(253_036.0));
        assert_eq!(limit(Way::FastPath, HandOver::QinQ, big, 512), gigabit(253_036.0));
        assert_eq!(limit(Way::Gateway, HandOver::QinQ, big, 512), gigabit(253_036.0));
        let (what, rate) = limit(Way::Gateway, HandOver::QinQ, GatewaySku::ErGw1Az, 512);
        assert_eq!((&*what, rate), ("packets a second of ErGw1AZ", 100_000.0));
        let (what, rate) = limit(Way::Gateway, HandOver::QinQ, GatewaySku::ErGw1Az, 1418);
        assert_eq!((&*what, rate), ("circuit of 1 Gbps", 89_286.0));
    }

    #[test]
    fn nothing_limits_what_crosses_no_edge_or_is_not_enforced() {
        let genome = Genome::one(64).unwrap();
        for way in Way::ALL {
            let free = Scenario::new(Spec::new(*way)).unwrap();
            assert_eq!(free.first_limit(TO_AZURE, &genome), None, "{way}");
        }
        let provider = Spec { limits: Limits::Enforced, ..Spec::new(Way::Provider) };
        assert_eq!(Scenario::new(provider).unwrap().first_limit(TO_AZURE, &genome), None);
    }

    #[test]
    fn a_small_gateway_has_no_fastpath() {
        let spec = Spec { gateway: GatewaySku::ErGw1Az, ..Spec::new(Way::FastPath) };
        let refused = Scenario::new(spec).unwrap_err().to_string();
        assert!(refused.contains("ErGw1AZ has no FastPath"), "{refused}");
    }
}
