//! Socket options as plain values.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::answer;
use super::bpf::Classic;

fn size(of: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(of).expect("an option's value is small")
}

/// Sets an option.
///
/// # Errors
/// As setsockopt(2).
pub fn set<T: IntoBytes + Immutable>(
    fd: impl AsFd,
    level: i32,
    name: i32,
    value: &T,
) -> io::Result<()> {
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `size_of::<T>()` initialised bytes of `value` and keeps no pointer.
    let returned = unsafe {
        libc::setsockopt(fd, level, name, value.as_bytes().as_ptr().cast(), size(size_of::<T>()))
    };
    answer(returned).map(drop)
}

/// Reads an option.
///
/// # Errors
/// As getsockopt(2).
pub fn value<T: FromBytes + IntoBytes>(fd: impl AsFd, level: i32, name: i32) -> io::Result<T> {
    let mut value = T::new_zeroed();
    let mut len = size(size_of::<T>());
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the kernel writes at most `len` bytes into `value`, and any bytes are a valid `T`.
    let returned = unsafe {
        libc::getsockopt(fd, level, name, value.as_mut_bytes().as_mut_ptr().cast(), &raw mut len)
    };
    answer(returned)?;
    Ok(value)
}

/// Gives the kernel a classic BPF program under the option `name`.
///
/// # Errors
/// `EINVAL` when the kernel's checker refuses the program.
pub fn set_program(fd: impl AsFd, level: i32, name: i32, program: &[Classic]) -> io::Result<()> {
    let len =
        u16::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // `Classic` has the layout of `sock_filter`; the kernel only reads it.
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut().cast() };
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: `program` points at `len` instructions that live through the call.
    let returned = unsafe {
        libc::setsockopt(fd, level, name, (&raw const program).cast(), size(size_of_val(&program)))
    };
    answer(returned).map(drop)
}
