//! The topics of the contract (section 3): written and read in one place.

use crate::domain::id::{CompoundId, DoorId};

/// Longest topic that is read; MQTT allows 65,535 bytes, ours have at most about 150.
pub const TOPIC_BYTES_MAX: usize = 512;

/// Why a text cannot be the first levels of our topics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "topic prefix {prefix:?} must be 1 to 128 bytes without '+', '#', '$', control characters or empty levels"
)]
pub struct TopicPrefixError {
    prefix: String,
}

/// Writes and reads the topics of one compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// `{prefix}/{compound}/`.
    base: String,
}

/// What a door's topic is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leaf {
    /// Swipes, from the door.
    Swipe,
    /// Forced, held, open and the like, from the door.
    State,
    /// There or not, from the door; retained, and its last will.
    Status,
    /// Our answer, to the door.
    Decision,
    /// The cards it lets in by itself, to the door; retained.
    Cards,
}

impl Leaf {
    /// Every leaf.
    pub const ALL: [Leaf; 5] = [
        Leaf::Swipe,
        Leaf::State,
        Leaf::Status,
        Leaf::Decision,
        Leaf::Cards,
    ];

    /// The last level of the topic.
    pub const fn as_str(self) -> &'static str {
        match self {
            Leaf::Swipe => "swipe",
            Leaf::State => "state",
            Leaf::Status => "status",
            Leaf::Decision => "decision",
            Leaf::Cards => "cards",
        }
    }

    fn from_word(word: &str) -> Option<Leaf> {
        Leaf::ALL.into_iter().find(|leaf| leaf.as_str() == word)
    }
}

/// A topic, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topic {
    /// One of a door's.
    Door {
        /// The door it names; not necessarily one that is configured.
        door: DoorId,
        /// What for.
        leaf: Leaf,
    },
    /// The gateway's own status; retained, and its last will.
    GatewayStatus,
    /// None of the contract's.
    Other,
}

impl Topics {
    /// The topics of `compound` below `prefix`.
    ///
    /// # Errors
    /// [`TopicPrefixError`] when `prefix` cannot begin a topic.
    pub fn new(prefix: &str, compound: &CompoundId) -> Result<Topics, TopicPrefixError> {
        let level_ok = |level: &str| !level.is_empty();
        let char_ok = |c: char| !c.is_control() && !matches!(c, '+' | '#' | '$');
        if prefix.len() > 128 || !prefix.split('/').all(level_ok) || !prefix.chars().all(char_ok) {
            return Err(TopicPrefixError {
                prefix: prefix.to_owned(),
            });
        }
        Ok(Topics {
            base: format!("{prefix}/{compound}/"),
        })
    }

    /// The topic of `door` for `leaf`.
    pub fn door(&self, door: &DoorId, leaf: Leaf) -> String {
        format!("{}door/{door}/{}", self.base, leaf.as_str())
    }

    /// The filter that matches `leaf` of every door.
    pub fn every_door(&self, leaf: Leaf) -> String {
        format!("{}door/+/{}", self.base, leaf.as_str())
    }

    /// The topic of the gateway's own status.
    pub fn gateway_status(&self) -> String {
        format!("{}gateway/status", self.base)
    }

    /// Reads any text; never fails, never panics.
    pub fn read(&self, topic: &str) -> Topic {
        let Some(rest) = topic.strip_prefix(&self.base) else {
            return Topic::Other;
        };
        if rest == "gateway/status" {
            return Topic::GatewayStatus;
        }
        let mut levels = rest.split('/');
        let (Some("door"), Some(door), Some(word), None) =
            (levels.next(), levels.next(), levels.next(), levels.next())
        else {
            return Topic::Other;
        };
        match (DoorId::new(door), Leaf::from_word(word)) {
            (Ok(door), Some(leaf)) => Topic::Door { door, leaf },
            _ => Topic::Other,
        }
    }
}

/// Does the subscription `filter` match `topic`? (MQTT 3.1.1 section 4.7; `$` topics are never ours.)
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    let mut topic_levels = topic.split('/');
    for level in filter.split('/') {
        match (level, topic_levels.next()) {
            // `a/#` matches `a` too, so the topic may have ended here.
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (text, Some(topic_level)) if text == topic_level => {}
            _ => return false,
        }
    }
    topic_levels.next().is_none()
}

/// `topic` as it may be kept and shown: at most 128 characters, control characters replaced.
pub fn printable(topic: &str) -> String {
    let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    topic.chars().take(128).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn topics() -> Topics {
        Topics::new("stairgate", &CompoundId::new("majian-1").unwrap()).unwrap()
    }

    #[test]
    fn topics_are_those_of_the_contract() {
        let door = DoorId::new("b03-u2-door").unwrap();
        let topics = topics();
        assert_eq!(
            topics.door(&door, Leaf::Swipe),
            "stairgate/majian-1/door/b03-u2-door/swipe"
        );
        assert_eq!(topics.gateway_status(), "stairgate/majian-1/gateway/status");
        for leaf in Leaf::ALL {
            let topic = topics.door(&door, leaf);
            assert!(filter_matches(&topics.every_door(leaf), &topic));
            let door = door.clone();
            assert_eq!(topics.read(&topic), Topic::Door { door, leaf });
        }
        assert_eq!(topics.read(&topics.gateway_status()), Topic::GatewayStatus);
        for other in [
            "",
            "stairgate/majian-1/door/b03-u2-door",
            "stairgate/majian-1/door/b03-u2-door/swipe/more",
            "stairgate/majian-1/door/b03-u2-door/Swipe",
            "stairgate/majian-1/door//swipe",
            "stairgate/majian-1/door/+/swipe",
            "stairgate/majian-2/door/b03-u2-door/swipe",
            "/stairgate/majian-1/door/b03-u2-door/swipe",
        ] {
            assert_eq!(topics.read(other), Topic::Other, "{other}");
        }
    }

    #[test]
    fn prefixes_may_have_levels_but_no_wildcards() {
        let compound = CompoundId::new("c").unwrap();
        assert!(Topics::new("city/west", &compound).is_ok());
        for bad in ["", "/", "a/", "/a", "a//b", "a/+", "#", "$SYS", "a\n"] {
            assert!(Topics::new(bad, &compound).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn filters_match_as_mqtt_says() {
        for (filter, topic, matches) in [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a", false),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("+/+", "a/b", true),
            ("+", "a/b", false),
            ("a/b", "a/b/c", false),
            ("a/b/c", "a/b", false),
        ] {
            assert_eq!(filter_matches(filter, topic), matches, "{filter} {topic}");
        }
    }

    proptest! {
        #[test]
        fn no_topic_panics(topic in any::<String>()) {
            crate::door::fuzz::topic(topic.as_bytes());
        }

        #[test]
        fn what_is_read_is_what_was_written(tail in "door/[a-z+#/]{0,12}/(swipe|cards|x)") {
            let topics = topics();
            let text = format!("stairgate/majian-1/{tail}");
            if let Topic::Door { door, leaf } = topics.read(&text) {
                prop_assert_eq!(topics.door(&door, leaf), text);
            }
        }
    }
}
