//! BPF programs: their instructions, and bpf(2) to load one.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

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

const PROG_LOAD: libc::c_long = 5;
const SOCKET_FILTER: u32 = 1;

/// Loads a program of type socket filter.
///
/// # Errors
/// `EPERM` without CAP_BPF, `EACCES` or `EINVAL` when the verifier refuses the program.
pub fn load_socket_filter(program: &[Extended]) -> io::Result<OwnedFd> {
    let instructions =
        u32::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG))?;
    let load = Load {
        program_type: SOCKET_FILTER,
        instructions,
        program: program.as_ptr().addr() as u64,
        license: c"Apache-2.0".as_ptr().addr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
    };
    // SAFETY: `load` is laid out as the kernel expects; program and licence outlive the call.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>() as libc::c_long)
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel just returned this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
