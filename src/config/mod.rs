//! What does the configuration file say, and what is wrong with it?
//!
//! Text becomes a document with places, the document becomes values section by section, and the
//! values are checked against each other; only a text without an error becomes a [`Model`]. Every
//! error of a text is found in one run, names its line and says what would be accepted. Notes on a
//! text that is accepted are [`Loaded::advice`].
//!
//! Nothing here looks at the host: whether an interface exists is for those who open it.

mod check;
mod circuit;
mod connection;
mod gateway;
mod global;
mod names;
mod nat;
mod nsg;
mod peering;
mod port;
mod problem;
mod provider;
mod read;
mod schema;
mod value;
mod vnet;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use miette::NamedSource;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub use problem::{Problem, Report};

use crate::model::{
    Cable, Circuit, Connection, Direct, Model, Nsg, Port, Provider, ServiceEndpoint, StaticRoute,
    VNet, VNetPeering,
};
use problem::Source;
use read::{Ctx, Entry, Node, Section, each, each_item};

/// The largest file that is read, in bytes.
pub const MAX_SIZE: u64 = 64 << 20;

/// A configuration that can be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What it says.
    pub model: Model,
    /// What is good to know about it, in the order of the file.
    pub advice: Vec<Problem>,
}

/// Reads a file.
///
/// # Errors
/// When it cannot be read, or has errors: all of them.
pub fn load(path: &Path) -> Result<Loaded, Report> {
    let name = path.display().to_string();
    let text = read_text(path).map_err(|cause| Report::unreadable(&name, cause))?;
    parse(&name, &text)
}

fn read_text(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    let size = std::fs::File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if size as u64 > MAX_SIZE {
        let message = format!("the file is larger than {MAX_SIZE} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, message));
    }
    Ok(text)
}

/// Reads a text; `name` is what findings call it.
///
/// # Errors
/// When it has errors: all of them.
pub fn parse(name: &str, text: &str) -> Result<Loaded, Report> {
    let (document, syntax) = DeTable::parse_recoverable(text);
    let mut ctx = Ctx::new();
    for error in &syntax {
        let span = error.span().unwrap_or(0..0);
        ctx.report::<()>(
            Problem::error(span, error.message().to_owned()).label("this is not TOML"),
        );
    }
    // What follows a syntax error is a guess: its errors would mislead.
    let model = if syntax.is_empty() { document_model(&mut ctx, document) } else { None };
    let failed = ctx.errors() > 0;
    let source: Source = Arc::new(NamedSource::new(name, text.to_owned()).with_language("toml"));
    let mut problems: Vec<Problem> =
        ctx.into_problems().into_iter().map(|problem| problem.with_source(&source)).collect();
    problems.sort_by_key(Problem::offset);
    match model {
        Some(model) if !failed => Ok(Loaded { model, advice: problems }),
        // Notes would bury what has to be mended first.
        _ => {
            problems.retain(Problem::is_error);
            Err(Report::new(name, problems))
        }
    }
}

/// Everything that was read without an error of its own, with its place.
struct Draft<'a> {
    ports: Vec<Entry<'a, Port>>,
    cables: Vec<Entry<'a, Cable>>,
    directs: Vec<Entry<'a, Direct>>,
    circuits: Vec<Entry<'a, Circuit>>,
    providers: Vec<Entry<'a, Provider>>,
    vnets: Vec<Entry<'a, VNet>>,
    vnet_peerings: Vec<Entry<'a, VNetPeering>>,
    /// Whether no peering between networks had an error.
    all_peered: bool,
    udrs: Vec<Entry<'a, vnet::UdrAt>>,
    nsgs: Vec<Entry<'a, Nsg>>,
    connections: Vec<Entry<'a, Connection>>,
    services: Vec<Entry<'a, ServiceEndpoint>>,
    routes: Vec<Entry<'a, StaticRoute>>,
}

fn document_model(ctx: &mut Ctx, document: Spanned<DeTable<'_>>) -> Option<Model> {
    names::Names::gather(ctx, document.get_ref());
    let value = DeValue::Table(document.into_inner());
    let root = Node { name: "the file".to_owned(), value: &value, span: 0..0 };
    sections(ctx, &root)
}

fn sections(ctx: &Ctx, root: &Node<'_>) -> Option<Model> {
    let table = Section::open(ctx, root, "the file", &schema::ROOT)?;
    let mut model = Model {
        service: table.read("service", global::service).unwrap_or_default(),
        workers: table.read("workers", global::workers).unwrap_or_default(),
        api: table.read("api", global::api).unwrap_or_default(),
        icmp: table.read("icmp", global::icmp).unwrap_or_default(),
        ..Model::default()
    };
    ctx.set_service(model.service);
    let get = |key| table.get(key);
    let directs = each(ctx, get("direct").as_ref(), |n| circuit::direct(ctx, n));
    let circuits = each(ctx, get("circuit").as_ref(), |n| circuit::circuit(ctx, n, &directs));
    let vnets = each(ctx, get("vnet").as_ref(), |n| vnet::vnet(ctx, n));
    let before = ctx.errors();
    let vnet_peerings =
        each_item(ctx, get("vnet_peering").as_ref(), |n| vnet::vnet_peering(ctx, n, &vnets));
    let all_peered = ctx.errors() == before;
    let mut draft = Draft {
        ports: each_item(ctx, get("port").as_ref(), |n| port::port(ctx, n)),
        cables: each_item(ctx, get("cable").as_ref(), |n| port::cable(ctx, n)),
        directs,
        circuits,
        providers: each(ctx, get("provider").as_ref(), |n| provider::provider(ctx, n)),
        vnets,
        vnet_peerings,
        all_peered,
        udrs: each_item(ctx, get("udr").as_ref(), |n| vnet::udr(ctx, n)),
        nsgs: each_item(ctx, get("nsg").as_ref(), |n| nsg::nsg(ctx, n)),
        connections: each_item(ctx, get("connection").as_ref(), |n| connection::connection(ctx, n)),
        services: each(ctx, get("service_endpoint").as_ref(), |n| {
            connection::service_endpoint(ctx, n)
        }),
        routes: each_item(ctx, get("route").as_ref(), |n| connection::route(ctx, n)),
    };
    check::check(ctx, &mut draft, &model);
    draft.fill(&mut model);
    check::advise(ctx, &draft, &model);
    Some(model)
}

impl Draft<'_> {
    // The places stay for the advice, so values are cloned.
    fn fill(&self, model: &mut Model) {
        fn values<T: Clone>(entries: &[Entry<'_, T>]) -> Vec<T> {
            entries.iter().map(|entry| entry.value.clone()).collect()
        }
        model.ports = values(&self.ports);
        model.cables = values(&self.cables);
        model.directs = values(&self.directs);
        model.circuits = values(&self.circuits);
        model.providers = values(&self.providers);
        model.vnets = values(&self.vnets);
        model.vnet_peerings = values(&self.vnet_peerings);
        model.nsgs = values(&self.nsgs);
        model.connections = values(&self.connections);
        model.services = values(&self.services);
        model.routes = values(&self.routes);
    }
}
