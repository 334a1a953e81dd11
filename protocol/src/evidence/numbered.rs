//! Enumerations that the log holds as a number and people read as a name.

macro_rules! numbered {
    ($(#[$doc:meta])* $type:ident { $($variant:ident = $number:literal, $name:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $type { $(#[doc = $name] $variant,)* }

        impl $type {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The number in the log.
            pub fn number(self) -> u8 {
                match self { $(Self::$variant => $number,)* }
            }
            /// The stable name in JSON, file names and documents.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
            /// `None` for a number of a later version.
            pub fn from_number(number: u8) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
