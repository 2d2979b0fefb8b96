//! What is wrong with a configuration, where, and what would be accepted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceCode};

/// The text of a configuration with its name; problems share it.
pub(super) type Source = Arc<NamedSource<String>>;

/// One finding: an error, or advice on a configuration that is accepted.
#[derive(Clone)]
pub struct Problem {
    severity: Severity,
    message: String,
    labels: Vec<(Range<usize>, String)>,
    help: Option<String>,
    source: Option<Source>,
}

impl Problem {
    fn new(severity: Severity, span: Range<usize>, message: impl Into<String>) -> Self {
        let labels = vec![(span, "here".to_owned())];
        Self { severity, message: message.into(), labels, help: None, source: None }
    }

    /// Something that keeps the configuration from being used.
    pub(super) fn error(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, message)
    }

    /// Something that will not work as it is written, or not in this build.
    pub(super) fn warning(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, message)
    }

    /// Something that is good to know.
    pub(super) fn advice(span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Advice, span, message)
    }

    /// Says what stands at the place.
    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        if let Some(first) = self.labels.first_mut() {
            first.1 = label.into();
        }
        self
    }

    /// Points at a second place.
    pub(super) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.labels.push((span, label.into()));
        self
    }

    /// Says what would be accepted.
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn with_source(mut self, source: &Source) -> Self {
        self.source = Some(source.clone());
        self
    }

    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// Where in the file it begins, in bytes.
    pub fn offset(&self) -> usize {
        self.labels.first().map_or(0, |(span, _)| span.start)
    }

    /// The line of the file that it points at, from 1.
    pub fn line(&self) -> usize {
        let text = self.source.as_ref().map_or("", |source| source.inner().as_str());
        let before = text.as_bytes().get(..self.offset()).unwrap_or_default();
        before.iter().filter(|&&byte| byte == b'\n').count() + 1
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would be accepted.
    pub fn accepted(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line(), self.message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().enumerate().map(|(at, (span, label))| {
            let label = Some(label.clone());
            if at == 0 {
                LabeledSpan::new_primary_with_span(label, span.clone())
            } else {
                LabeledSpan::new_with_span(label, span.clone())
            }
        })))
    }
}

/// Why a configuration cannot be used: every error that was found, in the order of the file.
#[derive(Debug, Clone)]
pub struct Report {
    name: String,
    problems: Vec<Problem>,
    cause: Option<Arc<std::io::Error>>,
}

impl Report {
    pub(super) fn new(name: &str, problems: Vec<Problem>) -> Self {
        Self { name: name.to_owned(), problems, cause: None }
    }

    pub(super) fn unreadable(name: &str, cause: std::io::Error) -> Self {
        Self { name: name.to_owned(), problems: Vec::new(), cause: Some(Arc::new(cause)) }
    }

    /// The errors, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cause.is_some() {
            return write!(f, "cannot read {}", self.name);
        }
        match self.problems.len() {
            1 => write!(f, "{} has an error", self.name),
            errors => write!(f, "{} has {errors} errors", self.name),
        }
    }
}

impl std::error::Error for Report {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl Diagnostic for Report {
    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}
