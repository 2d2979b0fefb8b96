use std::collections::BTreeSet;

use roxmltree::{Document, Node, ParsingOptions};

use super::*;
use crate::bench::example;
use crate::bench::record::{Outcome, Quantity};

/// The page as XML: an XML parser takes no tag that is not closed, no attribute without quotes and
/// no name twice, all of which a browser would mend. `meta` is the one element without an end.
fn xml(page: &str) -> String {
    let mut parts = page.split("<meta ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |page, part| page + "<meta " + &part.replacen('>', "/>", 1))
}

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(page, options).unwrap_or_else(|e| panic!("{e}"))
}

fn text(node: Node) -> String {
    node.descendants().filter(Node::is_text).filter_map(|n| n.text()).collect()
}

fn all<'a>(document: &'a Document, name: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

#[test]
fn every_record_has_a_section_that_the_summary_leads_to() {
    let records = example::records();
    let page = xml(&html(&records));
    let document = parse(&page);
    let sections: Vec<Node> = all(&document, "article").collect();
    assert_eq!(sections.len(), records.len());
    let mut named: Vec<String> = Vec::new();
    for section in sections {
        let id = section.attribute("id").expect("sections can be linked to");
        let link = format!("#{id}");
        let row = all(&document, "a").find(|a| a.attribute("href") == Some(&*link));
        let name = text(row.expect("the summary links to it"));
        let title = section.descendants().find(|n| n.has_tag_name("h3")).map(text);
        assert!(title.is_some_and(|title| title.starts_with(&name)), "{name}");
        named.push(name);
    }
    let mut expected: Vec<String> = records.into_iter().map(|r| r.scenario.name).collect();
    named.sort();
    expected.sort();
    assert_eq!(named, expected);
}

#[test]
fn identifiers_are_unique_and_links_lead_somewhere() {
    let page = xml(&html(&example::records()));
    let document = parse(&page);
    let mut ids = BTreeSet::new();
    for id in document.descendants().filter_map(|node| node.attribute("id")) {
        assert!(ids.insert(id), "`{id}` is there twice");
    }
    for link in all(&document, "a").filter_map(|a| a.attribute("href")) {
        let known = link.strip_prefix('#').is_some_and(|id| ids.contains(id));
        assert!(known || link.starts_with("data:"), "{link:.40}");
    }
}

#[test]
fn the_page_needs_nothing_else() {
    let mut records = example::records();
    records.push(example::hostile());
    let page = xml(&html(&records));
    let document = parse(&page);
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let foreign = ["script", "link", "img", "iframe", "object", "embed", "base", "form", "use"];
        assert!(!foreign.contains(&name), "<{name}>");
        for attribute in node.attributes() {
            let (key, value) = (attribute.name(), attribute.value());
            assert!(!key.starts_with("on") && !["src", "style", "srcset"].contains(&key), "{key}");
            let inside = key != "href" || value.starts_with('#') || value.starts_with("data:");
            assert!(inside, "{key}={value:.60}");
        }
    }
    for outside in ["url(", "@import", "http:", "https:"] {
        assert!(!STYLE.contains(outside), "the style sheet has `{outside}`");
    }
}

#[test]
fn hostile_names_are_only_text() {
    let record = example::hostile();
    let page = xml(&html(std::slice::from_ref(&record)));
    let document = parse(&page);
    let plain = |text: &str| text.replace('\u{1b}', "\u{fffd}");
    let titles: Vec<String> = all(&document, "h3").map(text).collect();
    let name = plain(&record.scenario.name);
    assert!(titles.iter().any(|title| title.contains(&name)), "{titles:?}");
    assert_eq!(all(&document, "style").count(), 1);
    let words: Vec<String> = document.descendants().filter(Node::is_text).map(text).collect();
    for said in [
        &*record.scenario.device,
        &*record.environment.cpu,
        "<i>key</i>",
        "]]><![CDATA[",
        "<iframe src=//example.com></iframe>",
        "a < b && c > d \"e\"",
    ] {
        assert!(words.iter().any(|word| word.contains(said)), "{said}");
    }
}

#[test]
fn paragraphs_hold_no_blocks() {
    let page = xml(&html(&example::records()));
    let document = parse(&page);
    for paragraph in all(&document, "p") {
        let block = ["p", "div", "ul", "dl", "table", "figure", "h2", "h3", "section"];
        let found = paragraph.descendants().skip(1).find(|n| block.contains(&n.tag_name().name()));
        assert!(found.is_none(), "a browser would end the paragraph before {found:?}");
    }
}

