//! Frames, the batch that carries them through the pipeline, the row of facts about each, and how
//! a packet's way can end.

pub mod batch;
pub mod outgoing;
pub mod pool;
pub mod row;
pub mod verdict;

pub use batch::{BATCH, Batch, Bits, first};
pub use outgoing::{Length, Outgoing};
pub use pool::{FRAME_SIZE, Frame, HEADROOM, LONG_ROOM, Memory, Pool, ROOM};
pub use row::{Flags, Row};
pub use verdict::DropReason;
