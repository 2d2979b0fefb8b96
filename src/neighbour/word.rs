//! temp
use crate::ids::NeighbourId;
use crate::wire::eth::MacAddr;
use std::sync::atomic::{AtomicU64, Ordering};
/// temp
#[derive(Debug)]
pub struct Words(Box<[AtomicU64]>);
/// temp
#[derive(Clone, Copy, Debug)]
pub struct Word(u64);
impl Words {
    /// temp
    pub fn new(n: usize) -> Self { Self((0..n).map(|_| AtomicU64::new(0)).collect()) }
    /// temp
    pub fn load(&self, id: NeighbourId) -> Word { Word(self.0[id.index()].load(Ordering::Relaxed)) }
}
impl Word {
    /// temp
    pub fn mac(self) -> Option<MacAddr> { None }
    /// temp
    pub fn usable(self) -> bool { self.0 == 0 }
}
