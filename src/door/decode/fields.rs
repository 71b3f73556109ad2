//! Typed reading of a JSON object's fields. `null` counts as absent everywhere.

use serde_json::{Map, Value};

use super::{DecodeError, FIRMWARE_CHARS_MAX, PAYLOAD_BYTES_MAX};
use crate::domain::card::CardNumber;

/// A JSON object, by field.
pub(super) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a payload; looks at its length first.
    pub(super) fn read(payload: &[u8]) -> Result<Fields, DecodeError> {
        if payload.is_empty() {
            return Err(DecodeError::Empty);
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(DecodeError::TooLarge {
                n_bytes: payload.len(),
            });
        }
        let text = match std::str::from_utf8(payload) {
            Ok(text) => text,
            Err(err) => {
                return Err(DecodeError::NotUtf8 {
                    offset: err.valid_up_to(),
                });
            }
        };
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(Fields(fields)),
            Ok(_) => Err(DecodeError::NotObject),
            // The parser's own words may quote the payload; its place is enough.
            Err(err) => Err(DecodeError::NotJson {
                line: err.line(),
                column: err.column(),
            }),
        }
    }

    /// The object in `field`, if there is one.
    pub(super) fn take_object(&mut self, field: &str) -> Option<Fields> {
        match self.0.get_mut(field).map(Value::take) {
            Some(Value::Object(fields)) => Some(Fields(fields)),
            _ => None,
        }
    }

    /// The contract's `"v": 1`.
    pub(super) fn version_1(&self) -> Result<(), DecodeError> {
        match self.present("v") {
            None => Err(DecodeError::Missing { field: "v" }),
            Some(value) if value.as_u64() == Some(1) => Ok(()),
            Some(_) => Err(DecodeError::Version),
        }
    }

    pub(super) fn text(&self, field: &'static str) -> Result<Option<&str>, DecodeError> {
        match self.present(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(field, "text")),
        }
    }

    pub(super) fn required_text(&self, field: &'static str) -> Result<&str, DecodeError> {
        self.text(field)?.ok_or(DecodeError::Missing { field })
    }

    pub(super) fn count(&self, field: &'static str) -> Result<Option<u64>, DecodeError> {
        match self.present(field) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(wrong(
                    field,
                    "a whole number from 0 to 18446744073709551615",
                )),
            },
        }
    }

    pub(super) fn required_count(&self, field: &'static str) -> Result<u64, DecodeError> {
        self.count(field)?.ok_or(DecodeError::Missing { field })
    }

    pub(super) fn flag(&self, field: &'static str) -> Result<Option<bool>, DecodeError> {
        match self.present(field) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(wrong(field, "true or false")),
        }
    }

    /// A flag that some firmware writes as text.
    pub(super) fn loose_flag(&self, field: &'static str) -> Result<Option<bool>, DecodeError> {
        match self.present(field) {
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            _ => self.flag(field),
        }
    }

    /// A card number; absent, or blank as firmware without one writes it: `None`.
    pub(super) fn card(&self, field: &'static str) -> Result<Option<CardNumber>, DecodeError> {
        match self.text(field)?.map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match CardNumber::new(text) {
                Ok(card) => Ok(Some(card)),
                Err(source) => Err(DecodeError::Card { field, source }),
            },
        }
    }

    /// Free text of a device, cut to what may be shown.
    pub(super) fn firmware(&self, field: &'static str) -> Result<Option<String>, DecodeError> {
        let text = self.text(field)?;
        Ok(text.map(|text| {
            let shown = text.chars().filter(|c| !c.is_control());
            shown.take(FIRMWARE_CHARS_MAX).collect()
        }))
    }

    fn present(&self, field: &str) -> Option<&Value> {
        self.0.get(field).filter(|value| !value.is_null())
    }
}

pub(super) fn wrong(field: &'static str, expected: &'static str) -> DecodeError {
    DecodeError::WrongType { field, expected }
}
