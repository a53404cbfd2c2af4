//! Enumerations as the words of the JSON interface, so that database and interface agree.

use crate::error::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The word of a value.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        other => {
            debug_assert!(false, "not a word: {other:?}");
            String::new()
        }
    }
}

/// The value of a word.
pub(crate) fn from_word<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| StoreError::Corrupt { what })
}
