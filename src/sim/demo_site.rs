//! The compound of the demo: a made-up site of any number of cameras, and what happens at its doors.
//!
//! Everything is derived from the number of cameras, so two demos tell the same story. Persons, cards
//! and addresses are invented.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::doors::{DoorMode, SimDoorOptions, SimDoors, SimSwipe, SwipeReport};
use super::media::{Film, FilmError};
use crate::domain::card::CardNumber;
use crate::domain::id::{DoorId, IdError};
use crate::domain::secret::Secret;
use crate::domain::swipe::{Direction, DoorState, Method};
use crate::door::device::DeviceError;
use crate::mux::{MuxError, packetise};

/// The demo's compound.
pub const DEMO_COMPOUND: &str = "demo";
/// Its name for people.
pub const DEMO_NAME: &str = "示范小区 (demo)";
/// Most cameras of a demo.
pub const DEMO_CAMERAS_MAX: usize = 500;
/// Largest packet of the demo's film: fits an Ethernet frame with all headers.
const PACKET_BYTES_MAX: usize = 1_400;
/// Entrances of one building.
const UNITS: usize = 2;
/// Floors with dwellings, and dwellings on each.
const FLOORS: usize = 2;
const DOORS_ON_FLOOR: usize = 2;
/// Numbered frames, H.264, 64 s; see `fixtures/README.md`.
const VIDEO: &[u8] = include_bytes!("../../fixtures/video/numbered-h264.mp4");
/// Nobody's names: the placeholders of the two languages.
const NAMES: [&str; 8] = [
    "张三",
    "李四",
    "王五",
    "赵六",
    "Ann Sample",
    "Ben Sample",
    "甲某",
    "乙某",
];

/// Why a demo cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The folder cannot be written to.
    #[error("write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The video cannot be made into packets.
    #[error("make packets of the demo's video")]
    Packetise(#[source] MuxError),
    /// Cameras cannot show it.
    #[error("show the demo's video")]
    Film(#[source] FilmError),
}

/// One place of the demo: a stairwell or the compound's gate, with one camera and one door.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Spot {
    /// `b01-u1`, or `compound` for the gate.
    place: String,
    building: usize,
    unit: usize,
    is_gate: bool,
    camera: String,
    door: DoorId,
}

/// Where the parts of a running demo are.
#[derive(Clone, Debug)]
pub struct DemoAddresses {
    /// The cameras' streams, in order.
    pub cameras: Vec<Url>,
    /// Where the gateway's embedded MQTT endpoint listens.
    pub mqtt: SocketAddr,
    /// Where the gateway's API and console listen.
    pub web: SocketAddr,
    /// Where the police receiver takes alerts.
    pub police: Url,
}

/// The demo's compound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoSite {
    spots: Vec<Spot>,
}

/// What a step shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DemoStory {
    /// A resident comes home.
    Resident,
    /// The same, reported twice by a bad line.
    Duplicate,
    /// Someone leaves by the button.
    Leaves,
    /// A card that nobody holds.
    Unknown,
    /// A card that was taken back.
    Revoked,
    /// A card whose time is over.
    Expired,
    /// A card of another stairwell.
    WrongStairwell,
    /// The door is broken open.
    Forced,
}

