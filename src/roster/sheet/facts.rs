//! What a dwelling and a cardholder are once a file has had its say: what is known stays where the file
//! says nothing.

use super::column::Column;
use super::gather::WantedDwelling;
use super::places::number_label;
use super::row::short_digest;
use super::text::clean;
use crate::domain::dwelling::{Dwelling, Relation, Tenure};
use crate::domain::id::{CardholderId, DwellingId, SLUG_BYTES_MAX};
use crate::domain::person::{PersonMark, PersonName};

/// The relation of a cardholder whose rows say none.
const RELATION_UNSTATED: &str = "unstated";

/// The known dwelling with what the file says of it.
pub(super) fn changed(known: &Dwelling, wanted: &WantedDwelling) -> Dwelling {
    let tenure = wanted.tenure.unwrap_or(known.tenure);
    let number = wanted
        .number
        .as_ref()
        .filter(|number| number_label(&known.number) != **number);
    Dwelling {
        id: known.id.clone(),
        place: wanted.place.clone().unwrap_or_else(|| known.place.clone()),
        number: number.unwrap_or(&known.number).clone(),
        area: wanted.area.unwrap_or(known.area),
        tenure,
        // The ledger says so when a dormitory has no beds, or something else has.
        beds: match tenure {
            Tenure::Dormitory => wanted.beds.or(known.beds),
            Tenure::Rented | Tenure::OwnerOccupied => wanted.beds,
        },
        from: wanted.from.over(known.from),
        to: wanted.to.over(known.to),
    }
}

/// A dwelling that is not in the ledger, or the columns that it lacks.
pub(super) fn new_dwelling(wanted: &WantedDwelling) -> Result<Dwelling, Vec<Column>> {
    let (Some(place), Some(number), Some(area)) = (&wanted.place, &wanted.number, wanted.area)
    else {
        let needs = [
            (Column::Place, wanted.place.is_none()),
            (Column::Number, wanted.number.is_none()),
            (Column::Area, wanted.area.is_none()),
        ];
        let needs = needs.into_iter().filter(|(_, is_missing)| *is_missing);
        return Err(needs.map(|(column, _)| column).collect());
    };
    Ok(Dwelling {
        id: wanted.id.clone(),
        place: place.clone(),
        number: number.clone(),
        area,
        tenure: wanted.tenure.unwrap_or(Tenure::OwnerOccupied),
        beds: wanted.beds,
        from: wanted.from.over(None),
        to: wanted.to.over(None),
    })
}

/// Do two texts differ only in what cleaning takes away?
pub(super) fn is_same_text(known: &str, said: &str) -> bool {
    known == said || clean(known) == said
}

pub(super) fn name_over(known: Option<&PersonName>, said: Option<&PersonName>) -> PersonName {
    match (known, said) {
        (Some(known), Some(said)) if is_same_text(known.reveal(), said.reveal()) => known.clone(),
        (_, Some(said)) => said.clone(),
        (Some(known), None) => known.clone(),
        (None, None) => PersonName::new("").expect("a name may be empty"),
    }
}

pub(super) fn mark_over(
    known: Option<&PersonMark>,
    said: Option<&PersonMark>,
) -> Option<PersonMark> {
    match (known, said) {
        (Some(known), Some(said)) if is_same_text(known.reveal(), said.reveal()) => {
            Some(known.clone())
        }
        (_, Some(said)) => Some(said.clone()),
        (known, None) => known.cloned(),
    }
}

pub(super) fn unstated() -> Relation {
    Relation::new(RELATION_UNSTATED).expect("a lower-case word is a relation")
}

/// `b03-u2-301-2`; shortened where an id cannot hold it.
pub(super) fn numbered(dwelling: &DwellingId, n: u32) -> CardholderId {
    let tail = format!("-{n}");
    let whole = format!("{dwelling}{tail}");
    if whole.len() <= SLUG_BYTES_MAX {
        return CardholderId::new(&whole).expect("a slug with a number is one");
    }
    let digest = short_digest(dwelling.as_str());
    let head: String = dwelling
        .as_str()
        .chars()
        .take(SLUG_BYTES_MAX - 13 - tail.len())
        .collect();
    CardholderId::new(&format!("{head}-{digest}{tail}")).expect("a slug with digits is one")
}
