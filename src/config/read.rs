//! Walking a parsed document: values with their places, and tables that know their keys.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::names::Names;
use super::problem::Problem;
use super::schema::Schema;
use crate::model::{Edition, Service};

/// What the readers of one document share: the names it declares, and what was found so far.
pub(super) struct Ctx {
    pub(super) names: Names,
    problems: RefCell<Vec<Problem>>,
    errors: Cell<usize>,
    service: Cell<Service>,
}

impl Ctx {
    pub(super) fn new() -> Self {
        Self {
            names: Names::default(),
            problems: RefCell::default(),
            errors: Cell::new(0),
            service: Cell::default(),
        }
    }

    /// Takes down a finding; always `None`, so that a reader can end with it.
    pub(super) fn report<T>(&self, problem: Problem) -> Option<T> {
        if problem.is_error() {
            self.errors.set(self.errors.get() + 1);
        }
        self.problems.borrow_mut().push(problem);
        None
    }

    /// Sets the rules that hold; before any section that asks.
    pub(super) fn set_service(&self, service: Service) {
        self.service.set(service);
    }

    /// Whether the older text of the rules holds.
    pub(super) fn seed(&self) -> bool {
        self.service.get().edition == Edition::Seed
    }

    /// Whether limits are enforced.
    pub(super) fn limits(&self) -> bool {
        self.service.get().limits
    }

    /// How many errors there are so far.
    pub(super) fn errors(&self) -> usize {
        self.errors.get()
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A value and its place.
#[derive(Clone)]
pub(super) struct Node<'a> {
    /// The key that it stands under, for messages.
    pub(super) name: String,
    pub(super) value: &'a DeValue<'a>,
    /// What to point at: the value, or the name of a table.
    pub(super) span: Range<usize>,
}

impl<'a> Node<'a> {
    fn child(key: &Spanned<std::borrow::Cow<'a, str>>, value: &'a Spanned<DeValue<'a>>) -> Self {
        let span = if value.get_ref().is_table() { key.span() } else { value.span() };
        Self { name: key.get_ref().to_string(), value: value.get_ref(), span }
    }

    /// The value under `key` where this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        let (key, value) = self.value.as_table()?.get_key_value(key)?;
        Some(Self::child(key, value))
    }

    /// The value under `key`, or this one: a place that exists.
    pub(super) fn at(&self, key: &str) -> Node<'a> {
        self.get(key).unwrap_or_else(|| self.clone())
    }

    /// The values of an array; none when it is something else.
    pub(super) fn items(&self) -> Vec<Node<'a>> {
        let items = self.value.as_array().into_iter().flat_map(|array| array.iter());
        items
            .map(|item| Node { name: self.name.clone(), value: item.get_ref(), span: item.span() })
            .collect()
    }

    /// The entries of a table in the order of the file; none when it is something else.
    pub(super) fn entries(&self) -> Vec<Node<'a>> {
        self.value.as_table().map(entries).unwrap_or_default()
    }

    /// What kind of value it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }

    /// Reports that something else was expected.
    pub(super) fn wrong_type<T>(&self, ctx: &Ctx, expected: &str) -> Option<T> {
        let message = format!("`{}` is {}, not {expected}", self.name, self.kind());
        ctx.report(Problem::error(self.span.clone(), message).label(format!("expected {expected}")))
    }
}

/// The entries of a table in the order of the file.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Node<'a>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries.into_iter().map(|(key, value)| Node::child(key, value)).collect()
}

/// A value that was read, with its place, for the checks that compare it with others.
pub(super) struct Entry<'a, T> {
    pub(super) node: Node<'a>,
    pub(super) value: T,
}

/// A table whose keys are known.
pub(super) struct Section<'a, 'c> {
    pub(super) ctx: &'c Ctx,
    pub(super) node: Node<'a>,
    /// How messages call it: "circuit contoso".
    pub(super) title: String,
    schema: &'static Schema,
    errors_before: usize,
}

impl<'a, 'c> Section<'a, 'c> {
    /// Begins to read a table, and reports the keys that it should not have.
    pub(super) fn open(
        ctx: &'c Ctx,
        node: &Node<'a>,
        title: impl Into<String>,
        schema: &'static Schema,
    ) -> Option<Self> {
        let errors_before = ctx.errors();
        if !node.value.is_table() {
            return node.wrong_type(ctx, "a table");
        }
        let title = title.into();
        for entry in node.entries() {
            if !schema.keys.contains(&entry.name.as_str()) {
                unknown_key(ctx, node, &entry, &title, schema);
            }
        }
        Some(Self { ctx, node: node.clone(), title, schema, errors_before })
    }

