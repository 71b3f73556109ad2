//! The decision at a door: a pure function of the card, the door's place and the time.

use rpds::HashTrieMapSync;
use serde::{Deserialize, Serialize};

use super::card::CardKey;
use super::id::{CardholderId, DwellingId};
use super::place::Place;
use super::swipe::Method;
use crate::time::WallTime;

/// What the ledger says of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CardState {
    /// Valid within its dates.
    #[default]
    Active,
    /// Reported lost.
    Lost,
    /// Taken back.
    Revoked,
}

/// A card as the decision sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardGrant {
    /// The dwelling its holder lives in.
    pub dwelling: DwellingId,
    /// The holder.
    pub holder: CardholderId,
    /// The stairwell (or the compound) the dwelling belongs to.
    pub place: Place,
    /// Active, lost or revoked.
    pub state: CardState,
    /// First moment of validity; `None`: always was.
    pub valid_from: Option<WallTime>,
    /// First moment after validity; `None`: no end.
    pub valid_until: Option<WallTime>,
    /// Its holder is surplus in a dwelling over its limit.
    pub surplus: bool,
}

/// What happens at the door to a surplus holder (`limit.at_door`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AtDoor {
    /// The entry is flagged; the person passes.
    #[default]
    Alert,
    /// The person is refused.
    Deny,
}

/// Everyone who may enter, as one immutable view; a change makes a new view that shares what did not
/// change with the old one.
#[derive(Clone, Debug, Default)]
pub struct AccessView {
    /// By keyed hash of the card number.
    pub cards: HashTrieMapSync<CardKey, CardGrant>,
    /// What surplus holders meet.
    pub at_door: AtDoor,
}

/// May this person pass?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Yes.
    Granted,
    /// No.
    Denied,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Known, active, in time, at the right place.
    Ok,
    /// No card was involved: a button or a remote opening, which the controller answers for.
    NoCard,
    /// Nobody holds this card.
    UnknownCard,
    /// The card was taken back.
    RevokedCard,
    /// The card was reported lost.
    LostCard,
    /// Its validity has ended.
    ExpiredCard,
    /// Its validity has not begun.
    NotYetValid,
    /// The card of another stairwell.
    WrongPlace,
    /// Its holder is beyond the dwelling's limit.
    OverLimit,
}

impl Reason {
    /// The word used in JSON, MQTT and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Ok => "ok",
            Reason::NoCard => "no-card",
            Reason::UnknownCard => "unknown-card",
            Reason::RevokedCard => "revoked-card",
            Reason::LostCard => "lost-card",
            Reason::ExpiredCard => "expired-card",
            Reason::NotYetValid => "not-yet-valid",
            Reason::WrongPlace => "wrong-place",
            Reason::OverLimit => "over-limit",
        }
    }
}

/// The answer to a swipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decision {
    /// May the person pass?
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// The person signalled that they are being forced. Whoever does so with a good card is let in,
    /// since a refusal would give the signal away.
    #[serde(default)]
    pub duress: bool,
}

/// What is asked at a door.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The card's keyed hash; `None` for a button or a remote opening.
    pub card: Option<CardKey>,
    /// How the person asked.
    pub method: Method,
    /// Where the door is.
    pub place: &'a Place,
    /// When.
    pub at: WallTime,
}

impl AccessView {
    /// Decides whether to let the person pass, and which grant that rests on.
    ///
    /// A card opens the doors of its own stairwell and those of the compound.
    pub fn decide(&self, request: &Request<'_>) -> (Decision, Option<&CardGrant>) {
        let duress = request.method == Method::Duress;
        let Some(card) = request.card else {
            // Exits and intercoms have no card; the controller has opened already or never will.
            return (decision(Reason::NoCard, duress), None);
        };
        let Some(grant) = self.cards.get(&card) else {
            return (decision(Reason::UnknownCard, duress), None);
        };
        (
            decision(self.reason(grant, request), duress).or_flag(self.at_door),
            Some(grant),
        )
    }

    fn reason(&self, grant: &CardGrant, request: &Request<'_>) -> Reason {
        match grant.state {
            CardState::Revoked => return Reason::RevokedCard,
            CardState::Lost => return Reason::LostCard,
            CardState::Active => {}
        }
        if grant.valid_until.is_some_and(|until| request.at >= until) {
            return Reason::ExpiredCard;
        }
        if grant.valid_from.is_some_and(|from| request.at < from) {
            return Reason::NotYetValid;
        }
        if *request.place != Place::Compound && *request.place != grant.place {
            return Reason::WrongPlace;
        }
        if grant.surplus {
            Reason::OverLimit
        } else {
            Reason::Ok
        }
    }
}

