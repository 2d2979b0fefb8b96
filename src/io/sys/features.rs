//! Which super-frames does an interface take from its senders whole? Its features, by the names
//! that `ethtool -k` shows; the kernel gives their numbers no meaning across versions.
#![allow(unsafe_code)]

use std::io;

use super::interface::Interfaces;

// linux/ethtool.h
const GET_STRINGS: u32 = 0x1b;
const GET_FEATURES: u32 = 0x3a;
/// The set of features' names (`ETH_SS_FEATURES`).
const FEATURES: u32 = 4;
const GET_SET_INFO: u32 = 0x37;
/// Bytes of a name (`ETH_GSTRING_LEN`).
const NAME: usize = 32;
/// Words of 32 features that are looked at; the kernel has three.
const WORDS: usize = 8;
const MOST: usize = WORDS * 32;

/// `struct ethtool_sset_info` for one set.
#[repr(C)]
struct SetInfo {
    command: u32,
    reserved: u32,
    mask: u64,
    len: u32,
}

/// `struct ethtool_gstrings` with room for all names.
#[repr(C)]
struct Strings {
    command: u32,
    set: u32,
    len: u32,
    names: [[u8; NAME]; MOST],
}

/// `struct ethtool_get_features_block`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Block {
    available: u32,
    requested: u32,
    active: u32,
    never_changed: u32,
}

/// `struct ethtool_gfeatures` with room for all words.
#[repr(C)]
struct Features {
    command: u32,
    words: u32,
    blocks: [Block; WORDS],
}

/// Kinds of super-frames, as a driver tells them apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segmentation {
    /// TCP over IPv4 (`tx-tcp-segmentation`).
    pub tcp4: bool,
    /// TCP over IPv6 (`tx-tcp6-segmentation`).
    pub tcp6: bool,
    /// TCP whose first segment alone says that the window was reduced
    /// (`tx-tcp-ecn-segmentation`).
    pub ecn: bool,
    /// UDP (`tx-udp-segmentation`).
    pub udp: bool,
}

/// Where the kernel that runs keeps the features that matter here.
#[derive(Clone, Copy, Debug)]
pub struct FeatureNumbers {
    tcp4: Option<usize>,
    tcp6: Option<usize>,
    ecn: Option<usize>,
    udp: Option<usize>,
}

impl FeatureNumbers {
    /// Asks for the names; any interface's are the kernel's.
    ///
    /// # Errors
    /// `ENODEV` when there is no interface of that name.
    pub fn read(interfaces: &Interfaces, name: &str) -> io::Result<Self> {
        let mut info = SetInfo { command: GET_SET_INFO, reserved: 0, mask: 1 << FEATURES, len: 0 };
        interfaces.ethtool_with(name, &mut info)?;
        let len = (info.len as usize).min(MOST);
        let mut strings =
            Strings { command: GET_STRINGS, set: FEATURES, len: 0, names: [[0; NAME]; MOST] };
        if info.len as usize > MOST {
            // The kernel writes all names or none.
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        interfaces.ethtool_with(name, &mut strings)?;
        let number = |wanted: &str| {
            let is_it =
                |name: &[u8; NAME]| name.split(|byte| *byte == 0).next() == Some(wanted.as_bytes());
            strings.names[..len].iter().position(is_it)
        };
        Ok(Self {
            tcp4: number("tx-tcp-segmentation"),
            tcp6: number("tx-tcp6-segmentation"),
            ecn: number("tx-tcp-ecn-segmentation"),
            udp: number("tx-udp-segmentation"),
        })
    }

    /// What an interface takes now. Waits for the kernel's configuration lock.
    ///
    /// # Errors
    /// `ENODEV` when there is no interface of that name.
    pub fn segmentation(&self, interfaces: &Interfaces, name: &str) -> io::Result<Segmentation> {
        let words = u32::try_from(WORDS).expect("few");
        let mut features =
            Features { command: GET_FEATURES, words, blocks: [Block::default(); WORDS] };
        interfaces.ethtool_with(name, &mut features)?;
        let is_on = |number: Option<usize>| {
            number.is_some_and(|at| features.blocks[at / 32].active >> (at % 32) & 1 == 1)
        };
        Ok(Segmentation {
            tcp4: is_on(self.tcp4),
            tcp6: is_on(self.tcp6),
            ecn: is_on(self.ecn),
            udp: is_on(self.udp),
        })
    }
}

/// What the kernel fills for a command; starts with the command's number.
///
/// # Safety
/// The type is plain integers, and as large as the kernel writes for the command that it holds.
pub(super) unsafe trait Command {}

// SAFETY: plain integers; the kernel writes one length for each bit of the mask, of which one is
// set.
unsafe impl Command for SetInfo {}
// SAFETY: plain integers; the kernel writes all names, and the caller made sure that they fit.
unsafe impl Command for Strings {}
// SAFETY: plain integers; the kernel writes no more blocks than `words`.
unsafe impl Command for Features {}
