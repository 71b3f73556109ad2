//! What a stranger can send: each function takes any bytes and must not panic. Called by the
//! property tests here and by the fuzz targets in `tests/fuzz`.

use super::decode::{esp_rfid, native, uhppoted};
use super::topics::{Topics, filter_matches, printable};
use crate::domain::id::CompoundId;
use crate::time::{TimeZone, WallTime};

/// Reads `payload` in every dialect.
pub fn swipe_payload(payload: &[u8]) {
    let zone = TimeZone::utc();
    let read = [
        native::swipe(payload).is_ok(),
        native::state(payload).is_ok(),
        native::status(payload).is_ok(),
        esp_rfid::read(payload).is_ok_and(|m| m.report(WallTime::from_unix_ms(0)).is_ok()),
        uhppoted::read(payload).is_ok_and(|m| m.report(&zone).is_ok()),
    ];
    std::hint::black_box(read);
}

/// Reads `topic` as a topic, and as a filter over itself.
pub fn topic(topic: &[u8]) {
    let text = String::from_utf8_lossy(topic);
    let compound = CompoundId::new("c").expect("a letter is a slug");
    if let Ok(topics) = Topics::new("p", &compound) {
        std::hint::black_box(topics.read(&text));
        std::hint::black_box(topics.read(&format!("p/c/{text}")));
    }
    std::hint::black_box(Topics::new(&text, &compound).is_ok());
    std::hint::black_box(filter_matches(&text, &text));
    std::hint::black_box(printable(&text));
}
