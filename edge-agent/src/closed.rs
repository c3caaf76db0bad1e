//! Closed lists: enums whose members have a stable name each and are counted one by one. One list, so that none is forgotten.

/// Defines such an enum, with `ALL`, `index` and `as_str`.
macro_rules! closed {
    ($(#[$about:meta])* pub enum $name:ident { $($(#[$doc:meta])* $member:ident = $label:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $member,)+
        }

        impl $name {
            /// All there are, each at its index.
            pub const ALL: [Self; [$($label),+].len()] = [$(Self::$member),+];

            /// Its place among all.
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }

            /// A stable name, for Cache-Status, logs and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $label,)+
                }
            }
        }
    };
}

pub(crate) use closed;