#[test]
fn pictures_say_what_they_show() {
    let page = xml(&html(&example::records()));
    let document = parse(&page);
    let mut pictures = 0;
    for picture in all(&document, "svg") {
        assert_eq!(picture.attribute("role"), Some("img"));
        let title = picture.first_element_child().expect("a picture has a title");
        assert!(title.has_tag_name("title") && text(title).len() > 10, "{title:?}");
        pictures += 1;
    }
    assert!(pictures > 60, "{pictures}");
}

/// Records whose names take more room than there is.
fn named_at_length() -> Vec<Record> {
    let long = |what: &str| format!("{what} of a very long name that nobody wanted to shorten");
    let mut records = example::records();
    for record in &mut records {
        record.scenario.name = long("a scenario");
        record.scenario.device = long("a device");
        match &mut record.result {
            Outcome::Compare(answer) => {
                (answer.a, answer.b) = (long("one"), long("other"));
                answer.figure = long("a figure");
            }
            Outcome::Scale(answer) => answer.axis = long("an axis"),
            Outcome::Failover(answer) => {
                answer.runs.iter_mut().for_each(|run| run.event = long("an event"));
            }
            Outcome::Throughput(answer) => {
                answer.steps.clear();
                answer.goals.iter_mut().for_each(|goal| goal.name = long("a goal"));
            }
            _ => {}
        }
    }
    records
}

/// A label of a picture: its text and its left, top, right and bottom edge.
fn labels(picture: Node) -> Vec<(String, [f64; 4])> {
    let number = |node: &Node, name| -> f64 {
        node.attribute(name).and_then(|value| value.parse().ok()).expect("a place is a number")
    };
    let labels = picture.descendants().filter(|node| node.has_tag_name("text")).map(|node| {
        let said = text(node);
        // Narrower than what the layout reserves: Arial's widths have no room to spare.
        let width = super::svg::width(&said, 12.0) / 1.06;
        let x = number(&node, "x");
        let left = match node.attribute("text-anchor") {
            Some("end") => x - width,
            Some("middle") => x - width / 2.0,
            _ => x,
        };
        let base = number(&node, "y");
        (said, [left, base - 9.0, left + width, base + 2.0])
    });
    labels.filter(|(said, _)| !said.is_empty()).collect()
}

