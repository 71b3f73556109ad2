//! What a large compound's spreadsheet costs, from its bytes to the disk: 10,000 dwellings and 30,000
//! cards as XLSX and CSV. `cargo bench --bench roster_files`, with other dwellings as `-- 2000`.
//!
//! Target: an import < 10 s.
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::time::Duration;

use stairgate::config::{self, Config};
use stairgate::domain::id::DwellingId;
use stairgate::domain::role::{Actor, ActorName, Role};
use stairgate::gateway::OpenLedger;
use stairgate::roster::sheet::{
    FileFormat, ImportOptions, ImportReport, Language, Missing, import,
};
use stairgate::roster::{BeyondLimit, Mode};
use stairgate::time::Clock;
use tokio::time::Instant;

const DWELLINGS: usize = 10_000;
const CARDS_PER_DWELLING: usize = 3;
const STAIRWELLS: usize = 93;

fn configuration(folder: &Path) -> Config {
    let mut text = "[compound]\nid = \"bench\"\nname = \"Bench\"\ntime_zone = \"Asia/Shanghai\"\n\
                    [store]\npath = \"store\"\n[footage]\npath = \"footage\"\n"
        .to_owned();
    for n in 0..STAIRWELLS {
        let (building, unit) = (n % 42 + 1, n / 42 + 1);
        text += &format!(
            "[[stairwell]]\nid = \"b{building:02}-u{unit}\"\nbuilding = \"{building}\"\nunit = \"{unit}\"\n"
        );
    }
    let file = folder.join("gateway.toml");
    std::fs::write(&file, text).expect("a file");
    config::load(&file).expect("a configuration")
}

fn rows(n_dwellings: usize) -> String {
    let mut text =
        "幢号,单元,房号,建筑面积,租住类型,姓名,关系,租期止,卡号,状态,有效期止\n".to_owned();
    for n in 0..n_dwellings {
        let (building, unit) = (n % STAIRWELLS % 42 + 1, n % STAIRWELLS / 42 + 1);
        let number = 101 + n / STAIRWELLS;
        for holder in 0..CARDS_PER_DWELLING {
            let card = n * CARDS_PER_DWELLING + holder;
            text += &format!(
                "{building},{unit},{number},94.30,出租,住户{card},租客,2027-12-31,04{card:08X},有效,2027-12-31\n"
            );
        }
    }
    text
}

fn options(is_dry_run: bool, mode: Mode) -> ImportOptions {
    ImportOptions {
        by: Actor {
            name: ActorName::new("bench").expect("a name"),
            role: Role::PropertyManager,
        },
        why: String::new(),
        mode,
        missing: Missing::Keeps,
        beyond_limit: BeyondLimit::Refuse,
        is_dry_run,
    }
}

async fn take(
    ledger: &OpenLedger,
    bytes: &[u8],
    options: &ImportOptions,
) -> (Duration, ImportReport) {
    let started = Instant::now();
    let report = import(ledger.roster(), bytes.to_vec(), options, &|_| {}).await;
    let report = report.expect("imported");
    assert_eq!(report.refused_rows, 0, "nothing is refused");
    (started.elapsed(), report)
}

/// A ledger of its own on the disk.
async fn fresh() -> (tempfile::TempDir, OpenLedger) {
    let folder = tempfile::tempdir_in("target").expect("a folder");
    let ledger = OpenLedger::open(&configuration(folder.path()), Clock::system()).await;
    (folder, ledger.expect("a ledger"))
}

#[tokio::main]
async fn main() {
    let n_dwellings = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(DWELLINGS);
    let n_cards = n_dwellings * CARDS_PER_DWELLING;
    let csv = rows(n_dwellings);
    let (_kept, ledger) = fresh().await;
    let (tried, _) = take(&ledger, csv.as_bytes(), &options(true, Mode::AllOrNothing)).await;
    let (from_csv, report) =
        take(&ledger, csv.as_bytes(), &options(false, Mode::AllOrNothing)).await;
    assert_eq!(
        report.n_changes(),
        n_dwellings + 2 * n_cards,
        "all of it is new"
    );
    let started = Instant::now();
    let xlsx = ledger
        .roster()
        .export(FileFormat::Xlsx, Language::Zh)
        .expect("a file")
        .bytes;
    let exported = started.elapsed();
    let (again, report) = take(&ledger, &xlsx, &options(false, Mode::AllOrNothing)).await;
    assert_eq!(report.n_changes(), 0, "the same changes nothing");
    let started = Instant::now();
    ledger.roster().report().expect("a report");
    let reported = started.elapsed();
    let known = DwellingId::new("b01-u1-101").expect("a slug");
    assert!(
        ledger.roster().book().household(&known).is_some(),
        "it is there"
    );
    ledger.close().await;

    let (_kept, ledger) = fresh().await;
    let (from_xlsx, _) = take(&ledger, &xlsx, &options(false, Mode::AllOrNothing)).await;
    ledger.close().await;
    let (_kept, ledger) = fresh().await;
    let (in_pieces, _) = take(&ledger, &xlsx, &options(false, Mode::SkipRefused)).await;
    ledger.close().await;

    println!(
        "{n_dwellings} dwellings, {n_cards} cards; XLSX {} KiB, CSV {} KiB",
        xlsx.len() >> 10,
        csv.len() >> 10
    );
    println!("| what | measured | target |\n|---|---|---|");
    println!("| import CSV, all or nothing | {from_csv:?} | 10 s |");
    println!("| import XLSX, all or nothing | {from_xlsx:?} | 10 s |");
    println!("| import XLSX, skip refused | {in_pieces:?} | 10 s |");
    println!("| dry run of the CSV | {tried:?} | |");
    println!("| import the same again | {again:?} | |");
    println!("| export as XLSX | {exported:?} | |");
    println!("| report | {reported:?} | |");
}