impl DemoStory {
    /// What it shows, in Chinese and English.
    pub const fn title(self) -> (&'static str, &'static str) {
        match self {
            DemoStory::Resident => ("住户刷卡回家", "a resident comes home"),
            DemoStory::Duplicate => ("同一次刷卡重复上报", "one swipe reported twice"),
            DemoStory::Leaves => ("按钮开门外出", "someone leaves by the button"),
            DemoStory::Unknown => ("未知卡刷卡", "an unknown card"),
            DemoStory::Revoked => ("已注销的卡刷卡", "a revoked card"),
            DemoStory::Expired => ("过期卡刷卡", "an expired card"),
            DemoStory::WrongStairwell => ("其他楼道的卡刷卡", "a card of another stairwell"),
            DemoStory::Forced => ("门被强行打开", "the door is forced open"),
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoStep {
    /// Time since the step before.
    pub after: Duration,
    /// Where.
    pub door: DoorId,
    /// What it shows.
    pub story: DemoStory,
    /// The swipe; `None` for [`DemoStory::Forced`].
    pub swipe: Option<SimSwipe>,
}

impl DemoSite {
    /// The site with `n_cameras`, clamped to 1..=[`DEMO_CAMERAS_MAX`]: stairwells, and from three cameras
    /// on the last one at the gate.
    ///
    /// # Errors
    /// [`IdError`] never in practice: the ids are made of numbers.
    pub fn new(n_cameras: usize) -> Result<DemoSite, IdError> {
        let n_spots = n_cameras.clamp(1, DEMO_CAMERAS_MAX);
        let spots = (0..n_spots).map(|idx| {
            let is_gate = n_spots >= 3 && idx + 1 == n_spots;
            let (building, unit) = (idx / UNITS + 1, idx % UNITS + 1);
            let (place, name) = if is_gate {
                ("compound".to_owned(), "gate-east".to_owned())
            } else {
                let name = format!("b{building:02}-u{unit}");
                (name.clone(), name)
            };
            Ok(Spot {
                place,
                building,
                unit,
                is_gate,
                camera: format!("{name}-in"),
                door: DoorId::new(&format!("{name}-door"))?,
            })
        });
        Ok(DemoSite {
            spots: spots.collect::<Result<_, IdError>>()?,
        })
    }

    /// How many cameras, and doors, there are; at least 1.
    pub fn n_cameras(&self) -> usize {
        self.spots.len()
    }

    /// The doors to simulate. Every third asks the gateway.
    pub fn doors(&self) -> Vec<SimDoorOptions> {
        let doors = self.spots.iter().enumerate();
        doors
            .map(|(idx, spot)| SimDoorOptions {
                id: spot.door.clone(),
                credentials: None,
                mode: mode(idx),
            })
            .collect()
    }

    /// The gateway's configuration, for a file beside `roster.csv` and `police.secret`.
    ///
    /// `addresses.cameras` must be as many as [`DemoSite::n_cameras`]; further ones are not used.
    pub fn gateway_toml(&self, addresses: &DemoAddresses) -> String {
        let DemoAddresses {
            cameras,
            mqtt,
            web,
            police,
        } = addresses;
        let mut text = format!(
            "[compound]\nid = \"{DEMO_COMPOUND}\"\nname = \"{DEMO_NAME}\"\n\
             time_zone = \"Asia/Shanghai\"\n\n\
             [store]\npath = \"store\"\n\n[footage]\npath = \"footage\"\n\
             free_space_floor = \"1%\"\n\n[roster]\nfile = \"roster.csv\"\n\n\
             [mqtt]\nurl = \"embedded\"\nlisten = \"{mqtt}\"\n\n[web]\nlisten = \"{web}\"\n\n\
             [[linkage]]\nid = \"police\"\nkind = \"webhook\"\nurl = \"{police}\"\n\
             secret_file = \"police.secret\"\nkinds = [\"*\"]\n\n"
        );
        for (idx, (spot, url)) in self.spots.iter().zip(cameras).enumerate() {
            if !spot.is_gate {
                append(
                    &mut text,
                    format_args!(
                        "[[stairwell]]\nid = \"{}\"\nbuilding = \"{}\"\nunit = \"{}\"\n\n",
                        spot.place, spot.building, spot.unit
                    ),
                );
            }
            let decision = match mode(idx) {
                DoorMode::Record => "record",
                DoorMode::Online => "online",
            };
            append(
                &mut text,
                format_args!(
                    "[[camera]]\nid = \"{camera}\"\nplace = \"{place}\"\nurl = \"{url}\"\n\n\
                     [[door]]\nid = \"{door}\"\nplace = \"{place}\"\ncameras = [\"{camera}\"]\n\
                     decision = \"{decision}\"\n\n",
                    camera = spot.camera,
                    place = spot.place,
                    door = spot.door,
                ),
            );
        }
        text
    }

    /// The dwellings, holders and cards, as a roster file. In each stairwell: 101 with a revoked card,
    /// 102 with an expired one; the very first 201 has a holder too many.
    pub fn roster_csv(&self) -> String {
        let mut text = "dwelling,place,number,area_m2,tenure,beds,holder,name,relation,card,state,\
                        valid_from,valid_until\n"
            .to_owned();
        for (spot_idx, spot) in self.stairwells() {
            for flat in 0..FLOORS * DOORS_ON_FLOOR {
                let number = (flat / DOORS_ON_FLOOR + 1) * 100 + flat % DOORS_ON_FLOOR + 1;
                let is_crowded = spot_idx == 0 && number == 201;
                // 12 square metres a person: 4 holders in 36 are one too many.
                let area = if is_crowded {
                    "36"
                } else {
                    pick(["88.50", "94.30", "61.25", "120"], flat)
                };
                let tenure = pick(["owner-occupied", "rented"], flat);
                let n_holders = if is_crowded { 4 } else { 2 };
                let dwelling = format!("{}-{number}", spot.place);
                for holder in 0..n_holders {
                    let of_dwelling = if holder == 0 {
                        format!("{},{number},{area},{tenure},", spot.place)
                    } else {
                        ",,,,".to_owned()
                    };
                    let name = pick(NAMES, spot_idx + flat * 2 + holder);
                    let relation = if tenure == "rented" {
                        "tenant"
                    } else {
                        "owner"
                    };
                    let (state, until) = match (number, holder) {
                        (101, 1) => ("revoked", ""),
                        (102, 1) => ("active", "2025-12-31"),
                        _ => ("active", ""),
                    };
                    let card = card_text(spot_idx, flat, holder);
                    append(
                        &mut text,
                        format_args!(
                            "{dwelling},{of_dwelling},{dwelling}-{holder},{name},{relation},{card},\
                             {state},,{until}\n"
                        ),
                    );
                }
            }
        }
        text
    }

    /// What happens, for ever: the first round quickly, so that everything has been seen within half a
    /// minute, then in a calmer way.
    pub fn steps(&self) -> impl Iterator<Item = DemoStep> + '_ {
        const ROUND: [DemoStory; 9] = [
            DemoStory::Resident,
            DemoStory::Unknown,
            DemoStory::Duplicate,
            DemoStory::Revoked,
            DemoStory::WrongStairwell,
            DemoStory::Leaves,
            DemoStory::Expired,
            DemoStory::Resident,
            DemoStory::Forced,
        ];
        (0_usize..).map(move |n| {
            let (round, told) = (n / ROUND.len(), pick(ROUND, n));
            // There must be another stairwell to have a card of.
            let has_other = self.stairwells().count() > 1;
            let story = match told {
                DemoStory::WrongStairwell if !has_other => DemoStory::Resident,
                story => story,
            };
            let after = match (round, n) {
                (0, 0) => Duration::from_secs(1),
                (0, _) => Duration::from_secs(3),
                _ => Duration::from_secs(8),
            };
            self.step(n, story, after)
        })
    }

    /// Does what `step` says at the simulated doors; the report of the swipe, if it is one.
    ///
    /// # Errors
    /// [`DeviceError`] when the door is not there or was not heard.
    pub async fn act(
        step: &DemoStep,
        doors: &SimDoors,
    ) -> Result<Option<SwipeReport>, DeviceError> {
        let door = doors.get(&step.door).ok_or(DeviceError::Ended)?;
        let Some(swipe) = &step.swipe else {
            door.report_state(DoorState::Forced).await?;
            door.report_state(DoorState::Closed).await?;
            return Ok(None);
        };
        let report = door.swipe(swipe).await?;
        if step.story == DemoStory::Duplicate {
            door.replay(1).await?;
        }
        Ok(Some(report))
    }

    /// Writes `gateway.toml`, `roster.csv` and `police.secret` into `folder`; the path of the first. Blocks.
    ///
    /// # Errors
    /// [`DemoError::Write`].
    pub fn write_files(
        &self,
        folder: &Path,
        addresses: &DemoAddresses,
        police_secret: &Secret,
    ) -> Result<PathBuf, DemoError> {
        write_private(&folder.join("roster.csv"), self.roster_csv().as_bytes())?;
        let secret = folder.join("police.secret");
        write_private(&secret, police_secret.reveal().as_bytes())?;
        let config = folder.join("gateway.toml");
        write_private(&config, self.gateway_toml(addresses).as_bytes())?;
        Ok(config)
    }

    /// The film of all cameras. Blocks; writes the video into `folder`.
    ///
    /// # Errors
    /// [`DemoError`], see its variants.
    pub fn film(folder: &Path) -> Result<Arc<Film>, DemoError> {
        let path = folder.join("film.mp4");
        write_private(&path, VIDEO)?;
        let media = packetise(&path, PACKET_BYTES_MAX).map_err(DemoError::Packetise)?;
        Film::new(media).map_err(DemoError::Film)
    }

    fn stairwells(&self) -> impl Iterator<Item = (usize, &Spot)> {
        let spots = self.spots.iter().enumerate();
        spots.filter(|(_, spot)| !spot.is_gate)
    }

    fn spot(&self, idx: usize) -> &Spot {
        let spot = self.spots.get(idx).or(self.spots.first());
        spot.expect("a demo has at least one camera")
    }

    fn step(&self, n: usize, story: DemoStory, after: Duration) -> DemoStep {
        let n_stairwells = self.stairwells().count();
        // Alerts happen at stairwells, so that the place says something; the gate sees residents.
        let at_gate = story == DemoStory::Resident && n_stairwells < self.spots.len() && n % 2 == 1;
        let idx = if at_gate {
            n_stairwells
        } else {
            n % n_stairwells
        };
        let home = idx % n_stairwells;
        let elsewhere = (home + 1) % n_stairwells;
        let flat = n % (FLOORS * DOORS_ON_FLOOR);
        let text = match story {
            DemoStory::Resident | DemoStory::Duplicate => Some(card_text(home, flat, 0)),
            DemoStory::Unknown => Some(format!("0BAD{:04X}", n % 0x1_0000)),
            DemoStory::Revoked => Some(card_text(home, 0, 1)),
            DemoStory::Expired => Some(card_text(home, 1, 1)),
            DemoStory::WrongStairwell => Some(card_text(elsewhere, flat, 0)),
            DemoStory::Leaves | DemoStory::Forced => None,
        };
        let card = text.and_then(|text| CardNumber::new(&text).ok());
        let swipe = match (story, card) {
            (DemoStory::Forced, _) => None,
            (_, Some(card)) => Some(SimSwipe::card(card)),
            (_, None) => Some(SimSwipe {
                card: None,
                direction: Direction::Out,
                method: Method::Button,
            }),
        };
        DemoStep {
            after,
            door: self.spot(idx).door.clone(),
            story,
            swipe,
        }
    }
}

/// Every third door asks the gateway, the first one among them.
fn mode(idx: usize) -> DoorMode {
    if idx.is_multiple_of(3) {
        DoorMode::Online
    } else {
        DoorMode::Record
    }
}

/// The card of a holder; 8 digits, none of them an unknown card's.
fn card_text(spot_idx: usize, flat: usize, holder: usize) -> String {
    format!("04D{spot_idx:03X}{flat:X}{holder:X}")
}

/// The `n`th of `of`, which is not empty, begun anew at its end.
fn pick<T: Copy, const N: usize>(of: [T; N], n: usize) -> T {
    let picked = of.get(n % N);
    *picked.expect("a remainder is less than the divisor")
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), DemoError> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| DemoError::Write {
        path: path.to_owned(),
        source,
    })
}

