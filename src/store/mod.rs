//! The durable store: the only module that names sled.
//!
//! One thread writes. A [`Store::write`] is a closure that reads and changes records on that thread;
//! closures that wait together are committed together (group commit), each all or nothing, and each
//! is answered only when its bytes are on the disk. So a check and the write that rests on it cannot
//! be torn apart, and the bounded queue of that thread is the backpressure of the whole gateway.
//!
//! Everything lies in one sled tree, a table being a key prefix, since a batch on one tree is atomic.
//! **`flush` of sled 0.34.7 is not durable on Linux by itself** (it uses `sync_file_range`), so a
//! commit is `flush` and then `fdatasync` of its `db` file.

mod entry;
mod error;
mod key;
mod metrics;
mod record;
mod table;
mod txn;
mod verify;
mod verify_audit;
mod verify_cases;
mod verify_ledger;
mod writer;

pub use error::StoreError;
pub use key::{Key, KeyError, KeyReader};
pub use record::{Record, RecordError};
pub use table::{Table, tables};
pub use txn::Txn;
pub use verify::{Finding, verify};
pub use writer::{Store, StoreOptions};
