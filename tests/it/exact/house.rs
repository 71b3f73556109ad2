//! The whole way of a swipe under a clock that only the test moves: pipeline, clips, outbox, store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use stairgate::clip::{ClipShelf, ShelfOptions};
use stairgate::domain::access::AtDoor;
use stairgate::domain::card::CardHasher;
use stairgate::domain::clip::ClipLength;
use stairgate::domain::entry::Entry;
use stairgate::domain::id::{CompoundId, DoorId, EntryId};
use stairgate::domain::limit::FloorArea;
use stairgate::domain::place::{Door, Place};
use stairgate::domain::reckoning::{AppliesTo, LimitPolicy};
use stairgate::domain::swipe::{ControllerResult, Direction, Method, Swipe, SwipeKey};
use stairgate::door::{
    Ack, Broker, Dialect, DoorEvent, DoorOptions, Doors, DoorsOptions, ExternalBroker,
};
use stairgate::entry::{
    ClipDesk, Conditions, EntryMetrics, EntryOptions, LastSeen, NextCards, Pipeline, SharedRule,
};
use stairgate::linkage::SiteFacts;
use stairgate::outbox::{Outbox, OutboxBase, OutboxOptions};
use stairgate::roster::{LedgerBase, Roster, RosterOptions};
use stairgate::time::{TimeZone, WallTime};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::site::{Site, camera};
use super::time;

/// A site whose swipes come through the pipeline.
pub(super) struct House {
    pub(super) site: Site,
    events: mpsc::Sender<DoorEvent>,
    n_swipes: u64,
}

pub(super) fn door() -> DoorId {
    DoorId::new("b03-u2-door").unwrap()
}

impl House {
    pub(super) async fn new(mut site: Site) -> House {
        let zone = TimeZone::named("Asia/Shanghai").unwrap();
        let compound = CompoundId::new("test-1").unwrap();
        let base = OutboxBase {
            store: site.store.clone(),
            clock: site.clock.clone(),
            supervisor: site.supervisor.clone(),
            board: site.board.clone(),
        };
        let facts = SiteFacts {
            compound: compound.clone(),
            name: "Test".to_owned(),
            stairwells: BTreeMap::new(),
            time_zone: zone.clone(),
            public_url: None,
        };
        let options = OutboxOptions::default();
        let started = Outbox::start(base, options, Vec::new(), facts, &mut site.registry);
        let (outbox, mut told) = started.unwrap();
        site.supervisor
            .spawn("told", tracing::Span::none(), async move {
                while told.recv().await.is_some() {}
            });
        let shelf = ClipShelf::new(site.root(), ShelfOptions::default());
        let length = ClipLength::DEFAULT;
        let (footage, clock) = (site.footage.clone(), site.clock.clone());
        let shelf = Arc::new(shelf);
        let clips = ClipDesk::new(
            site.store.clone(),
            footage,
            shelf,
            outbox.clone(),
            clock,
            length,
        );
        let options = Arc::new(ArcSwap::from_pointee(entry_options(length)));
        let conditions = Conditions {
            store: site.store.clone(),
            outbox: outbox.clone(),
            clock: site.clock.clone(),
            options: Arc::clone(&options),
        };
        let pipeline = Pipeline {
            options,
            store: site.store.clone(),
            roster: roster(&site, &outbox, &zone).await,
            last_seen: LastSeen::default(),
            next_cards: NextCards::default(),
            doors: doors(&mut site, compound, zone),
            clips: clips.clone(),
            outbox,
            conditions,
            metrics: EntryMetrics::register(&mut site.registry),
        };
        let (events, swipes) = mpsc::channel(64);
        let stop = site.supervisor.token();
        let none = tracing::Span::none();
        let swipes = pipeline.run(swipes, stop.clone());
        site.supervisor.vital("swipes", none.clone(), swipes);
        let settled = site.clips.take().unwrap();
        let clips = clips.run(settled, stop.clone(), stop);
        site.supervisor.vital("clips", none, clips);
        House {
            site,
            events,
            n_swipes: 0,
        }
    }

    /// Someone swipes now; the controller's clock says `said`. Returns once the entry is durable, and
    /// `n_passes` later.
    pub(super) async fn swipe(&mut self, said: Option<WallTime>, n_passes: usize) -> EntryId {
        self.n_swipes += 1;
        let swipe = Swipe {
            door: door(),
            key: SwipeKey {
                boot: "5f3a".to_owned(),
                seq: self.n_swipes,
            },
            card: None,
            direction: Direction::In,
            method: Method::Button,
            controller_result: ControllerResult::Granted,
            controller_at: said,
            received_at: self.site.clock.now(),
            arrived: Instant::now(),
            may_have_waited: false,
        };
        let id = swipe.entry_id();
        let (ack, done) = Ack::watched();
        self.events
            .send(DoorEvent::Swipe { swipe, ack })
            .await
            .unwrap();
        assert!(done.await.unwrap());
        time::passes(&self.site.store, n_passes).await;
        id
    }

    pub(super) fn entry(&self, id: EntryId) -> Entry {
        self.site.store.entry(&id).unwrap().unwrap()
    }
}

fn entry_options(length: ClipLength) -> EntryOptions {
    let place = Place::new("b03-u2").unwrap();
    let only = Door {
        id: door(),
        place: place.clone(),
        cameras: vec![camera()],
    };
    EntryOptions {
        doors: BTreeMap::from([(door(), only)]),
        cameras: BTreeMap::from([(camera(), place)]),
        online_doors: BTreeSet::new(),
        length,
        clocks_agree_within: Duration::from_secs(2),
        late_max: Duration::from_secs(30 * 86_400),
        card_shared: SharedRule {
            within: Duration::ZERO,
            buildings: BTreeMap::new(),
        },
    }
}

async fn roster(site: &Site, outbox: &Outbox, zone: &TimeZone) -> Roster {
    let base = LedgerBase {
        store: site.store.clone(),
        outbox: outbox.clone(),
        clock: site.clock.clone(),
    };
    let options = RosterOptions {
        file: None,
        stairwells: BTreeMap::new(),
        time_zone: zone.clone(),
        limit: LimitPolicy {
            version: 1,
            per_person: FloorArea::from_hundredths_m2(1_000).unwrap(),
            applies_to: AppliesTo::All,
            exempt_relations: BTreeSet::new(),
        },
        at_door: AtDoor::default(),
        hasher: CardHasher::new(&[1; 32]),
        key_file: site.folder.path().join("ledger-key"),
    };
    Roster::open(base, options).await.unwrap()
}

/// Doors at a broker that is away, as nothing is to be sent to them.
fn doors(site: &mut Site, compound: CompoundId, zone: TimeZone) -> Doors {
    let options = DoorsOptions {
        compound,
        topic_prefix: "stairgate".to_owned(),
        time_zone: zone,
        broker: Broker::External(ExternalBroker {
            host: "127.0.0.1".to_owned(),
            port: crate::harness::net::free_port(),
            tls: None,
            client_id: "gateway".to_owned(),
            username: None,
            password: None,
        }),
        doors: vec![DoorOptions {
            id: door(),
            controller: Dialect::Native,
        }],
    };
    let started = Doors::start(
        options,
        site.clock.clone(),
        &site.supervisor,
        &site.board,
        &mut site.registry,
    );
    started.unwrap().0
}
