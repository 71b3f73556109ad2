//! A disk that refuses in the middle of a write.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::camera::{Codec, Frame, Run};

/// A disk with so many bytes left.
#[derive(Clone, Debug, Default)]
struct Disk(Rc<RefCell<(Vec<u8>, usize)>>);

/// A disk that takes every byte into its cache and confirms only when it is well: after a refusal what
/// was not confirmed is gone, and the next confirmation says nothing of it.
#[derive(Clone, Debug, Default)]
struct Flaky(Rc<RefCell<FlakyState>>);

#[derive(Debug, Default)]
struct FlakyState {
    cached: Vec<u8>,
    durable: Vec<u8>,
    is_ill: bool,
    cuts_refused: bool,
}

impl io::Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().cached.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Flaky {
    fn sync_data(&mut self) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        if state.is_ill {
            // The pages are taken for clean although they were lost.
            let kept = state.durable.len();
            state.cached[kept..].fill(0);
            return Err(io::Error::from_raw_os_error(5));
        }
        state.durable.clone_from(&state.cached);
        Ok(())
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let state = &mut *self.0.borrow_mut();
        if state.cuts_refused {
            return Err(io::Error::from_raw_os_error(5));
        }
        state.cached.truncate(usize::try_from(bytes).unwrap());
        Ok(())
    }
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (file, left) = &mut *self.0.borrow_mut();
        let n = bytes.len().min(*left);
        if n == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *left -= n;
        file.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for Disk {
    fn sync_data(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        let (file, left) = &mut *self.0.borrow_mut();
        let bytes = usize::try_from(bytes).unwrap();
        *left += file.len() - bytes;
        file.truncate(bytes);
        Ok(())
    }
}

/// The parameter sets and a key frame of a synthetic 16x16 H.264 picture.
fn params() -> VideoParams {
    let sps: &[u8] = &[0x67, 0x42, 0xc0, 0x0a, 0xda, 0x79];
    let pps: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    let mut record = vec![
        1,
        0x42,
        0xc0,
        0x0a,
        0xff,
        0xe1,
        0,
        sps.len().try_into().unwrap(),
    ];
    record.extend_from_slice(sps);
    record.extend_from_slice(&[1, 0, pps.len().try_into().unwrap()]);
    record.extend_from_slice(pps);
    VideoParams {
        codec: Codec::H264,
        width: 16,
        height: 16,
        extra_data: Bytes::from(record),
        rfc6381: "avc1.42C00A".to_owned(),
    }
}

fn frames(run: &std::sync::Arc<Run>, first: i64) -> Vec<Placed> {
    let params = std::sync::Arc::new(params());
    (first..first + 5)
        .map(|idx| Placed {
            frame: Frame {
                run: std::sync::Arc::clone(run),
                params: std::sync::Arc::clone(&params),
                media: MediaTime(idx * 3_600),
                arrived: tokio::time::Instant::now(),
                is_key: idx == first,
                n_lost: 0,
                data: Bytes::from_static(&[0, 0, 0, 4, 0x65, 0x88, 0x84, 0x21]),
            },
            at: MediaTime(idx * 3_600),
            duration_ticks: 3_600,
        })
        .collect()
}

