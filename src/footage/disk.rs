//! Free space of the footage disk against its floor.

use std::path::Path;

/// What must stay free on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeSpaceFloor {
    /// Of the whole file system, 1 to 50 %.
    Percent(u8),
    /// In bytes.
    Bytes(u64),
}

/// The disk's space now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Space {
    /// Bytes that we may still use (not those kept for root).
    pub(super) free_bytes: u64,
    /// Bytes of the whole file system.
    pub(super) total_bytes: u64,
}

impl Space {
    /// Asks the file system that `root` lies on.
    pub(super) fn of(root: &Path) -> std::io::Result<Space> {
        let stat = rustix::fs::statvfs(root)?;
        let block = if stat.f_frsize > 0 {
            stat.f_frsize
        } else {
            stat.f_bsize
        };
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(block),
            total_bytes: stat.f_blocks.saturating_mul(block),
        })
    }

    /// Bytes that must be freed to be above the floor again; zero above it.
    pub(super) fn short_bytes(self, floor: FreeSpaceFloor) -> u64 {
        self.floor_bytes(floor).saturating_sub(self.free_bytes)
    }

    /// Is less than twice the floor free? The first of two warnings.
    pub(super) fn is_low(self, floor: FreeSpaceFloor) -> bool {
        self.free_bytes < self.floor_bytes(floor).saturating_mul(2)
    }

    /// Bytes that must stay free.
    pub(super) fn floor_bytes(self, floor: FreeSpaceFloor) -> u64 {
        match floor {
            FreeSpaceFloor::Percent(percent) => self.total_bytes / 100 * u64::from(percent),
            FreeSpaceFloor::Bytes(bytes) => bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_watermarks() {
        let space = |free_bytes| Space {
            free_bytes,
            total_bytes: 1_000,
        };
        let floor = FreeSpaceFloor::Percent(5);
        assert_eq!(space(40).short_bytes(floor), 10);
        assert_eq!(space(50).short_bytes(floor), 0);
        assert!(space(99).is_low(floor) && !space(100).is_low(floor));
        assert_eq!(space(40).short_bytes(FreeSpaceFloor::Bytes(30)), 0);
        assert!(Space::of(Path::new("/")).unwrap().total_bytes > 0);
    }
}
