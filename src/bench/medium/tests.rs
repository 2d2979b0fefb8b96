//! The tester, the wires and the devices against the real kernel, each test in namespaces of its
//! own.

mod cable;
mod devices;
mod sockets;
mod support;
