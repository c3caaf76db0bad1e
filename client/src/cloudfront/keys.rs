//! Public keys and key groups.

use headland_proto::model::Kind;
use serde_json::Value;

use super::{
    Context,
    fields::{Table, fields, object, put_text, text},
    report::Place,
};
use crate::spec::{KeyGroupSpec, PublicKeySpec};

const PUBLIC_KEY: &Table<PublicKeySpec> = &[
    ("CallerReference", |_, _, place| place.differs("a public key is known by its name")),
    ("Name", |key, value, place| put_text(&mut key.name, value, place)),
    ("Comment", |key, value, place| put_text(&mut key.comment, value, place)),
    ("EncodedKey", |key, value, place| {
        if let Some(pem) = text(value, place) {
            pem.clone_into(&mut key.public_key_pem);
            place.differs(
                "the key is the same, its id (Key-Pair-Id) is another; sign with the new id, which headland public-key list shows",
            );
        }
    }),
];

/// A public key.
pub(super) fn public_key(value: &Value, place: &mut Place<'_>) -> PublicKeySpec {
    let mut key = PublicKeySpec::default();
    object(PUBLIC_KEY, &mut key, value, place);
    key
}

/// What is read of a key group before its keys are known.
#[derive(Debug, Default)]
struct Draft {
    spec: KeyGroupSpec,
    /// CloudFront's ids of its keys.
    ids: Vec<String>,
}

const KEY_GROUP: &Table<Draft> = &[
    ("Name", |draft, value, place| put_text(&mut draft.spec.name, value, place)),
    ("Comment", |draft, value, place| put_text(&mut draft.spec.comment, value, place)),
    // A bare list, without Quantity.
    ("Items", |draft, value, place| match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                draft.ids.extend(text(item, &mut place.below(&format!("[{i}]"))).map(str::to_owned));
            }
        }
        _ => place.problem("is not a list of ids of public keys"),
    }),
];

/// A key group with those of its keys that are in the files. None if none is: nothing could be signed for it.
pub(super) fn key_group(value: &Value, context: &Context, place: &mut Place<'_>) -> Option<KeyGroupSpec> {
    fields(value, place)?;
    let mut draft = Draft::default();
    object(KEY_GROUP, &mut draft, value, place);
    let Draft { mut spec, ids } = draft;
    for (i, id) in ids.iter().enumerate() {
        let mut place = place.below(&format!(".Items[{i}]"));
        match context.names.name(Kind::PublicKey, id) {
            Some(name) => {
                spec.public_key_ids.push(name.to_owned());
                place.exact();
            }
            None => place.unsupported(format!(
                "the public key {id} is in none of the files, and left out: what is signed with it is refused; add what aws cloudfront \
                 get-public-key --id {id} prints"
            )),
        }
    }
    if spec.public_key_ids.is_empty() {
        place.unsupported("nothing is made of it: none of its public keys is in the files");
        return None;
    }
    Some(spec)
}
