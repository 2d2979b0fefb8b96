//! What does a mark look like? Shapes that differ also where colours do not.

use maud::{Markup, html};

/// A mark's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    /// An upright stroke.
    Bar,
    /// A hollow arrowhead for what lies above the axis, and for what lies below.
    Up,
    Down,
}

impl Shape {
    /// One shape for each series, in their order.
    pub(in super::super) const fn of(series: usize) -> Self {
        match series % 4 {
            0 => Self::Circle,
            1 => Self::Square,
            2 => Self::Triangle,
            _ => Self::Diamond,
        }
    }

    /// The mark around a point, with what is inside its element.
    pub(super) fn element(self, (x, y): (f64, f64), r: f64, class: &str, inner: &Markup) -> Markup {
        if self == Self::Circle {
            let (x, y) = (format!("{x:.1}"), format!("{y:.1}"));
            return html! { circle class=(class) cx=(x) cy=(y) r=(r) { (inner) } };
        }
        html! { path class=(class) d=(self.path(x, y, r)) { (inner) } }
    }

    /// Its outline as the data of an SVG path, around a point.
    fn path(self, x: f64, y: f64, r: f64) -> String {
        match self {
            Self::Circle => unreachable!("SVG has an element for circles"),
            Self::Square => {
                let s = r * 0.9;
                format!("M{:.1} {:.1}h{d}v{d}h-{d}z", x - s, y - s, d = s * 2.0)
            }
            Self::Triangle => {
                let (w, h) = (r * 1.15, r * 1.1);
                format!("M{x:.1} {:.1}l{w:.1} {:.1}h-{:.1}z", y - h, h * 1.9, w * 2.0)
            }
            Self::Diamond => {
                let s = r * 1.25;
                format!("M{x:.1} {:.1}l{s:.1} {s:.1}l-{s:.1} {s:.1}l-{s:.1} -{s:.1}z", y - s)
            }
            Self::Cross => {
                let s = r * 0.85;
                format!(
                    "M{:.1} {:.1}l{d:.1} {d:.1}m0 -{d:.1}l-{d:.1} {d:.1}",
                    x - s,
                    y - s,
                    d = s * 2.0
                )
            }
            Self::Up => format!("M{:.1} {:.1}l{r} -{h:.1}l{r} {h:.1}", x - r, y + r, h = r * 1.6),
            Self::Down => format!("M{:.1} {:.1}l{r} {h:.1}l{r} -{h:.1}", x - r, y - r, h = r * 1.6),
            Self::Bar => format!("M{x:.1} {:.1}v{:.1}", y - r * 1.6, r * 3.2),
        }
    }
}
