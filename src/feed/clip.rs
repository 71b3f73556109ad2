//! `GetClip`: the file of an entry's clip in chunks, with a record of who took it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use tonic::Status;
use tracing::Span;

use super::caller::Caller;
use super::{Service, internal};
use crate::audit;
use crate::clip::{ClipError, ExportedClip};
use crate::domain::audit::{AuditAct, AuditEvent};
use crate::domain::clip::{ClipRecord, ClipState};
use crate::domain::entry::Entry;
use crate::domain::id::EntryId;
use crate::linkage::grpc::wire;

/// Bytes of a chunk, at most (the contract of `GetClip`).
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait for a reader in memory beside the file itself.
const CHUNKS_AHEAD_MAX: usize = 2;
/// A reader that takes no chunk for so long is let go, and the file with it.
const UNREAD_MAX: Duration = Duration::from_secs(60);

/// Starts to send a clip.
///
/// # Errors
/// Those of the contract of `GetClip`.
pub(super) async fn open(
    service: &Service,
    caller: Caller,
    from: Option<SocketAddr>,
    request: wire::GetClipRequest,
) -> Result<BoxStream<'static, Result<wire::Chunk, Status>>, Status> {
    let Ok(place) = Arc::clone(&service.0.clips).try_acquire_owned() else {
        return Err(Status::unavailable(
            "many clips are on their way; ask again",
        ));
    };
    let id: EntryId = request
        .entry_id
        .parse()
        .map_err(|err| Status::invalid_argument(format!("entry_id: {err}")))?;
    let base = &service.0.base;
    let entry = base.store.entry(&id);
    let entry = entry
        .map_err(|err| internal("get clip", &err))?
        .ok_or_else(|| Status::not_found("no such entry"))?;
    let record = settled(&entry, &request.camera)?;
    let exported = base.shelf.get(&id, record).await.map_err(refused)?;
    let camera = record.camera.as_ref().map(|id| format!("camera {id}, "));
    let camera = camera.unwrap_or_default();
    let look = AuditEvent {
        at: base.clock.now(),
        by: Some(caller.actor),
        from: from.map(|from| from.ip()),
        act: AuditAct::Clip,
        target: id.to_string(),
        place: Some(entry.place.clone()),
        detail: format!("{camera}sha256 {}, by the feed", exported.sha256),
        reason: None,
        case: None,
    };
    // Before the first byte leaves.
    let recorded = audit::append(&base.store, look).await;
    recorded.map_err(|err| internal("record the look", &err))?;
    let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD_MAX);
    let stop = base.supervisor.token();
    let sending = async move {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = send(exported, chunks, place) => {}
        }
    };
    base.supervisor
        .spawn("clip-reader", Span::current(), sending);
    Ok(stream::unfold(stream, async |mut stream| {
        let chunk = stream.recv().await?;
        Some((chunk, stream))
    })
    .boxed())
}

/// The clip of that camera, once there is one.
fn settled<'a>(entry: &'a Entry, camera: &str) -> Result<&'a ClipRecord, Status> {
    let clip = if camera.is_empty() {
        entry.clip()
    } else {
        let is_its =
            |clip: &&ClipRecord| clip.camera.as_ref().is_some_and(|id| id.as_str() == camera);
        let found = entry.clips.iter().find(is_its);
        found.ok_or_else(|| Status::not_found("camera: none of this entry's door"))?
    };
    match clip.state {
        ClipState::Whole | ClipState::Partial => Ok(clip),
        ClipState::Pending => Err(Status::failed_precondition(format!(
            "the clip is being made; its window ends at {}",
            clip.window.to
        ))),
        ClipState::Missed => Err(Status::not_found("there is no clip of this entry")),
    }
}

fn refused(err: ClipError) -> Status {
    match err {
        ClipError::Gone { .. } => Status::not_found("the footage of this clip is not on the disk"),
        ClipError::Busy { .. } => {
            Status::unavailable("many clips are being made just now; ask again")
        }
        other => internal("export the clip", &other),
    }
}

/// Sends the file until its end, or until the reader goes or takes nothing.
async fn send(
    exported: Arc<ExportedClip>,
    chunks: mpsc::Sender<Result<wire::Chunk, Status>>,
    _place: OwnedSemaphorePermit,
) {
    for chunk in cut(&exported.file, &exported.sha256) {
        match timeout(UNREAD_MAX, chunks.send(Ok(chunk))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

fn cut(file: &Bytes, sha256: &str) -> impl Iterator<Item = wire::Chunk> {
    let total_bytes = file.len() as u64;
    (0..file.len()).step_by(CHUNK_BYTES).map(move |offset| {
        let end = file.len().min(offset + CHUNK_BYTES);
        wire::Chunk {
            data: file.slice(offset..end),
            offset_bytes: offset as u64,
            total_bytes,
            sha256: if offset == 0 {
                sha256.to_owned()
            } else {
                String::new()
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_the_file_again() {
        for size in [1, CHUNK_BYTES - 1, CHUNK_BYTES, 3 * CHUNK_BYTES + 7] {
            let file: Bytes = (0..=250).cycle().take(size).collect::<Vec<u8>>().into();
            let chunks: Vec<wire::Chunk> = cut(&file, "ab").collect();
            let mut whole = Vec::new();
            for chunk in &chunks {
                assert_eq!(chunk.offset_bytes, whole.len() as u64);
                assert_eq!(chunk.total_bytes, size as u64);
                assert!((1..=CHUNK_BYTES).contains(&chunk.data.len()));
                whole.extend_from_slice(&chunk.data);
            }
            assert_eq!(whole, file);
            let named: Vec<&str> = chunks.iter().map(|chunk| chunk.sha256.as_str()).collect();
            assert_eq!(named[0], "ab");
            assert!(named[1..].iter().all(|name| name.is_empty()));
        }
    }
}
