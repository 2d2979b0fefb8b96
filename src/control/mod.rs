//! Control: what runs beside the workers. One small runtime; between it and them there are three
//! ways and no fourth: published tables down, counters up, a punt ring and its twin.

pub mod api;
pub mod client;
pub mod plane;
pub mod ports;
pub mod report;
pub mod supervisor;
pub mod view;
