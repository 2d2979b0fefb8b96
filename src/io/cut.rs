//! What may this way out not leave open? Checksums are completed, and super-frames cut into their
//! segments, before a medium that cannot do it.

use super::port::Counts;
use crate::frame::{HEADROOM, Length, Outgoing, Pool};
use crate::wire::offload::complete_l4;
use crate::wire::segment::Segments;

/// Cuts what one queue sends.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Room that is kept from batch to batch.
    spare: Vec<Outgoing>,
}

impl Cutter {
    /// Closes those frames of `out` that are open and that the way out does not take so. Frames
    /// keep their order; `counts` has what cutting made, and what was lost over it.
    #[inline]
    pub(super) fn cut(
        &mut self,
        out: &mut Vec<Outgoing>,
        pool: &mut Pool,
        counts: &mut Counts,
        takes: impl Fn(&Outgoing) -> bool,
    ) {
        let refused = |out: &Outgoing| out.is_open() && !takes(out);
        if !out.iter().any(refused) {
            return;
        }
        std::mem::swap(out, &mut self.spare);
        for own in self.spare.drain(..) {
            if refused(&own) {
                close(own, out, pool, counts);
            } else {
                out.push(own);
            }
        }
    }
}

#[cold]
fn close(mut own: Outgoing, out: &mut Vec<Outgoing>, pool: &mut Pool, counts: &mut Counts) {
    let gso_size = own.header().gso_size();
    if gso_size == 0 {
        // It came in as whole TCP or UDP, and no stage makes it less.
        let _ = complete_l4(own.bytes_mut());
        own.close();
        return out.push(own);
    }
    let Ok(segments) = Segments::new(own.bytes(), gso_size) else {
        counts.too_long += 1;
        return pool.put(own.frame);
    };
    for i in 0..segments.len() {
        counts.split += u32::from(i > 0);
        let Some(mut frame) = pool.take() else {
            counts.no_frame += 1;
            continue;
        };
        match segments.write(i, &mut frame[HEADROOM..]) {
            Some(size) => {
                let off = u16::try_from(HEADROOM).expect("small");
                let len = Length::of(u32::try_from(size).expect("a frame is short"));
                out.push(Outgoing::whole(frame, (off, len), own.order, own.at));
            }
            None => {
                counts.too_long += 1;
                pool.put(frame);
            }
        }
    }
    pool.put(own.frame);
}
