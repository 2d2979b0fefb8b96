//! BPF programs and maps: instructions, and bpf(2) to load and attach them.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use zerocopy::{Immutable, IntoBytes};

/// One instruction of classic BPF (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct Classic {
    /// Class, size and mode or operation.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jump_true: u8,
    /// Instructions to skip when it does not.
    pub jump_false: u8,
    /// The operand.
    pub k: u32,
}

/// One instruction of eBPF (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoBytes, Immutable)]
#[repr(C)]
pub struct Extended {
    /// Class, size and mode or operation.
    pub code: u8,
    /// Destination register in the low half, source register in the high one.
    pub registers: u8,
    /// Instructions to skip, for jumps.
    pub offset: i16,
    /// The operand.
    pub immediate: i32,
}

/// What a program is for (`enum bpf_prog_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It looks at packets of a socket or of a TAP.
    SocketFilter = 1,
    /// It decides about packets as an interface sends them.
    Classifier = 3,
    /// It decides about frames as an interface receives them.
    Xdp = 6,
}

/// Where on an interface a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// [`Kind::Xdp`]: in the kernel's own receive path, with any driver.
    Generic,
    /// [`Kind::Xdp`]: in the driver.
    Native,
    /// [`Kind::Classifier`]: before the driver sends.
    Egress,
}

impl Hook {
    /// `enum bpf_attach_type`, and `XDP_FLAGS_*`.
    const fn numbers(self) -> (u32, u32) {
        match self {
            Hook::Generic => (37, 1 << 1),
            Hook::Native => (37, 1 << 2),
            Hook::Egress => (47, 0),
        }
    }
}

/// The start of `union bpf_attr` as BPF_PROG_LOAD reads it; what follows counts as zero.
#[repr(C)]
struct Load {
    program_type: u32,
    instructions: u32,
    program: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
}

/// The same for BPF_MAP_CREATE.
#[repr(C)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
}

/// The same for BPF_MAP_UPDATE_ELEM.
#[repr(C)]
struct Update {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// The same for BPF_LINK_CREATE.
#[repr(C)]
struct NewLink {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const LINK_CREATE: libc::c_long = 28;
const XSKMAP: u32 = 17;

/// Calls bpf(2).
///
/// # Safety
/// `attributes` is laid out as `command` reads it, and what its pointers point at outlives the call.
unsafe fn call<T>(command: libc::c_long, attributes: &T) -> io::Result<i32> {
    // SAFETY: the caller's promise; the kernel keeps no pointer.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>() as libc::c_long,
        )
    };
    i32::try_from(answer).ok().filter(|n| *n >= 0).ok_or_else(io::Error::last_os_error)
}

/// # Safety
/// As [`call`], of a command that answers with a new descriptor.
unsafe fn open<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: the caller's promise.
    let fd = unsafe { call(command, attributes) }?;
    // SAFETY: the kernel just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn number(fd: &impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd().cast_unsigned()
}

/// Loads a program.
///
/// # Errors
/// `EPERM` without CAP_BPF, `EACCES` or `EINVAL` when the verifier refuses the program.
pub fn load(kind: Kind, program: &[Extended]) -> io::Result<OwnedFd> {
    let instructions =
        u32::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let load = Load {
        program_type: kind as u32,
        instructions,
        program: program.as_ptr().expose_provenance() as u64,
        license: c"Apache-2.0".as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `load` is laid out as the kernel expects; program and licence outlive the call.
    unsafe { open(PROG_LOAD, &load) }
}

/// Makes a map of XDP sockets, all of its places empty.
///
/// # Errors
/// `EPERM` without CAP_BPF, `ENOMEM`.
pub fn socket_map(entries: u32) -> io::Result<OwnedFd> {
    let map = NewMap { kind: XSKMAP, key_size: 4, value_size: 4, entries };
    // SAFETY: `map` is laid out as the kernel expects and points at nothing.
    unsafe { open(MAP_CREATE, &map) }
}

/// Puts an XDP socket into a place of such a map; it leaves it by itself when it is closed.
///
/// # Errors
/// `E2BIG` beyond the map's end, `EOPNOTSUPP` for a socket without rings.
pub fn put_socket(map: impl AsFd, at: u32, socket: impl AsFd) -> io::Result<()> {
    // By reference: a descriptor that is given away would be closed too early.
    let value = number(&socket);
    let update = Update {
        map: number(&map),
        padding: 0,
        key: std::ptr::from_ref(&at).expose_provenance() as u64,
        value: std::ptr::from_ref(&value).expose_provenance() as u64,
        flags: 0,
    };
    // SAFETY: `update` is laid out as the kernel expects; key and value have the map's sizes of
    // four bytes and outlive the call.
    unsafe { call(MAP_UPDATE, &update) }.map(drop)
}

/// Attaches a program to an interface of the calling thread's namespace, until the returned
/// descriptor is closed.
///
/// # Errors
/// `EPERM` without CAP_NET_ADMIN; `EBUSY` or `EEXIST` when another program is attached;
/// `EOPNOTSUPP` and others when the driver cannot.
pub fn attach(program: impl AsFd, index: u32, hook: Hook) -> io::Result<OwnedFd> {
    let (attach_type, flags) = hook.numbers();
    let link = NewLink { program: number(&program), interface: index, attach_type, flags };
    // SAFETY: `link` is laid out as the kernel expects and points at nothing.
    unsafe { open(LINK_CREATE, &link) }
}
