//! The names that a document declares, gathered before anything else is read, so that a reference
//! to a thing with errors of its own is not an error too.

use std::ops::Range;

use toml::de::DeTable;

use super::problem::Problem;
use super::read::{Ctx, Node, entries, suggest};
use super::value::{name, text};
use crate::model::BadName;

/// What things of one kind there are.
#[derive(Default)]
pub(super) struct Kind {
    what: &'static str,
    how: &'static str,
    names: Vec<(String, Range<usize>)>,
}

impl Kind {
    fn of(what: &'static str, how: &'static str) -> Self {
        Self { what, how, names: Vec::new() }
    }

    fn declared(&self, name: &str) -> bool {
        self.names.iter().any(|(own, _)| own == name)
    }
}

/// The names of everything that is referred to by name.
#[derive(Default)]
pub(super) struct Names {
    pub(super) ports: Kind,
    pub(super) directs: Kind,
    pub(super) circuits: Kind,
    pub(super) vnets: Kind,
    pub(super) nsgs: Kind,
}

impl Names {
    /// The names that `document` declares. Reports those of arrays that are declared twice; the
    /// tables' are the parser's to refuse.
    pub(super) fn gather(ctx: &mut Ctx, document: &DeTable<'_>) {
        ctx.names = Names {
            ports: Kind::of("port", "[[port]] with this name"),
            directs: Kind::of("direct", "[direct.NAME]"),
            circuits: Kind::of("circuit", "[circuit.NAME]"),
            vnets: Kind::of("vnet", "[vnet.NAME]"),
            nsgs: Kind::of("nsg", "[[nsg]] with this name"),
        };
        let mut twice = Vec::new();
        for node in entries(document) {
            let kind = match node.name.as_str() {
                "port" => &mut ctx.names.ports,
                "direct" => &mut ctx.names.directs,
                "circuit" => &mut ctx.names.circuits,
                "vnet" => &mut ctx.names.vnets,
                "nsg" => &mut ctx.names.nsgs,
                _ => continue,
            };
            kind.names.extend(node.entries().into_iter().map(|entry| (entry.name, entry.span)));
            for item in node.items() {
                let Some(own) = item.get("name") else { continue };
                let Some(text) = own.value.as_str() else { continue };
                if let Some((_, first)) = kind.names.iter().find(|(known, _)| known == text) {
                    twice.push(
                        Problem::error(
                            own.span,
                            format!("there are two {}s named {text}", kind.what),
                        )
                        .label("the second")
                        .also(first.clone(), "the first"),
                    );
                } else {
                    kind.names.push((text.to_owned(), own.span));
                }
            }
        }
        for problem in twice {
            ctx.report::<()>(problem);
        }
    }
}

/// The name of a thing that is declared.
pub(super) fn reference<T>(
    ctx: &Ctx,
    node: &Node<'_>,
    kind: &Kind,
    make: impl FnOnce(&str) -> Result<T, BadName>,
) -> Option<T> {
    let text = text(ctx, node)?;
    if kind.declared(text) {
        return name(ctx, node, text, make);
    }
    let help = if kind.names.is_empty() {
        format!("no {} is declared: add {}", kind.what, kind.how)
    } else {
        let known = kind.names.iter().map(|(name, _)| name.as_str());
        suggest(text, known, &format!("{}s", kind.what))
    };
    ctx.report(
        Problem::error(node.span.clone(), format!("there is no {} `{text}`", kind.what))
            .label("not declared")
            .help(help),
    )
}
