//! How does one figure move along an axis: routes, flows, sessions, frame sizes, workers?
//!
//! Each place on the axis is a bed of its own, made when its turn comes and taken down afterwards.

use crate::bench::error::BenchError;
use crate::bench::record::outcome::{Scale, ScalePoint};

/// A place on the axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Where.
    pub at: f64,
    /// What to call it.
    pub label: String,
}

/// What the figure is along an axis; `measure` makes a place's bed and measures there.
///
/// # Errors
/// The first that `measure` returns.
pub fn along(
    axis: &str,
    figure: &str,
    places: &[Place],
    mut measure: impl FnMut(&Place) -> Result<ScalePoint, BenchError>,
) -> Result<Scale, BenchError> {
    let points: Result<Vec<_>, _> = places.iter().map(&mut measure).collect();
    Ok(Scale { axis: axis.to_owned(), figure: figure.to_owned(), points: points? })
}
