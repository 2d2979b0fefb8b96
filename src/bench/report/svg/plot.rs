//! What is to be seen in a plot, in the values of its axes.

use super::axis::Axis;
use super::shape::Shape;

/// A plot: two axes and what stands between them.
#[derive(Clone, Debug)]
pub(in super::super) struct Plot {
    /// What a reader who cannot see it is told.
    pub(super) says: String,
    /// Pixels between its horizontal axes.
    pub(super) height: f64,
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Whether the horizontal axis has labels; upper plots of a stack leave them to the last.
    pub(super) labelled: bool,
    pub(super) items: Vec<Item>,
    /// Labels at the right edge.
    pub(super) ends: Vec<End>,
    /// Upright lines with their labels above.
    pub(super) heads: Vec<Head>,
}

/// Something between the axes.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Line { points: Vec<(f64, f64)>, class: String },
    Area { outline: Vec<(f64, f64)>, class: String },
    Box { x: (f64, f64), y: (f64, f64), class: String, title: String },
    Marks(Vec<Mark>),
    Text { at: (f64, f64), text: String, anchor: Anchor, class: String },
    Across { y: f64, class: String },
}

/// A mark at a value.
#[derive(Clone, Debug)]
pub(in super::super) struct Mark {
    pub(in super::super) at: (f64, f64),
    pub(in super::super) shape: Shape,
    pub(in super::super) class: String,
    /// What is shown when the mark is pointed at.
    pub(in super::super) title: String,
}

/// On which side of its point a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Anchor {
    /// To the right of it.
    Start,
    /// To the left of it.
    End,
}

/// A label at the right edge.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) y: f64,
    pub(super) text: String,
    pub(super) class: String,
}

/// A label above an upright line.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) x: f64,
    pub(super) text: String,
    pub(super) class: String,
}

impl Plot {
    pub(in super::super) fn new(says: impl Into<String>, x: Axis, y: Axis, height: f64) -> Self {
        let (items, ends, heads) = (Vec::new(), Vec::new(), Vec::new());
        Self { says: says.into(), height, x, y, labelled: true, items, ends, heads }
    }

    /// Without labels at the horizontal axis, which the plot below has.
    pub(in super::super) fn unlabelled(self) -> Self {
        Self { labelled: false, ..self }
    }

    /// Whether the vertical axis reaches a value.
    pub(in super::super) fn holds_y(&self, value: f64) -> bool {
        self.y.scale.holds(value)
    }

    /// A line through these points.
    pub(in super::super) fn line(&mut self, points: Vec<(f64, f64)>, class: &str) {
        self.items.push(Item::Line { points, class: class.to_owned() });
    }

    /// A line that keeps each value until the next point.
    pub(in super::super) fn steps(&mut self, points: &[(f64, f64)], class: &str) {
        self.line(stairs(points), class);
    }

    /// What lies between two lines that have values at the same places, in steps.
    pub(in super::super) fn band(&mut self, points: &[(f64, f64, f64)], class: &str) {
        let low: Vec<_> = points.iter().map(|(x, low, _)| (*x, *low)).collect();
        let high: Vec<_> = points.iter().map(|(x, _, high)| (*x, *high)).collect();
        let mut outline = stairs(&low);
        outline.extend(stairs(&high).into_iter().rev());
        self.items.push(Item::Area { outline, class: class.to_owned() });
    }

    /// A filled rectangle.
    pub(in super::super) fn bar(
        &mut self,
        x: (f64, f64),
        y: (f64, f64),
        class: &str,
        title: String,
    ) {
        self.items.push(Item::Box { x, y, class: class.to_owned(), title });
    }

    /// Marks.
    pub(in super::super) fn marks(&mut self, marks: Vec<Mark>) {
        self.items.push(Item::Marks(marks));
    }

    /// A text beside a point.
    pub(in super::super) fn text(
        &mut self,
        at: (f64, f64),
        text: impl Into<String>,
        anchor: Anchor,
        class: &str,
    ) {
        let (text, class) = (text.into(), class.to_owned());
        self.items.push(Item::Text { at, text, anchor, class });
    }

    /// A label at the right edge.
    pub(in super::super) fn end(&mut self, y: f64, text: impl Into<String>, class: &str) {
        self.ends.push(End { y, text: text.into(), class: class.to_owned() });
    }

    /// A line from left to right with its label at the right edge.
    pub(in super::super) fn across(&mut self, y: f64, text: impl Into<String>, class: &str) {
        self.items.push(Item::Across { y, class: class.to_owned() });
        self.end(y, text, class);
    }

    /// A line from top to bottom with its label above.
    pub(in super::super) fn upright(&mut self, x: f64, text: impl Into<String>, class: &str) {
        self.heads.push(Head { x, text: text.into(), class: class.to_owned() });
    }
}

impl Mark {
    pub(in super::super) fn new(at: (f64, f64), shape: Shape, class: &str, title: String) -> Self {
        Self { at, shape, class: class.to_owned(), title }
    }
}

fn stairs(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut stairs: Vec<(f64, f64)> = Vec::new();
    for (x, y) in points {
        if let Some((_, before)) = stairs.last().copied() {
            stairs.push((*x, before));
        }
        stairs.push((*x, *y));
    }
    stairs
}
