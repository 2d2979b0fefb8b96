//! Ports against the real kernel, each test in a network namespace of its own.

mod capture;
mod measure;
mod packet;
mod refusals;
mod support;
mod tap;
mod xdp;
