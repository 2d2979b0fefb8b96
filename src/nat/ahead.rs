//! Which memory will a packet need? Asked for ahead, for all packets of a batch, so that they wait
//! together and not one after the other. All of these are hints: no answer depends on them.

use super::session::{Endpoint, FlowKey, NIL, Proto, Side};
use super::shard::{Lookup, Nat44Shard};
use super::state::{State, address_hash, endpoint_hash};

impl Lookup {
    /// Whether [`Nat44Shard::prefetch_session`] found a session that is likely the packet's.
    #[inline(always)]
    pub fn found_any(&self) -> bool {
        self.likely != NIL
    }
}

impl Nat44Shard {
    /// Asks for the memory that a look-up begins with; a hint.
    #[inline(always)]
    pub fn prefetch_index(&self, lookup: &Lookup) {
        self.state.prefetch_index(lookup.hash);
    }

    /// Notes the session that a packet most likely has, and asks for its memory; best some packets
    /// after [`Nat44Shard::prefetch_index`].
    #[inline(always)]
    pub fn prefetch_session(&self, lookup: &mut Lookup) {
        lookup.likely = self.state.prefetch_session(lookup.hash);
    }

    /// Asks for where a packet from inside that opens a session searches first: for its endpoint's
    /// mapping and for its host.
    pub fn prefetch_mapping(&self, key: &FlowKey) {
        self.state.prefetch_mapping(key.proto, key.local);
    }

    /// Asks for the host with this address; best some packets after
    /// [`Nat44Shard::prefetch_mapping`].
    pub fn prefetch_host(&self, inside: u32) {
        self.state.prefetch_host(inside);
    }
}

impl State {
    /// Asks for the cache line where [`State::flow`] begins.
    #[inline(always)]
    pub(super) fn prefetch_index(&self, hash: u64) {
        self.flows.prefetch(hash);
    }

    /// Asks for the session that [`State::flow`] will most likely find, and says which that is.
    #[inline(always)]
    pub(super) fn prefetch_session(&self, hash: u64) -> u32 {
        let Some(number) = self.flows.guess(hash) else { return NIL };
        self.sessions.prefetch(number >> 1);
        number >> 1
    }

    /// Asks for where the search for an inside endpoint's mapping begins, and that for its host.
    pub(super) fn prefetch_mapping(&self, proto: Proto, inside: Endpoint) {
        self.endpoints.prefetch(endpoint_hash(self.hasher, Side::In2Out, proto, inside));
        self.addresses.prefetch(address_hash(self.hasher, inside.ip));
    }

    /// Asks for where a session's answers will be found, if the packet with this key from inside
    /// opens it and gets this outside endpoint.
    pub(super) fn prefetch_answers(&self, key: &FlowKey, outside: Endpoint) {
        let answers = FlowKey { side: Side::Out2In, local: outside, ..*key };
        self.flows.prefetch(self.hash(&answers));
    }

    /// Asks for the host that [`State::find_host`] will most likely find.
    pub(super) fn prefetch_host(&self, ip: u32) {
        if let Some(id) = self.addresses.guess(address_hash(self.hasher, ip)) {
            self.hosts.prefetch(id);
        }
    }
}
