//! Databases of addresses, written as MaxMind's format wants them (MaxMind DB File Format Specification, version 2.0), so that what an
//! edge knows of its viewers is what a test says.

use std::net::IpAddr;

/// A value of the data section.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Text(&'static str),
    Double(f64),
    Float(f32),
    Short(u16),
    Number(u32),
    Long(u64),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

/// A record of MaxMind's own layout.
pub(crate) fn maxmind(country: &'static str, name: &'static str) -> Vec<(&'static str, Value)> {
    let names = |name| Value::Map(vec![("de", Value::Text("x")), ("en", Value::Text(name))]);
    vec![("country", Value::Map(vec![("iso_code", Value::Text(country)), ("names", names(name))]))]
}

/// The same for a place that is known in full.
pub(crate) fn seattle() -> Vec<(&'static str, Value)> {
    use Value::{Double, List, Map, Number, Short, Text};
    let names = |name| Map(vec![("en", Text(name))]);
    let mut record = maxmind("US", "United States");
    record.extend([
        ("city", Map(vec![("geoname_id", Number(5_809_844)), ("names", names("Seattle"))])),
        (
            "location",
            Map(vec![
                ("accuracy_radius", Short(20)),
                ("latitude", Double(47.6062)),
                ("longitude", Double(-122.3321)),
                ("metro_code", Short(819)),
                ("time_zone", Text("America/Los_Angeles")),
            ]),
        ),
        ("postal", Map(vec![("code", Text("98101"))])),
        (
            "subdivisions",
            List(vec![
                Map(vec![("iso_code", Text("WA")), ("names", names("Washington"))]),
                Map(vec![("iso_code", Text("KING"))]),
            ]),
        ),
    ]);
    record
}

/// Two records of a node: where each bit leads.
type Node = [Branch; 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    Nothing,
    Node(usize),
    Record(usize),
}

/// A database in which each of these networks has its record; no network is within another.
pub(crate) fn database(networks: &[(&str, Vec<(&'static str, Value)>)]) -> Vec<u8> {
    let mut tree: Vec<Node> = vec![[Branch::Nothing; 2]];
    let mut data = Vec::new();
    for (network, record) in networks {
        let at = data.len();
        write(&Value::Map(record.clone()), &mut data);
        insert(&mut tree, network, at);
    }
    let count = tree.len();
    let mut bytes = Vec::new();
    for branch in tree.iter().flatten() {
        let record = match branch {
            Branch::Nothing => count,
            Branch::Node(node) => *node,
            Branch::Record(offset) => count + 16 + offset,
        };
        bytes.extend_from_slice(&u32::try_from(record).expect("a small tree").to_be_bytes()[1..]);
    }
    bytes.extend_from_slice(&[0; 16]);
    bytes.extend_from_slice(&data);
    bytes.extend_from_slice(b"\xab\xcd\xefMaxMind.com");
    write(
        &Value::Map(vec![
            ("binary_format_major_version", Value::Short(2)),
            ("binary_format_minor_version", Value::Short(0)),
            ("build_epoch", Value::Long(1_700_000_000)),
            ("database_type", Value::Text("Test")),
            ("description", Value::Map(vec![("en", Value::Text("Made for a test"))])),
            ("ip_version", Value::Short(6)),
            ("languages", Value::List(vec![Value::Text("en")])),
            ("node_count", Value::Number(u32::try_from(count).expect("a small tree"))),
            ("record_size", Value::Short(24)),
        ]),
        &mut bytes,
    );
    bytes
}

fn insert(tree: &mut Vec<Node>, network: &str, record: usize) {
    let (address, prefix) = network.split_once('/').expect("a network");
    let prefix: usize = prefix.parse().expect("a prefix");
    // IPv4 addresses have their place among those of IPv6.
    let (bits, prefix) = match address.parse().expect("an address") {
        IpAddr::V4(address) => (u128::from(address.to_bits()), prefix + 96),
        IpAddr::V6(address) => (address.to_bits(), prefix),
    };
    let mut node = 0;
    for depth in 0..prefix {
        let bit = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == prefix {
            assert_eq!(tree[node][bit], Branch::Nothing, "{network} is within another, or another within it");
            tree[node][bit] = Branch::Record(record);
            return;
        }
        node = match tree[node][bit] {
            Branch::Node(next) => next,
            Branch::Nothing => {
                tree.push([Branch::Nothing; 2]);
                let next = tree.len() - 1;
                tree[node][bit] = Branch::Node(next);
                next
            }
            Branch::Record(_) => panic!("{network} is within another"),
        };
    }
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Double(number) => {
            control(3, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Float(number) => {
            control(15, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Short(number) => {
            control(5, 2, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Long(number) => {
            control(9, 8, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Number(number) => {
            control(6, 4, out);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Map(pairs) => {
            control(7, pairs.len(), out);
            for (name, value) in pairs {
                write(&Value::Text(name), out);
                write(value, out);
            }
        }
        Value::List(values) => {
            control(11, values.len(), out);
            values.iter().for_each(|value| write(value, out));
        }
    }
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    let (size, more) = match size {
        0..29 => (size, None),
        _ => (29, Some(size - 29)),
    };
    let size = u8::try_from(size).expect("five bits");
    match kind {
        0..8 => out.push(kind << 5 | size),
        _ => out.extend_from_slice(&[size, kind - 7]),
    }
    out.extend(more.map(|more| u8::try_from(more).expect("a short value")));
}
