//! neighbour
pub mod word;
pub use word::{Word, Words};
