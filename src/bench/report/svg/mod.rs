//! How is a plot drawn? As SVG whose colours come from the page's style sheet, so that one drawing
//! serves light, dark and paper; and drawn anew for every width, so that its text keeps its size.
//!
//! A [`Plot`] says what is to be seen, in the values of its axes; nothing of it knows of pixels.
//! [`draw`] lays one plot or a stack of them out: margins by the room that labels need, labels at
//! the ends of lines moved apart, what lies beyond an axis shown with an arrow at its end. Why no
//! plotting library does this is said in `docs/adr/0013-plots.md`.

mod axis;
mod layout;
mod plot;
mod scale;
mod shape;
#[cfg(test)]
mod tests;
mod text;

pub(super) use axis::{Axis, Of, percent};
pub(super) use layout::draw;
pub(super) use plot::{Anchor, Mark, Plot};
pub(super) use scale::Scale;
pub(super) use shape::Shape;
#[cfg(test)]
pub(super) use text::width;
