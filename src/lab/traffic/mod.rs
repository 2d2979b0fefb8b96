//! Traffic in namespaces, measured.
