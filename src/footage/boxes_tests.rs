//! Boxes that end anywhere, or are no boxes at all.

use super::*;
use proptest::prelude::*;

impl ReadAt for Vec<u8> {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        match self.get(from..from + buffer.len()) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }
}

fn full(kind: &[u8; 4], version_flags: u32, fields: &[u32]) -> Vec<u8> {
    let mut body = version_flags.to_be_bytes().to_vec();
    for field in fields {
        body.extend_from_slice(&field.to_be_bytes());
    }
    boxed(*kind, &body)
}

fn nested(kind: &[u8; 4], parts: &[Vec<u8>]) -> Vec<u8> {
    boxed(*kind, &parts.concat())
}

/// `ftyp` and the parts of `moov` that the reader looks at.
pub(in crate::footage) fn header() -> Vec<u8> {
    let mdhd = full(b"mdhd", 0, &[0, 0, 90_000, 0, 0]);
    let moov = nested(b"moov", &[nested(b"trak", &[nested(b"mdia", &[mdhd])])]);
    [boxed(*b"ftyp", b"iso6"), moov].concat()
}

/// A `moof` and `mdat` with frames of those durations.
pub(in crate::footage) fn fragment(at: MediaTime, ticks: &[u32]) -> Vec<u8> {
    let at = u32::try_from(at.0).unwrap();
    let tfhd = full(b"tfhd", 0x02_0020, &[1, NON_SYNC]);
    let tfdt = full(b"tfdt", 0, &[at]);
    let mut fields = vec![u32::try_from(ticks.len()).unwrap(), 0, 0];
    for ticks in ticks {
        fields.extend([*ticks, 3]);
    }
    let trun = full(b"trun", 0x305, &fields);
    let traf = nested(b"traf", &[tfhd, tfdt, trun]);
    let moof = nested(b"moof", &[full(b"mfhd", 0, &[1]), traf]);
    [moof, boxed(*b"mdat", &vec![7; ticks.len() * 3])].concat()
}

fn flaw() -> Flaw {
    Flaw {
        from: MediaTime(3_600),
        to: MediaTime(7_200),
        reason: GapReason::PacketsLost,
    }
}

fn two_fragments() -> (Vec<u8>, Vec<u64>) {
    let wall = WallTime::from_unix_ms(1_795_307_415_120);
    let first = [
        prft(wall, MediaTime(0)),
        flaws(&[flaw()]),
        fragment(MediaTime(0), &[3_600, 3_600, 1_800]),
    ];
    let second = [
        prft(wall, MediaTime(9_000)),
        fragment(MediaTime(9_000), &[3_600]),
    ];
    let parts = [header(), first.concat(), second.concat()];
    let mut ends = Vec::new();
    let mut end = 0;
    for part in &parts {
        end += part.len() as u64;
        ends.push(end);
    }
    (parts.concat(), ends)
}

#[test]
fn whole_fragments_are_found_with_their_times_and_flaws() {
    let (bytes, ends) = two_fragments();
    let walk = walk(&bytes, bytes.len() as u64).unwrap();
    assert_eq!(walk.header_bytes, ends[0]);
    assert_eq!(walk.whole_bytes, ends[2]);
    let first = &walk.fragments[0];
    assert_eq!((first.offset, first.bytes), (ends[0], ends[1] - ends[0]));
    assert_eq!(
        first.frames,
        [MediaTime(0), MediaTime(3_600), MediaTime(7_200)]
    );
    assert_eq!(first.end, MediaTime(9_000));
    assert!(first.is_key);
    assert_eq!(first.flaws, [flaw()]);
    assert_eq!(first.wall, Some(WallTime::from_unix_ms(1_795_307_415_120)));
    assert!(walk.fragments[1].flaws.is_empty());
}

#[test]
fn a_file_cut_at_any_byte_keeps_exactly_its_whole_fragments() {
    let (bytes, ends) = two_fragments();
    for cut in 0..=bytes.len() as u64 {
        let expected = ends.iter().rev().find(|end| **end <= cut);
        match (walk(&bytes, cut), expected) {
            (Ok(walk), Some(end)) => assert_eq!(walk.whole_bytes, *end, "cut at {cut}"),
            (Err(BoxError::NoHeader), None) => {}
            (found, _) => panic!("cut at {cut}: {found:?}"),
        }
    }
}

#[test]
fn only_what_a_crash_leaves_before_the_first_picture_is_a_stump() {
    let (bytes, ends) = two_fragments();
    for cut in 0..=bytes.len() as u64 {
        assert_eq!(
            is_stump(&bytes, cut).unwrap(),
            cut < ends[1],
            "cut at {cut}"
        );
    }
    let mut other = bytes.clone();
    other[4..8].copy_from_slice(b"RIFF");
    assert!(!is_stump(&other, 30).unwrap());
    assert!(!is_stump(&vec![0; 64], 64).unwrap());
    let damaged = [
        bytes[..usize::try_from(ends[0]).unwrap()].to_vec(),
        vec![0xA5; 64],
    ]
    .concat();
    assert!(!is_stump(&damaged, damaged.len() as u64).unwrap());
}

proptest! {
    #[test]
    fn any_bytes_are_walked_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        drop(walk(&bytes, bytes.len() as u64));
        drop(TrackRun::parse(&bytes));
        drop((wall_of(&bytes), flaws_of(&bytes), timescale_of(&bytes)));
    }

    #[test]
    fn a_damaged_file_is_walked_without_a_panic(at in 0usize..500, value in any::<u8>()) {
        let (mut bytes, _) = two_fragments();
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(walk) = walk(&bytes, bytes.len() as u64) {
            prop_assert!(walk.whole_bytes <= bytes.len() as u64);
        }
    }

    #[test]
    fn a_wall_time_survives_as_ntp(ns in 0i64..4_000_000_000_000_000_000) {
        let wall = WallTime::from_unix_ns(ns);
        prop_assert_eq!(wall_of_ntp(ntp_of(wall)), wall);
    }
}
