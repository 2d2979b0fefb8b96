//! police
