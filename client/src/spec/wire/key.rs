//! Public keys and key groups, to and from the wire.

use headland_proto::v1;

use super::{NotRepresentable, document::time};
use crate::spec::{KeyGroupSpec, PolicyDocument, PublicKeySpec, Spec};

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

        impl TryFrom<&v1::$Wire> for PolicyDocument<$Spec> {
            type Error = NotRepresentable;

            fn try_from(wire: &v1::$Wire) -> Result<Self, NotRepresentable> {
                Ok(Self {
                    kind: Some(<$Spec as Spec>::KIND),
                    id: wire.id.clone(),
                    etag: wire.etag.clone(),
                    revision: wire.revision,
                    create_time: time(wire.create_time.as_ref()),
                    update_time: time(wire.update_time.as_ref()),
                    managed: None,
                    config: wire
                        .config
                        .as_ref()
                        .map(Into::into)
                        .ok_or_else(|| NotRepresentable::new("config", "(none)"))?,
                })
            }
        }
    };
}

spec!(PublicKey, PublicKeyConfig, PublicKeySpec, public_key_pem);
spec!(KeyGroup, KeyGroupConfig, KeyGroupSpec, public_key_ids);