    /// The value under `key`.
    pub(super) fn get(&self, key: &str) -> Option<Node<'a>> {
        debug_assert!(self.schema.keys.contains(&key), "{key} is in the schema");
        self.node.get(key)
    }

    /// The value under `key`, read, if it is there.
    pub(super) fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'c Ctx, &Node<'a>) -> Option<T>,
    ) -> Option<T> {
        read(self.ctx, &self.get(key)?)
    }

    /// The value under `key`, read, which has to be there; `accepted` says what could be.
    pub(super) fn need<T>(
        &self,
        key: &str,
        accepted: &str,
        read: impl FnOnce(&'c Ctx, &Node<'a>) -> Option<T>,
    ) -> Option<T> {
        match self.get(key) {
            Some(node) => read(self.ctx, &node),
            None => self.ctx.report(
                Problem::error(self.node.span.clone(), format!("{} has no `{key}`", self.title))
                    .label(format!("`{key}` is missing"))
                    .help(format!("add {accepted}")),
            ),
        }
    }

    /// Reports an error at the value under `key`.
    pub(super) fn error(&self, key: &str, message: impl Into<String>, help: impl Into<String>) {
        let span = self.node.at(key).span;
        self.ctx.report::<()>(Problem::error(span, message).help(help));
    }

    /// Whether nothing was found wrong since the section was opened.
    pub(super) fn ok(&self) -> bool {
        self.ctx.errors() == self.errors_before
    }

    /// The entry, if nothing was found wrong.
    pub(super) fn entry<T>(self, value: Option<T>) -> Option<Entry<'a, T>> {
        let value = value.filter(|_| self.ok())?;
        Some(Entry { node: self.node, value })
    }
}

/// Each entry of the table of tables `node`, read by `read`.
pub(super) fn each<'a, T>(
    ctx: &Ctx,
    node: Option<&Node<'a>>,
    mut read: impl FnMut(&Node<'a>) -> Option<Entry<'a, T>>,
) -> Vec<Entry<'a, T>> {
    let Some(node) = node else { return Vec::new() };
    match node.value.as_table() {
        Some(table) => entries(table).iter().filter_map(&mut read).collect(),
        None => {
            let expected = format!("tables, as in [{}.NAME]", node.name);
            node.wrong_type::<()>(ctx, &expected);
            Vec::new()
        }
    }
}

/// Each table of the array of tables `node`, read by `read`.
pub(super) fn each_item<'a, T>(
    ctx: &Ctx,
    node: Option<&Node<'a>>,
    mut read: impl FnMut(&Node<'a>) -> Option<Entry<'a, T>>,
) -> Vec<Entry<'a, T>> {
    let Some(node) = node else { return Vec::new() };
    if !node.value.is_array() {
        let expected = format!("an array of tables, as in [[{}]]", node.name);
        node.wrong_type::<()>(ctx, &expected);
    }
    node.items().iter().filter_map(&mut read).collect()
}

/// How messages call an item of an array: "port ce-1", or "this port" when it has no `key`.
pub(super) fn titled(node: &Node<'_>, what: &str, key: &str) -> String {
    let name = node.get(key).and_then(|name| name.value.as_str().map(str::to_owned));
    name.map_or_else(|| format!("this {what}"), |name| format!("{what} {name}"))
}

fn unknown_key(ctx: &Ctx, table: &Node<'_>, entry: &Node<'_>, title: &str, schema: &Schema) {
    let key = &entry.name;
    let message = format!("{title} has no key `{key}`");
    let place = table
        .value
        .as_table()
        .and_then(|table| table.get_key_value(key.as_str()))
        .map_or(entry.span.clone(), |(key, _)| key.span());
    let problem = Problem::error(place, message);
    let problem = if let Some((_, why)) = schema.refused.iter().find(|(own, _)| own == key) {
        problem.label("refused").help(*why)
    } else {
        problem.label("unknown key").help(suggest(key, schema.keys.iter().copied(), "keys"))
    };
    ctx.report::<()>(problem);
}

/// "did you mean ...?", if one of `known` is near, and the list of them.
pub(super) fn suggest<'k>(
    text: &str,
    known: impl IntoIterator<Item = &'k str>,
    what: &str,
) -> String {
    const SHOWN: usize = 24;
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|word| (distance(text, word), *word))
        .min()
        .filter(|(edits, word)| *edits <= word.chars().count().max(3) / 3);
    let mut list = known.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if known.len() > SHOWN {
        list.push_str(&format!(" and {} more", known.len() - SHOWN));
    }
    match nearest {
        Some((_, word)) => format!("did you mean `{word}`? The {what} are: {list}"),
        None => format!("the {what} are: {list}"),
    }
}

// Edits that turn one word into the other, upper and lower case alike: a character more, less or
// another, or two neighbours exchanged.
fn distance(a: &str, b: &str) -> usize {
    // Nobody's typing error is longer, and the product of the lengths is the work.
    const LONGEST: usize = 64;
    let lower = |text: &str| text.to_lowercase().chars().take(LONGEST).collect::<Vec<_>>();
    let (a, b) = (lower(a), lower(b));
    let mut edits = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                edits[i][j] = i + j;
                continue;
            }
            let other = usize::from(a[i - 1] != b[j - 1]);
            let replaced = edits[i - 1][j - 1] + other;
            edits[i][j] = replaced.min(edits[i - 1][j] + 1).min(edits[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                edits[i][j] = edits[i][j].min(edits[i - 2][j - 2] + 1);
            }
        }
    }
    edits[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("m356", "m365"), 1);
        assert_eq!(distance("Vlan", "vlan"), 0);
    }

    #[test]
    fn only_near_words_are_suggested() {
        assert!(suggest("bandwith", ["bandwidth", "sku"], "keys").contains("mean `bandwidth`"));
        assert!(!suggest("zzzz", ["bandwidth", "sku"], "keys").contains("mean"));
    }
}