fn append(text: &mut String, part: std::fmt::Arguments<'_>) {
    text.write_fmt(part)
        .expect("writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config;
    use crate::domain::access::{Reason, Request};
    use crate::domain::card::CardHasher;
    use crate::domain::place::Place;
    use crate::roster::{RosterOptions, check_file, fixture};
    use crate::time::Clock;

    fn addresses(n_cameras: usize) -> DemoAddresses {
        let url = |idx| Url::parse(&format!("rtsp://127.0.0.1:8554/cam/{idx:04}")).unwrap();
        DemoAddresses {
            cameras: (1..=n_cameras).map(url).collect(),
            mqtt: ([127, 0, 0, 1], 18_830).into(),
            web: ([127, 0, 0, 1], 18_080).into(),
            police: Url::parse("http://127.0.0.1:18081/alerts").unwrap(),
        }
    }

    fn loaded(site: &DemoSite, folder: &Path) -> (config::Config, RosterOptions) {
        let addresses = addresses(site.n_cameras());
        let file = site.write_files(folder, &addresses, &Secret::new("demo-secret"));
        let config = config::load(&file.unwrap()).unwrap();
        let options = config.roster_options(CardHasher::new(&[7; 32]));
        (config, options)
    }

    #[test]
    fn configuration_and_roster_are_what_the_gateway_reads() {
        for n_cameras in [1, 2, 3, 4, 500] {
            let folder = tempfile::tempdir().unwrap();
            let site = DemoSite::new(n_cameras).unwrap();
            let (config, options) = loaded(&site, folder.path());
            assert!(config.warnings.is_empty(), "{:?}", config.warnings);
            assert_eq!(config.cameras.len(), n_cameras);
            assert_eq!(config.doors.len(), n_cameras);
            let file = folder.path().join("roster.csv");
            let report = check_file(&file, &options, &Clock::system()).unwrap();
            assert_eq!(report.over_limit.len(), 1);
        }
    }

    #[tokio::test]
    async fn each_story_meets_the_decision_it_tells_of() {
        let folder = tempfile::tempdir().unwrap();
        let site = DemoSite::new(7).unwrap();
        let (config, options) = loaded(&site, folder.path());
        let open = fixture::Site::of(folder, options).open().await;
        let roster = &open.roster;
        let now = Clock::system().now();
        let mut stories = BTreeSet::new();
        for step in site.steps().take(200) {
            stories.insert(step.story.title().1);
            let door = config.doors.iter().find(|d| d.door.id == step.door);
            let place: &Place = &door.unwrap().door.place;
            let Some(swipe) = step.swipe else {
                assert_eq!(step.story, DemoStory::Forced);
                continue;
            };
            let hasher = roster.card_hasher();
            let request = Request {
                card: swipe.card.as_ref().map(|card| hasher.key_of(card)),
                method: swipe.method,
                place,
                at: now,
            };
            let reason = roster.view().decide(&request).0.reason;
            let told = match step.story {
                DemoStory::Resident | DemoStory::Duplicate => [Reason::Ok, Reason::OverLimit],
                DemoStory::Leaves | DemoStory::Forced => [Reason::NoCard; 2],
                DemoStory::Unknown => [Reason::UnknownCard; 2],
                DemoStory::Revoked => [Reason::RevokedCard; 2],
                DemoStory::Expired => [Reason::ExpiredCard; 2],
                DemoStory::WrongStairwell => [Reason::WrongPlace; 2],
            };
            assert!(told.contains(&reason), "{:?}: {reason:?}", step.story);
        }
        assert_eq!(stories.len(), 8);
    }

    #[test]
    fn the_film_can_be_shown() {
        let folder = tempfile::tempdir().unwrap();
        let film = DemoSite::film(folder.path()).unwrap();
        assert_eq!(film.n_frames(), 1_600);
    }
}
