//! What differs between two specs, field by field.

use serde::Serialize;
use serde_json::Value;

/// One field that changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Field {
    /// Its path: `cache_behaviors[2].compress`.
    pub(super) field: String,
    /// What is there; none if it is unset.
    pub(super) from: Option<Value>,
    /// What will be.
    pub(super) to: Option<Value>,
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text =
            |value: &Option<Value>| value.as_ref().map_or_else(|| "(unset)".to_owned(), Value::to_string);
        write!(f, "{}: {} -> {}", self.field, text(&self.from), text(&self.to))
    }
}

/// All fields that differ, in the order of their paths.
pub(super) fn diff(from: &Value, to: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    compare("", Some(from), Some(to), &mut fields);
    fields
}

fn compare(path: &str, from: Option<&Value>, to: Option<&Value>, found: &mut Vec<Field>) {
    match (from, to) {
        (from, to) if from == to => {}
        (Some(Value::Object(from)), Some(Value::Object(to))) => {
            let mut names: Vec<&String> = from.keys().chain(to.keys()).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, from.get(name), to.get(name), found);
            }
        }
        (Some(Value::Array(from)), Some(Value::Array(to))) => {
            for i in 0..from.len().max(to.len()) {
                compare(&format!("{path}[{i}]"), from.get(i), to.get(i), found);
            }
        }
        (from, to) => found.push(Field { field: path.to_owned(), from: from.cloned(), to: to.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_field_that_differs_is_named_once() {
        let from = json!({"a": 1, "list": [{"compress": false}, 2], "gone": "x", "same": [1]});
        let to = json!({"a": 1, "list": [{"compress": true}, 2, "new"], "come": {"b": 1}, "same": [1]});
        let said: Vec<String> = diff(&from, &to).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "come: (unset) -> {\"b\":1}",
                "gone: \"x\" -> (unset)",
                "list[0].compress: false -> true",
                "list[2]: (unset) -> \"new\"",
            ]
        );
        assert!(diff(&from, &from).is_empty());
    }
}
