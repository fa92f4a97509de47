//! A node as JSON.

use serde_json::{Map, Number, Value as Json};

use super::{
    node::{Node, Value},
    scalar::Resolved,
};

impl Node {
    /// The same as JSON. What JSON has no number for (infinity, not a number, whole numbers of more than 64 bits)
    /// becomes the string that was written.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => match scalar.resolve() {
                Resolved::Null => Json::Null,
                Resolved::Bool(value) => Json::Bool(value),
                Resolved::Int(value) => {
                    integer(value).map_or_else(|| Json::from(&*scalar.text), Json::Number)
                }
                Resolved::Float(value) => {
                    Number::from_f64(value).map_or_else(|| Json::from(&*scalar.text), Json::Number)
                }
                Resolved::Text(text) => Json::from(text),
            },
            Value::Sequence(items) => items.iter().map(Node::to_json).collect(),
            Value::Mapping(entries) => Json::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.to_string(), entry.value.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The first node in it that JSON has no number for.
    #[must_use]
    pub fn first_without_json(&self) -> Option<&Node> {
        match &self.value {
            Value::Scalar(scalar) => {
                let lost = match scalar.resolve() {
                    Resolved::Int(value) => integer(value).is_none(),
                    Resolved::Float(value) => !value.is_finite(),
                    Resolved::Null | Resolved::Bool(_) | Resolved::Text(_) => false,
                };
                lost.then_some(self)
            }
            Value::Sequence(items) => items.iter().find_map(Node::first_without_json),
            Value::Mapping(entries) => entries.iter().find_map(|entry| entry.value.first_without_json()),
        }
    }
}

fn integer(value: i128) -> Option<Number> {
    u64::try_from(value).map(Number::from).or_else(|_| i64::try_from(value).map(Number::from)).ok()
}
