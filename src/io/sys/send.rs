//! Many frames in one system call: sendmmsg(2).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Most frames of one call.
pub const MOST: usize = 64;

/// Sends up to [`MOST`] of `frames` in order without blocking, and returns how many went out.
///
/// # Errors
/// What stopped the first frame; a later frame's error shows when it is the first of a call.
pub fn send_many<'a>(fd: impl AsFd, frames: impl Iterator<Item = &'a [u8]>) -> io::Result<usize> {
    let mut places = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MOST];
    let mut len = 0;
    for (place, frame) in places.iter_mut().zip(frames) {
        // The kernel only reads through an iovec that is sent.
        *place = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        len += 1;
    }
    // SAFETY: all-zero bytes are a valid `mmsghdr`: no name, no control data, no places.
    let empty: libc::mmsghdr = unsafe { std::mem::zeroed() };
    let mut messages = [empty; MOST];
    for (message, place) in messages.iter_mut().zip(&mut places[..len]) {
        message.msg_hdr.msg_iov = place;
        message.msg_hdr.msg_iovlen = 1;
    }
    let count = libc::c_uint::try_from(len).expect("MOST is small");
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the first `count` headers each point at one iovec of `places`, which points at a
    // frame that `'a` keeps alive.
    let sent = unsafe { libc::sendmmsg(fd, messages.as_mut_ptr(), count, libc::MSG_DONTWAIT) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}
