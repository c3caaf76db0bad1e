//! Reading JSON by tables: one line for each field, strict about types.

use std::time::Duration;

use serde_json::{Map, Value};

use super::report::Place;
use crate::spec::SpecDuration;

const UNKNOWN: &str = "this version does not know the field, and leaves it out";

/// Reads one field into what is made of its object.
pub(super) type Reader<T> = fn(&mut T, &Value, &mut Place<'_>);

/// The fields of one object, and what reads each.
pub(super) type Table<T> = [(&'static str, Reader<T>)];

/// Reads an object by a table. What the table does not name is reported.
pub(super) fn object<T>(table: &Table<T>, target: &mut T, value: &Value, place: &mut Place<'_>) {
    let Some(fields) = fields(value, place) else { return };
    for (name, value) in fields {
        let mut place = place.field(name);
        match table.iter().find(|(known, _)| known == name) {
            _ if value.is_null() => {}
            Some((_, read)) => read(target, value, &mut place),
            None if is_empty(value) => {}
            None => place.unsupported(UNKNOWN),
        }
    }
}

/// The fields of an object; a problem if it is none.
pub(super) fn fields<'v>(value: &'v Value, place: &mut Place<'_>) -> Option<&'v Map<String, Value>> {
    if value.as_object().is_none() {
        place.problem(format!("is {}, not an object", type_of(value)));
    }
    value.as_object()
}

/// Whether a value says nothing, whatever its field is about.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.values().all(says_nothing),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// The same inside an object that is switched off: `{"Enabled": false, "Quantity": 0}`.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::Array(items) => items.is_empty(),
        other => is_empty(other),
    }
}

/// Reports the fields of an object that are not among those known.
pub(super) fn unknown(value: &Value, known: &[&str], place: &mut Place<'_>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        if !known.contains(&name.as_str()) && !is_empty(value) {
            place.field(name).unsupported(UNKNOWN);
        }
    }
}

/// What this version does not do: reported unless it says nothing, or no more than CloudFront does by default.
pub(super) fn unsupported(value: &Value, defaults: &[Value], note: &str, place: &mut Place<'_>) -> bool {
    let is_asked_for = !is_empty(value) && !defaults.contains(value);
    if is_asked_for {
        place.unsupported(note);
    }
    is_asked_for
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A text; a problem if it is none.
pub(super) fn text<'v>(value: &'v Value, place: &mut Place<'_>) -> Option<&'v str> {
    if value.as_str().is_none() {
        place.problem(format!("is {}, not a text", type_of(value)));
    }
    value.as_str()
}

/// True or false; a problem if it is neither.
pub(super) fn boolean(value: &Value, place: &mut Place<'_>) -> Option<bool> {
    if value.as_bool().is_none() {
        place.problem(format!("is {}, not true or false", type_of(value)));
    }
    value.as_bool()
}

/// A whole number that fits; a problem otherwise.
pub(super) fn number<N: TryFrom<u64>>(value: &Value, place: &mut Place<'_>) -> Option<N> {
    let number = value.as_u64().and_then(|number| N::try_from(number).ok());
    if number.is_none() {
        place.problem(format!("{value} is not a whole number that is possible here"));
    }
    number
}

/// A number of seconds.
pub(super) fn seconds(value: &Value, place: &mut Place<'_>) -> Option<SpecDuration> {
    number::<u64>(value, place).map(|seconds| SpecDuration(Duration::from_secs(seconds)))
}

/// A text into a field, where it means the same.
pub(super) fn put_text(target: &mut String, value: &Value, place: &mut Place<'_>) {
    if let Some(text) = text(value, place) {
        text.clone_into(target);
        if !text.is_empty() {
            place.exact();
        }
    }
}

/// A number of seconds into a field, where it means the same.
pub(super) fn put_seconds(target: &mut Option<SpecDuration>, value: &Value, place: &mut Place<'_>) {
    if let Some(seconds) = seconds(value, place) {
        *target = Some(seconds);
        place.exact();
    }
}

/// True or false into a field, where it means the same.
pub(super) fn put_boolean(target: &mut bool, value: &Value, place: &mut Place<'_>) {
    if let Some(boolean) = boolean(value, place) {
        *target = boolean;
        place.exact();
    }
}

/// What CloudFront writes as `{"Quantity": 2, "Items": [...]}`.
pub(super) fn items<'v>(value: &'v Value, place: &mut Place<'_>) -> &'v [Value] {
    items_beside(&[], value, place)
}

/// The same where other fields, which the caller reads, stand beside them.
fn items_beside<'v>(others: &[&str], value: &'v Value, place: &mut Place<'_>) -> &'v [Value] {
    unknown(value, &[others, &["Quantity", "Items"]].concat(), place);
    let Some(fields) = fields(value, place) else { return &[] };
    let items = match fields.get("Items") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(items)) => items,
        Some(other) => {
            place.field("Items").problem(format!("is {}, not a list", type_of(other)));
            return &[];
        }
    };
    match fields.get("Quantity").map(|quantity| (quantity, quantity.as_u64())) {
        Some((_, Some(quantity))) if quantity == items.len() as u64 => {}
        Some((quantity, _)) => {
            place.field("Quantity").problem(format!("is {quantity}, and there are {} in Items", items.len()));
        }
        None => place.problem("has no Quantity"),
    }
    items
}

/// The same of texts.
pub(super) fn texts(value: &Value, place: &mut Place<'_>) -> Vec<String> {
    texts_beside(&[], value, place)
}

/// The same where other fields, which the caller reads, stand beside them.
pub(super) fn texts_beside(others: &[&str], value: &Value, place: &mut Place<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    for (i, item) in items_beside(others, value, place).iter().enumerate() {
        texts.extend(text(item, &mut place.below(&format!(".Items[{i}]"))).map(str::to_owned));
    }
    texts
}

/// The same of whole numbers.
pub(super) fn numbers(value: &Value, place: &mut Place<'_>) -> Vec<u32> {
    let mut numbers = Vec::new();
    for (i, item) in items(value, place).iter().enumerate() {
        numbers.extend(number::<u32>(item, &mut place.below(&format!(".Items[{i}]"))));
    }
    numbers
}

/// The same of objects, each read by a table.
pub(super) fn objects<T: Default>(table: &Table<T>, value: &Value, place: &mut Place<'_>) -> Vec<T> {
    let mut read = Vec::new();
    for (i, item) in items(value, place).iter().enumerate() {
        let mut target = T::default();
        object(table, &mut target, item, &mut place.below(&format!(".Items[{i}]")));
        read.push(target);
    }
    read
}
