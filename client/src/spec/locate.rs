//! Where each field stands in a file, so that an error can point at it.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

/// Line and column, both from 1.
pub(super) type Place = (u64, u64);

/// One value in a file.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    children: Children,
}

#[derive(Debug)]
enum Children {
    None,
    Fields(Vec<(String, Place, Node)>),
    Elements(Vec<Node>),
}

impl Node {
    /// The value of a field, if this is a mapping that has it.
    pub(super) fn field(&self, name: &str) -> Option<&Self> {
        match &self.children {
            Children::Fields(fields) => fields.iter().find(|(n, ..)| n == name).map(|(_, _, node)| node),
            _ => None,
        }
    }

    /// The value at a path such as `origins[1].s3.bucket`, or the nearest one above it that is there.
    pub(super) fn nearest(&self, path: &str) -> &Self {
        let mut node = self;
        for step in path.split(['.', '[']).filter(|s| !s.is_empty()) {
            let next = match (&node.children, step.strip_suffix(']')) {
                (Children::Elements(elements), Some(index)) => {
                    index.parse::<usize>().ok().and_then(|i| elements.get(i))
                }
                // A policy that is referred to by name has no field for its id.
                _ => node.field(step).or_else(|| node.field(step.strip_suffix("_id")?)),
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// Path of the field whose name or value begins exactly here; of the outermost, if several do.
    pub(super) fn path_at(&self, place: Place) -> Option<String> {
        if self.place == place {
            return Some(String::new());
        }
        match &self.children {
            Children::None => None,
            Children::Fields(fields) => fields.iter().find_map(|(name, at, node)| {
                let below = if *at == place { Some(String::new()) } else { node.path_at(place) };
                below.map(|rest| join(name, &rest))
            }),
            Children::Elements(elements) => elements
                .iter()
                .enumerate()
                .find_map(|(i, node)| node.path_at(place).map(|rest| join(&format!("[{i}]"), &rest))),
        }
    }
}

fn join(step: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with('[') { format!("{step}{rest}") } else { format!("{step}.{rest}") }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Children>::deserialize(deserializer)?;
        Ok(Self { place: (spanned.referenced.line(), spanned.referenced.column()), children: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Children {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Children;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_unit<E>(self) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_none<E>(self) -> Result<Children, E> {
        Ok(Children::None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Children, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Children, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Children::Elements(elements))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Children, A::Error> {
        let mut fields = Vec::new();
        while let Some(name) = map.next_key::<Spanned<String>>()? {
            let place = (name.referenced.line(), name.referenced.column());
            fields.push((name.value, place, map.next_value()?));
        }
        Ok(Children::Fields(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "comment: x\norigins:\n  - id: a\n    s3:\n      bucket: photos\n  - id: b\nenabled: ~\n";

    fn root() -> Node {
        serde_saphyr::from_str(FILE).expect("YAML")
    }

    #[test]
    fn fields_are_found_by_path() {
        for (path, place) in [
            ("comment", (1, 10)),
            ("origins[0].s3.bucket", (5, 15)),
            ("origins[1].id", (6, 9)),
            // What is not there is shown where it should be.
            ("origins[1].s3.bucket", (6, 5)),
            ("origins[7]", (3, 3)),
            ("aliases[0]", (1, 1)),
            ("", (1, 1)),
        ] {
            assert_eq!(root().nearest(path).place, place, "{path}");
        }
    }

    #[test]
    fn places_have_paths() {
        for (place, path) in [
            ((5, 15), Some("origins[0].s3.bucket")),
            ((5, 7), Some("origins[0].s3")),
            ((4, 5), Some("origins[0].s3")),
            ((6, 9), Some("origins[1].id")),
            ((2, 1), Some("origins")),
            ((9, 9), None),
        ] {
            assert_eq!(root().path_at(place).as_deref(), path, "{place:?}");
        }
    }
}