impl Decision {
    /// A surplus holder is refused only where the configuration says so.
    fn or_flag(mut self, at_door: AtDoor) -> Decision {
        if self.reason == Reason::OverLimit && at_door == AtDoor::Alert {
            self.outcome = Outcome::Granted;
        }
        self
    }
}

fn decision(reason: Reason, duress: bool) -> Decision {
    let outcome = match reason {
        Reason::Ok | Reason::NoCard => Outcome::Granted,
        Reason::UnknownCard
        | Reason::RevokedCard
        | Reason::LostCard
        | Reason::ExpiredCard
        | Reason::NotYetValid
        | Reason::WrongPlace
        | Reason::OverLimit => Outcome::Denied,
    };
    Decision {
        outcome,
        reason,
        duress,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::card::{CardHasher, CardNumber};
    use crate::domain::id::StairwellId;

    fn at(second: i64) -> WallTime {
        WallTime::from_unix_ms(second * 1_000)
    }

    fn stairwell(id: &str) -> Place {
        Place::Stairwell(StairwellId::new(id).unwrap())
    }

    fn view(change: impl FnOnce(&mut CardGrant)) -> (AccessView, CardKey) {
        let key = CardHasher::new(&[7; 32]).key_of(&CardNumber::new("04A1B2C3D4").unwrap());
        let mut grant = CardGrant {
            dwelling: DwellingId::new("b03-u2-301").unwrap(),
            holder: CardholderId::new("h1").unwrap(),
            place: stairwell("b03-u2"),
            state: CardState::Active,
            valid_from: Some(at(100)),
            valid_until: Some(at(200)),
            surplus: false,
        };
        change(&mut grant);
        (
            AccessView {
                cards: HashTrieMapSync::new_sync().insert(key, grant),
                at_door: AtDoor::Alert,
            },
            key,
        )
    }

    fn reason_at(view: &AccessView, card: CardKey, place: &Place, second: i64) -> Reason {
        let request = Request {
            card: Some(card),
            method: Method::Card,
            place,
            at: at(second),
        };
        view.decide(&request).0.reason
    }

    #[test]
    fn a_card_opens_its_own_stairwell_and_the_gates_within_its_dates() {
        let (view, key) = view(|_| {});
        let own = stairwell("b03-u2");
        assert_eq!(reason_at(&view, key, &own, 150), Reason::Ok);
        assert_eq!(reason_at(&view, key, &Place::Compound, 150), Reason::Ok);
        assert_eq!(
            reason_at(&view, key, &stairwell("b04-u1"), 150),
            Reason::WrongPlace
        );
        assert_eq!(reason_at(&view, key, &own, 99), Reason::NotYetValid);
        assert_eq!(reason_at(&view, key, &own, 199), Reason::Ok);
        assert_eq!(reason_at(&view, key, &own, 200), Reason::ExpiredCard);
    }

    #[test]
    fn revoked_and_lost_cards_say_so_before_anything_else() {
        let (view_revoked, key) = view(|grant| grant.state = CardState::Revoked);
        assert_eq!(
            reason_at(&view_revoked, key, &stairwell("x"), 999),
            Reason::RevokedCard
        );
        let (view_lost, key) = view(|grant| grant.state = CardState::Lost);
        assert_eq!(
            reason_at(&view_lost, key, &stairwell("x"), 999),
            Reason::LostCard
        );
    }

    #[test]
    fn surplus_holders_are_flagged_or_refused_as_configured() {
        let (mut view, key) = view(|grant| grant.surplus = true);
        let place = stairwell("b03-u2");
        let request = Request {
            card: Some(key),
            method: Method::Card,
            place: &place,
            at: at(150),
        };
        let flagged = view.decide(&request).0;
        assert_eq!(
            (flagged.outcome, flagged.reason),
            (Outcome::Granted, Reason::OverLimit)
        );
        view.at_door = AtDoor::Deny;
        assert_eq!(view.decide(&request).0.outcome, Outcome::Denied);
    }

    #[test]
    fn duress_with_a_good_card_is_let_in_and_marked() {
        let (view, key) = view(|_| {});
        let place = stairwell("b03-u2");
        let request = Request {
            card: Some(key),
            method: Method::Duress,
            place: &place,
            at: at(150),
        };
        let decision = view.decide(&request).0;
        assert_eq!(decision.outcome, Outcome::Granted);
        assert!(decision.duress);
    }

    #[test]
    fn no_card_and_unknown_card() {
        let (view, _) = view(|_| {});
        let other = CardHasher::new(&[7; 32]).key_of(&CardNumber::new("FFFF").unwrap());
        assert_eq!(
            reason_at(&view, other, &Place::Compound, 150),
            Reason::UnknownCard
        );
        let request = Request {
            card: None,
            method: Method::Button,
            place: &Place::Compound,
            at: at(150),
        };
        assert_eq!(view.decide(&request).0.outcome, Outcome::Granted);
    }
}