#[test]
fn labels_stay_in_their_picture_and_do_not_cover_each_other() {
    let mut records = example::records();
    records.extend(named_at_length());
    let page = xml(&html(&records));
    let document = parse(&page);
    let mut complaints = BTreeSet::new();
    for picture in all(&document, "svg").filter(|p| p.attribute("class") != Some("meter")) {
        let size: Vec<f64> = picture
            .attribute("viewBox")
            .map(|view| view.split(' ').filter_map(|n| n.parse().ok()).collect())
            .expect("a picture has a size");
        let name = picture.first_element_child().map(text).unwrap_or_default();
        let labels = labels(picture);
        for (index, (said, [left, top, right, bottom])) in labels.iter().enumerate() {
            let inside =
                *left >= -1.0 && *top >= -1.0 && *right <= size[2] + 1.0 && *bottom <= size[3];
            if !inside {
                complaints.insert(format!("`{said}` leaves {name:.50} at {}", size[2]));
            }
            for (other, [l, t, r, b]) in &labels[..index] {
                if left < r && l < right && top < b && t < bottom {
                    complaints
                        .insert(format!("`{said}` covers `{other}` in {name:.50} at {}", size[2]));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}\n", Vec::from_iter(complaints).join("\n"));
}

/// Every record without what a record may lack.
fn bare() -> Vec<Record> {
    let mut records = example::records();
    for record in &mut records {
        record.trials.clear();
        record.notes.clear();
        record.hiccup = None;
        record.calibration = None;
        record.environment = super::record::Environment::default();
        match &mut record.result {
            Outcome::Calibration(answer) => answer.lines.nominal = None,
            Outcome::Cost(answer) => {
                answer.cold = None;
                answer.hot.runs.clear();
            }
            Outcome::Throughput(answer) => answer.goals.clear(),
            Outcome::Latency(answer) => answer.points.clear(),
            Outcome::Loss(answer) => answer.points.clear(),
            Outcome::Limits(answer) => answer.drops.clear(),
            Outcome::Burst(answer) => answer.bursts.clear(),
            Outcome::Recovery(answer) => {
                answer.to_usual_latency = None;
                answer.to_last_loss = Quantity::seconds(0.0);
            }
            Outcome::Failover(answer) => answer.runs.clear(),
            Outcome::Sessions(answer) => {
                answer.capacity.clear();
                (answer.establishment, answer.tear_down) = (None, None);
                (answer.all_new, answer.all_open) = (None, None);
            }
            Outcome::Churn(answer) => answer.runs.clear(),
            Outcome::Scale(answer) => answer.points.clear(),
            Outcome::Compare(answer) => answer.pairs.clear(),
        }
    }
    records
}

/// Every record with one of what it may have many of.
fn single() -> Vec<Record> {
    let mut records = example::records();
    for record in &mut records {
        record.trials.truncate(1);
        match &mut record.result {
            Outcome::Latency(answer) => {
                answer.points.truncate(1);
                for point in &mut answer.points {
                    point.intended.curve.truncate(1);
                    point.intended.spread.samples = 1;
                    point.actual.curve.clear();
                    point.actual.spread.samples = 0;
                }
            }
            Outcome::Loss(answer) => answer.points.truncate(1),
            Outcome::Burst(answer) => answer.bursts.truncate(1),
            Outcome::Failover(answer) => answer.runs.truncate(1),
            Outcome::Sessions(answer) => answer.capacity.truncate(1),
            Outcome::Scale(answer) => answer.points.truncate(1),
            Outcome::Compare(answer) => answer.pairs.truncate(1),
            _ => {}
        }
    }
    records
}

#[test]
fn records_that_lack_something_make_a_page_too() {
    for records in [bare(), single(), Vec::new()] {
        let page = xml(&html(&records));
        let document = parse(&page);
        assert_eq!(all(&document, "article").count(), records.len());
        for node in document.descendants().filter(|n| n.ancestors().any(|a| a.has_tag_name("svg")))
        {
            for attribute in node.attributes() {
                let value = attribute.value();
                assert!(!value.contains("NaN") && !value.contains("inf"), "{value}");
            }
        }
    }
}

#[test]
fn the_same_records_make_the_same_page() {
    assert!(html(&example::records()) == html(&example::records()));
}

#[test]
fn the_records_can_be_saved_from_the_page() {
    let records = example::records();
    let page = html(&records);
    let (_, rest) =
        page.split_once("href=\"data:application/jsonl;charset=utf-8,").expect("a link");
    let (data, _) = rest.split_once('"').expect("an attribute ends");
    let mut bytes = Vec::new();
    let mut left = data.bytes();
    while let Some(byte) = left.next() {
        if byte == b'%' {
            let hex: String = left.by_ref().take(2).map(char::from).collect();
            bytes.push(u8::from_str_radix(&hex, 16).expect("two digits follow"));
        } else {
            bytes.push(byte);
        }
    }
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("saved.jsonl");
    std::fs::write(&path, bytes).expect("there is room");
    assert_eq!(record::read(&path).expect("it is a file of records"), records);
}

#[test]
fn what_all_records_say_is_said_once() {
    let mut records = example::records();
    for index in [0, 2] {
        records[index].notes.push("Not everywhere.".to_owned());
    }
    let page = html(&records);
    let (shown, _) = page.split_once("data:application").expect("the records come last");
    assert_eq!(shown.matches(example::MADE_UP).count(), 1);
    assert_eq!(shown.matches("Not everywhere.").count(), 2);
}

#[test]
fn every_verdict_is_explained() {
    let page = html(&example::records()[..1]);
    for kind in ["ok", "generator_bound", "sink_bound", "medium_bound", "contaminated"] {
        assert!(page.contains(&format!("</span> {kind}</span></dt>")), "{kind}");
    }
}

#[test]
fn a_report_is_made_from_several_files() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = |name: &str| folder.path().join(name);
    let store = |name: &str, records: &[Record]| {
        let mut bytes = Vec::new();
        for record in records {
            record::write(&mut bytes, record).expect("the record is whole");
        }
        std::fs::write(path(name), bytes).expect("there is room");
    };
    let records = example::records();
    store("a.jsonl", &records[..2]);
    store("b.jsonl", &records[2..3]);
    store("none.jsonl", &[]);
    let made = files(&[path("a.jsonl"), path("b.jsonl")], &path("report.html"));
    assert_eq!(made.expect("all can be read"), 3);
    let page = std::fs::read_to_string(path("report.html")).expect("it was written");
    assert!(page == html(&records[..3]));
    let said = |names: &[&str], to: &str| {
        let names: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
        files(&names, &path(to)).expect_err("something is missing").to_string()
    };
    assert!(said(&["a.jsonl", "none.jsonl"], "r.html").contains("none.jsonl: there is no record"));
    assert!(said(&["missing.jsonl"], "r.html").contains("missing.jsonl: the file cannot be read"));
    assert!(
        said(&["a.jsonl"], "no/folder/r.html").contains("r.html: the report cannot be written")
    );
}

#[test]
#[ignore = "writes target/bench-example.html for a look in a browser"]
fn the_example_for_a_look() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-example.html");
    std::fs::write(path, html(&example::records())).expect("the folder is there");
}
