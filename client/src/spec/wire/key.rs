//! Public keys and key groups, to and from the wire.

use headland_proto::v1;

use super::document::document;
use crate::spec::{KeyGroupSpec, PublicKeySpec};

/// One kind: what it has beside name and comment.
macro_rules! spec {
    ($Wire:ident, $Config:ident, $Spec:ident, $field:ident) => {
        impl From<&$Spec> for v1::$Config {
            fn from(spec: &$Spec) -> Self {
                let $Spec { name, comment, $field, tags } = spec.clone();
                Self { name, comment, $field, tags }
            }
        }

        impl From<&v1::$Config> for $Spec {
            fn from(wire: &v1::$Config) -> Self {
                let v1::$Config { name, comment, $field, tags } = wire.clone();
                Self { name, comment, $field, tags }
            }
        }

        document!($Wire, $Spec, |_| None);
    };
}

spec!(PublicKey, PublicKeyConfig, PublicKeySpec, public_key_pem);
spec!(KeyGroup, KeyGroupConfig, KeyGroupSpec, public_key_ids);
