//! A thread for tasks that may find their work gathered: it looks for work only every few milliseconds.
//!
//! A socket in a runtime wakes the runtime's thread at every packet, also when the task behind it pauses
//! on purpose: 93 cameras of 25 frames a second are 2,300 wake-ups a second, and each costs more than
//! the frame's bytes. Here the thread rests before it looks, and the system tells of all that came
//! meanwhile at once.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::Supervisor;

/// A running thread; it ends when this is dropped, and takes along what still runs on it.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) handle: Handle,
    /// Never sent on: the thread ends when it is gone.
    _open: oneshot::Sender<Infallible>,
}

impl Lane {
    /// Starts the thread `name`, which rests for `rest` before it looks for work.
    pub(super) fn start(supervisor: &Supervisor, name: &str, rest: Duration) -> io::Result<Lane> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || pause(rest))
            .build()?;
        let handle = runtime.handle().clone();
        let (open, closed) = oneshot::channel::<Infallible>();
        let work = move || {
            // An error, since nothing is ever sent: the other end is gone.
            drop(runtime.block_on(closed));
            // Not waiting for a name server that hangs.
            runtime.shutdown_background();
        };
        super::thread(supervisor, name, work)?;
        Ok(Lane {
            handle,
            _open: open,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the rest is what this thread is for: not waiting for something to become true"
)]
fn pause(rest: Duration) {
    std::thread::sleep(rest);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tracing::Span;

    use super::*;

    const REST: Duration = Duration::from_millis(5);
    const WITHIN: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn tasks_run_on_the_thread_and_groups_of_the_group_too() {
        let supervisor = Supervisor::new();
        let group = supervisor.on_resting_thread("lane", REST).unwrap();
        for group in [group.clone(), group.group()] {
            let (tell, told) = oneshot::channel();
            group.spawn("who", Span::none(), async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                let thread = std::thread::current();
                tell.send(thread.name().map(str::to_owned)).unwrap();
            });
            let name = tokio::time::timeout(WITHIN, told).await.unwrap().unwrap();
            assert_eq!(name.as_deref(), Some("lane"));
        }
        group.shutdown(WITHIN).await.unwrap();
    }

    /// What this is for: bytes that come one by one are found together.
    #[tokio::test(flavor = "multi_thread")]
    async fn what_gathers_in_a_socket_is_found_at_one_look() {
        let supervisor = Supervisor::new();
        let group = supervisor
            .on_resting_thread("lane", Duration::from_millis(200))
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let far = far.into_std().unwrap();
        let n_reads = Arc::new(AtomicU32::new(0));
        let (seen, (tell, told)) = (Arc::clone(&n_reads), oneshot::channel());
        group.spawn("reader", Span::none(), async move {
            let mut far = TcpStream::from_std(far).unwrap();
            let (mut buffer, mut n_bytes) = ([0_u8; 1_024], 0);
            while n_bytes < 100 {
                n_bytes += far.read(&mut buffer).await.unwrap();
                seen.fetch_add(1, Ordering::Relaxed);
            }
            tell.send(()).unwrap();
        });
        near.set_nodelay(true).unwrap();
        for _ in 0..100 {
            near.write_all(&[1]).await.unwrap();
        }
        tokio::time::timeout(WITHIN, told).await.unwrap().unwrap();
        let n_reads = n_reads.load(Ordering::Relaxed);
        assert!(n_reads < 50, "100 packets in {n_reads} reads");
    }

    #[tokio::test]
    async fn a_task_that_waits_ends_when_its_group_is_asked_to() {
        let supervisor = Supervisor::new();
        let group = supervisor.on_resting_thread("lane", REST).unwrap();
        let token = group.token();
        let (tell, told) = oneshot::channel();
        group.spawn("waits", Span::none(), async move {
            token.cancelled().await;
            tell.send(()).unwrap();
        });
        supervisor.token().cancel();
        tokio::time::timeout(WITHIN, told).await.unwrap().unwrap();
    }
}
