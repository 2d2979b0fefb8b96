//! Names: what the configuration calls things, a type for each kind of thing.
//!
//! A name is the identity of a thing across reloads and between processes; indices into tables
//! are given out only when tables are compiled.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest name, in bytes; the service's own limit for a circuit's name.
pub const MAX_NAME: usize = 80;

/// A text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// There is no character at all.
    #[error("the name is empty")]
    Empty,
    /// It is longer than [`MAX_NAME`].
    #[error("the name is longer than {MAX_NAME} characters")]
    TooLong,
    /// This character is white space or a special character.
    #[error("the name contains {0:?}")]
    Character(char),
    /// The first character is neither a letter nor a digit.
    #[error("the name begins with {0:?}")]
    First(char),
}

/// Whether `text` is a name: letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(text: &str) -> Result<(), BadName> {
    let first = text.chars().next().ok_or(BadName::Empty)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(c) = text.chars().find(|&c| !allowed(c)) {
        return Err(BadName::Character(c));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(BadName::First(first));
    }
    if text.len() > MAX_NAME {
        return Err(BadName::TooLong);
    }
    Ok(())
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name that `text` is.
            ///
            /// # Errors
            /// When `text` is no name; see [`check_name`].
            pub fn new(text: &str) -> Result<Self, BadName> {
                check_name(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                Self::new(text)
            }
        }
    )*};
}

names! {
    /// The name of a port.
    PortName;
    /// The name of an ExpressRoute Direct port pair.
    DirectName;
    /// The name of a circuit.
    CircuitName;
    /// The name of a provider's side of a circuit.
    ProviderName;
    /// The name of a virtual network.
    VNetName;
    /// The name of a subnet, unique in its virtual network.
    SubnetName;
    /// The name of a VM's network interface, unique in its virtual network.
    NicName;
    /// The name of a network security group.
    NsgName;
    /// The name of a service behind the Microsoft peering.
    ServiceName;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_white_space_and_no_special_character() {
        assert_eq!(check_name("contoso-1_a.b"), Ok(()));
        assert_eq!(check_name("two words"), Err(BadName::Character(' ')));
        assert_eq!(check_name("né"), Err(BadName::Character('é')));
        assert_eq!(check_name(""), Err(BadName::Empty));
        assert_eq!(check_name("-a"), Err(BadName::First('-')));
        assert_eq!(check_name(&"a".repeat(81)), Err(BadName::TooLong));
    }
}
