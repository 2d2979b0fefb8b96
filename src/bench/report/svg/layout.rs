//! Where does everything stand? Turns plots into SVG of a given width.

use maud::{Markup, html};

use super::axis::Axis;
use super::plot::{Anchor, End, Head, Item, Mark, Plot};
use super::scale::{Scale, Tick};
use super::text;

/// Pixels of the text at ticks and labels.
const TEXT: f64 = 12.0;

/// Pixels between the baselines of two labels.
const LINE: f64 = 15.0;

/// Pixels around a mark.
const RADIUS: f64 = 3.6;

/// Under this width, names of rows stand above them and not beside.
const NARROW: f64 = 420.0;

/// Plots one above the other, with the same room at their sides, as one picture; its marks tell
/// more when they are `pointed` at.
pub(in super::super) fn draw(plots: &[Plot], width: f64, pointed: bool) -> Markup {
    let narrow = width < NARROW;
    let left = plots.iter().map(|plot| left(plot, narrow)).fold(0.0, f64::max).min(width * 0.4);
    let right = plots.iter().map(right).fold(0.0, f64::max).min(width * 0.42);
    let mut top = 0.0;
    let mut frames = Vec::new();
    for plot in plots {
        let frame = Frame::new(plot, (width, pointed), (left, width - right), top);
        top = frame.end();
        frames.push(frame);
    }
    let says: Vec<&str> = plots.iter().map(|plot| &*plot.says).collect();
    let says = says.join(" ");
    html! {
        svg viewBox=(format!("0 0 {width} {top:.0}")) role="img" aria-label=(says) {
            title { (says) }
            @for frame in &frames { (frame.render()) }
        }
    }
}

/// Room for the labels of the vertical axis.
fn left(plot: &Plot, narrow: bool) -> f64 {
    if narrow && matches!(plot.y.scale, Scale::Names(_)) {
        return 12.0;
    }
    let labels = y_ticks(plot, plot.height);
    labels.iter().map(|(_, label)| text::width(label, TEXT)).fold(0.0, f64::max) + 10.0
}

/// Room for the labels at the right edge, or for half a label of the horizontal axis.
fn right(plot: &Plot) -> f64 {
    let texts = plot.ends.iter().map(|end| end_text(plot, end));
    texts.map(|text| text::width(&text, TEXT) + 16.0).fold(18.0, f64::max)
}

/// The label, with an arrow where its value lies above the axis.
fn end_text(plot: &Plot, end: &End) -> String {
    let arrow = if plot.y.scale.place(end.y) > 1.0 { "↑ " } else { "" };
    format!("{arrow}{}", end.text)
}

/// Ticks of the vertical axis; those of ratios stand closer, being powers of ten.
fn y_ticks(plot: &Plot, height: f64) -> Vec<(Tick, String)> {
    let each = if matches!(plot.y.scale, Scale::Loss { .. }) { 18.0 } else { 42.0 };
    plot.y.ticks(wanted(height, each))
}

/// How many ticks there is room for.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few")]
fn wanted(room: f64, each: f64) -> usize {
    (room / each).clamp(2.0, 20.0) as usize
}

/// A plot with its place in the picture, in pixels.
struct Frame<'a> {
    plot: &'a Plot,
    /// Of the whole picture.
    width: f64,
    left: f64,
    right: f64,
    /// Of the title of the vertical axis.
    head: f64,
    top: f64,
    bottom: f64,
    narrow: bool,
    pointed: bool,
    /// The labels above: left edge and row of each.
    heads: Vec<(f64, usize)>,
}

impl<'a> Frame<'a> {
    fn new(
        plot: &'a Plot,
        (width, pointed): (f64, bool),
        (left, right): (f64, f64),
        above: f64,
    ) -> Self {
        let narrow = width < NARROW;
        let titled = !plot.y.heading().is_empty();
        let head = above + if titled { 14.0 } else { 2.0 };
        let (top, bottom, heads) = (head, head, Vec::new());
        let mut frame =
            Self { plot, width, left, right, head, top, bottom, narrow, pointed, heads };
        frame.heads = frame.place_heads();
        let rows = frame.heads.iter().map(|(_, row)| row + 1).max().unwrap_or(0);
        frame.top = head + rows as f64 * LINE + if titled { 10.0 } else { 6.0 };
        let names = matches!(plot.y.scale, Scale::Names(_)) && narrow;
        let height = if names { plot.height * 1.5 } else { plot.height };
        frame.bottom = frame.top + height;
        frame
    }

    /// Where the picture goes on below.
    fn end(&self) -> f64 {
        let titled = self.plot.labelled && !self.plot.x.heading().is_empty();
        self.bottom + if self.plot.labelled { 20.0 } else { 14.0 } + if titled { LINE } else { 0.0 }
    }