#[test]
fn a_full_disk_at_any_byte_leaves_whole_fragments_and_the_file_goes_on() {
    let camera = CameraId::new("a").unwrap();
    let run = Run::new(camera.clone(), tokio::time::Instant::now());
    let wall = WallTime::from_unix_ms(1_795_307_415_120);
    let name = FootageName::new(&camera, wall, run.id, 0);
    let root = Path::new("/nowhere");
    let file = |left| {
        let disk = Disk(Rc::new(RefCell::new((Vec::new(), left))));
        let file = FootageFile::over(root, name.clone(), run.id, disk.clone(), &params());
        (file.unwrap(), disk)
    };
    let (mut roomy, disk) = file(usize::MAX);
    for first in [0, 5, 10] {
        roomy.append(wall, &frames(&run, first), &[]).unwrap();
    }
    let all = disk.0.borrow().0.clone();
    let walk = boxes::walk(&all, all.len() as u64).unwrap();
    assert_eq!(walk.fragments.len(), 3);
    for left in 0..all.len() {
        let (mut file, disk) = file(left);
        let n_ok = [0, 5, 10]
            .iter()
            .take_while(|first| file.append(wall, &frames(&run, **first), &[]).is_ok())
            .count();
        assert!(n_ok < 3);
        let bytes = disk.0.borrow().0.clone();
        let record = file.record(FootageState::Open);
        assert_eq!(record.bytes, bytes.len() as u64, "nothing torn is left");
        assert_eq!(record.n_gops as usize, n_ok);
        match boxes::walk(&bytes, bytes.len() as u64) {
            Ok(walk) => assert_eq!(walk.fragments.len(), n_ok),
            Err(_) => assert_eq!(n_ok, 0),
        }
    }
}

#[test]
fn sums_and_places_of_the_side_file_are_those_of_the_bytes() {
    let camera = CameraId::new("a").unwrap();
    let run = Run::new(camera.clone(), tokio::time::Instant::now());
    let wall = WallTime::from_unix_ms(1_795_307_415_120);
    let name = FootageName::new(&camera, wall, run.id, 0);
    let disk = Disk(Rc::new(RefCell::new((Vec::new(), usize::MAX))));
    let over = FootageFile::over(Path::new("/nowhere"), name, run.id, disk.clone(), &params());
    let mut file = over.unwrap();
    for (first, ms) in [(0, 0), (5, 203)] {
        let read = wall.plus(Duration::from_millis(ms));
        file.append(read, &frames(&run, first), &[]).unwrap();
    }
    let bytes = disk.0.borrow().0.clone();
    for gop in &file.side.gops {
        let from = usize::try_from(gop.offset).unwrap();
        let to = from + usize::try_from(gop.bytes).unwrap();
        assert_eq!(gop.sha256, sum(&[&bytes[from..to]]));
    }
    // The second label follows the first, although the clock was read a little late.
    let second = file.side.gops[1].starts_at;
    assert_eq!(second.since(wall), Duration::from_millis(200));
}

#[test]
fn what_the_disk_once_refused_to_confirm_is_never_taken_for_kept() {
    let folder = tempfile::tempdir().unwrap();
    let camera = CameraId::new("a").unwrap();
    let run = Run::new(camera.clone(), tokio::time::Instant::now());
    let wall = WallTime::from_unix_ms(1_795_307_415_120);
    let name = FootageName::new(&camera, wall, run.id, 0);
    let path = folder.path().join(name.as_str());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let disk = Flaky::default();
    let over = FootageFile::over(folder.path(), name, run.id, disk.clone(), &params());
    let mut file = over.unwrap();
    file.append(wall, &frames(&run, 0), &[]).unwrap();
    assert!(file.is_unconfirmed() && !file.is_confirmed());
    file.sync().unwrap();
    let confirmed = file.record(FootageState::Open);
    file.append(wall, &frames(&run, 5), &[]).unwrap();
    disk.0.borrow_mut().is_ill = true;
    file.sync().unwrap_err();
    assert_eq!(file.record(FootageState::Open), confirmed);
    disk.0.borrow_mut().is_ill = false;
    disk.0.borrow_mut().cuts_refused = true;
    file.finish().unwrap_err();
    assert!(!file.is_confirmed() && !file.is_unconfirmed());
    disk.0.borrow_mut().cuts_refused = false;
    let finished = file.finish().unwrap();
    assert_eq!((finished.n_gops, finished.bytes), (1, confirmed.bytes));
    let durable = disk.0.borrow().durable.clone();
    assert_eq!(durable.len() as u64, finished.bytes, "no orphan bytes");
    let walk = boxes::walk(&durable, finished.bytes).unwrap();
    assert_eq!(walk.fragments.len(), 1);
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "the side file alone, no draft of it");
}