    fn x(&self, value: f64) -> f64 {
        self.left + self.plot.x.scale.place(value).clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Names begin at the top, everything else at the bottom.
    fn y(&self, value: f64) -> f64 {
        let place = self.plot.y.scale.place(value).clamp(0.0, 1.0);
        let height = self.bottom - self.top;
        match self.plot.y.scale {
            Scale::Names(_) => self.top + place * height,
            _ => self.bottom - place * height,
        }
    }

    fn render(&self) -> Markup {
        html! {
            (self.grid())
            @for item in &self.plot.items { (self.item(item)) }
            @for (head, place) in self.plot.heads.iter().zip(&self.heads) {
                (self.head(head, *place))
            }
            (self.ends())
        }
    }

    fn grid(&self) -> Markup {
        let (x, y) = (&self.plot.x, &self.plot.y);
        let named = matches!(y.scale, Scale::Names(_));
        let inside = named && self.narrow;
        let heading = y.heading();
        html! {
            @if !heading.is_empty() {
                text.axis x="0" y=(format!("{:.1}", self.head - 3.0)) {
                    (text::fit(&heading, TEXT, self.right))
                }
            }
            @for (tick, label) in y_ticks(self.plot, self.bottom - self.top) {
                @let at = self.y(tick.value);
                @if !named { (line("grid", (self.left, at), (self.right, at))) }
                @let room = if inside { self.right - self.left } else { self.left - 7.0 };
                @let label = text::fit(&label, TEXT, room);
                @if inside {
                    @let above = at - (self.bottom - self.top) / y.scale.ticks(0).len() as f64 * 0.27;
                    (label_at("tick name", "start", self.left, above, &label))
                } @else {
                    (label_at("tick", "end", self.left - 7.0, at + 4.0, &label))
                }
            }
            (line("base", (self.left, self.bottom), (self.right, self.bottom)))
            @if named && !inside { (line("base", (self.left, self.top), (self.left, self.bottom))) }
            (self.bottom_axis(x))
        }
    }

    fn bottom_axis(&self, axis: &Axis) -> Markup {
        let each = if matches!(axis.scale, Scale::Order(_)) { 46.0 } else { 78.0 };
        let mut free = f64::MIN;
        let ticks =
            axis.ticks(wanted(self.right - self.left, each)).into_iter().map(|(tick, label)| {
                let at = self.x(tick.value);
                let half = text::width(&label, TEXT) / 2.0;
                let fits = at - half > free + 6.0 && self.plot.labelled;
                let label = if fits { label } else { String::new() };
                if !label.is_empty() {
                    free = at + half;
                }
                (at, label)
            });
        let ticks: Vec<(f64, String)> = ticks.collect();
        let upright = matches!(axis.scale, Scale::Log { .. } | Scale::Nines { .. })
            || matches!(self.plot.y.scale, Scale::Names(_));
        let upright = upright && !matches!(axis.scale, Scale::Order(_));
        html! {
            @for (at, label) in &ticks {
                @if upright { (line("grid", (*at, self.top), (*at, self.bottom))) }
                (line("base", (*at, self.bottom), (*at, self.bottom + 4.0)))
                @if !label.is_empty() {
                    (label_at("tick", "middle", *at, self.bottom + 17.0, label))
                }
            }
            @if self.plot.labelled {
                @let heading = text::fit(&axis.heading(), TEXT, self.right);
                (label_at("axis", "end", self.right, self.bottom + 18.0 + LINE, &heading))
            }
        }
    }

    fn item(&self, item: &Item) -> Markup {
        let point = |(x, y): (f64, f64)| (self.x(x), self.y(y));
        match item {
            Item::Line { points, class } => {
                let points = path(points.iter().map(|at| point(*at)));
                html! { polyline class=(format!("line {class}")) points=(points) {} }
            }
            Item::Area { outline, class } => {
                let points = path(outline.iter().map(|at| point(*at)));
                html! { polygon class=(format!("area {class}")) points=(points) {} }
            }
            Item::Box { x, y, class, title } => {
                let (from, to) = (point((x.0, y.0)), point((x.1, y.1)));
                let (w, h) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
                html! {
                    rect class=(class) x=(one(from.0.min(to.0))) y=(one(from.1.min(to.1)))
                        width=(one(w.max(1.0))) height=(one(h)) { (self.tooltip(title)) }
                }
            }
            Item::Marks(marks) => html! { @for mark in marks { (self.mark(mark)) } },
            Item::Text { at, text, anchor, class } => {
                let (x, y) = point(*at);
                match anchor {
                    Anchor::Start => label_at(class, "start", x + 8.0, y + 4.0, text),
                    // Without room on its side, a label stands on the other.
                    Anchor::End if x - 8.0 - text::width(text, TEXT) < self.left => {
                        label_at(class, "start", x + 8.0, y + 4.0, text)
                    }
                    Anchor::End => label_at(class, "end", x - 8.0, y + 4.0, text),
                }
            }
            Item::Across { y, .. } if !self.plot.y.scale.holds(*y) => html! {},
            Item::Across { y, class } => {
                line(&format!("rule {class}"), (self.left, self.y(*y)), (self.right, self.y(*y)))
            }
        }
    }

    /// What is shown when a mark is pointed at. Small screens and paper know no pointing, and the
    /// texts are half of a picture's size.
    fn tooltip(&self, text: &str) -> Markup {
        html! { @if self.pointed && !text.is_empty() { title { (text) } } }
    }

    fn mark(&self, mark: &Mark) -> Markup {
        let (x, y) = (self.x(mark.at.0), self.y(mark.at.1));
        let class = format!("mark {}", mark.class);
        mark.shape.element((x, y), RADIUS, &class, &self.tooltip(&mark.title))
    }

    /// Left edge and row of each label above, so that none covers another.
    fn place_heads(&self) -> Vec<(f64, usize)> {
        let mut order: Vec<usize> = (0..self.plot.heads.len()).collect();
        order.sort_by(|a, b| self.plot.heads[*a].x.total_cmp(&self.plot.heads[*b].x));
        let mut places = vec![(0.0, 0); order.len()];
        let mut free: Vec<f64> = Vec::new();
        for index in order {
            let head = &self.plot.heads[index];
            let width = text::width(&self.beyond(head), TEXT);
            let most = (self.right + 14.0 - width).max(0.0);
            let from = (self.x(head.x) - width / 2.0).clamp(0.0, most);
            let row = free.iter().position(|free| from > *free).unwrap_or(free.len());
            if row == free.len() {
                free.push(0.0);
            }
            free[row] = from + width + 8.0;
            places[index] = (from, row);
        }
        places
    }

    /// The label, with an arrow where its line lies beyond the axis.
    fn beyond(&self, head: &Head) -> String {
        let arrow = if self.plot.x.scale.place(head.x) > 1.0 { " →" } else { "" };
        text::fit(&format!("{}{arrow}", head.text), TEXT, self.right)
    }

    fn head(&self, head: &Head, (from, row): (f64, usize)) -> Markup {
        let y = self.head + LINE * (row as f64 + 1.0);
        let at = self.x(head.x);
        let class = format!("rule {}", head.class);
        html! {
            @if self.plot.x.scale.holds(head.x) {
                (line(&class, (at, y + 3.0), (at, self.bottom)))
            }
            (label_at(&format!("end {}", head.class), "start", from, y, &self.beyond(head)))
        }
    }

    fn ends(&self) -> Markup {
        let mut ends: Vec<_> = self.plot.ends.iter().collect();
        ends.sort_by(|a, b| self.y(a.y).total_cmp(&self.y(b.y)));
        let wanted: Vec<f64> = ends.iter().map(|end| self.y(end.y)).collect();
        let places = apart(&wanted, self.top, self.bottom);
        html! {
            @for ((end, at), place) in ends.iter().zip(&wanted).zip(places) {
                @let beyond = self.plot.y.scale.place(end.y) > 1.0;
                @if !beyond && (at - place).abs() > 3.0 {
                    (line("leader", (self.right + 1.0, *at), (self.right + 8.0, place)))
                }
                @let text = text::fit(&end_text(self.plot, end), TEXT, self.width - self.right - 10.0);
                (label_at(&format!("end {}", end.class), "start", self.right + 10.0, place + 4.0, &text))
            }
        }
    }
}

/// Places near the wanted ones, in the same order, a line apart from each other and, as far as
/// there is room, between the limits.
pub(super) fn apart(wanted: &[f64], low: f64, high: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    for index in 1..places.len() {
        places[index] = places[index].max(places[index - 1] + LINE);
    }
    let mut most = high;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE;
    }
    // More labels than room: the first ones stay in the picture.
    let mut least = low - LINE;
    for place in &mut places {
        *place = place.max(least);
        least = *place + LINE;
    }
    places
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(one(from.0)) y1=(one(from.1)) x2=(one(to.0)) y2=(one(to.1)) {} }
}

fn label_at(class: &str, anchor: &str, x: f64, y: f64, text: &str) -> Markup {
    html! { text class=(class) text-anchor=(anchor) x=(one(x)) y=(one(y)) { (text) } }
}

/// A tenth of a pixel is enough.
fn one(value: f64) -> String {
    format!("{value:.1}")
}

/// Points of a line; those that no eye tells from the one before are left out.
fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    let mut last = (f64::MIN, f64::MIN);
    let mut skipped = None;
    for (x, y) in points {
        if (x - last.0).abs() < 0.5 && (y - last.1).abs() < 0.5 {
            skipped = Some((x, y));
            continue;
        }
        text += &format!("{x:.1},{y:.1} ");
        (last, skipped) = ((x, y), None);
    }
    if let Some((x, y)) = skipped {
        text += &format!("{x:.1},{y:.1}");
    }
    text.trim_end().to_owned()
}
