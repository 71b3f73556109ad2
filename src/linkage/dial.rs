//! One connection shared by the calls of a linkage: dialled when it is needed, by one for all who
//! wait, and replaced rather than mended when it has failed.

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::DeliveryError;

/// A connection and its number, to tell it from its successor.
#[derive(Clone, Debug)]
pub(super) struct Line<T> {
    pub(super) end: T,
    number: u64,
}

/// Where the connection is kept.
#[derive(Debug)]
pub(super) struct Dial<T>(Mutex<State<T>>);

#[derive(Debug)]
struct State<T> {
    current: Option<Line<T>>,
    n_dialled: u64,
    /// When the last dial failed, and how.
    failed: Option<(Instant, String)>,
}

impl<T> Default for Dial<T> {
    fn default() -> Dial<T> {
        Dial(Mutex::new(State {
            current: None,
            n_dialled: 0,
            failed: None,
        }))
    }
}

impl<T: Clone> Dial<T> {
    /// The connection in use, if `is_open` still says so, or the one that `connect` makes. Who waited
    /// while another dialled in vain has its answer, too: nobody is dialled once for each who waits.
    ///
    /// # Errors
    /// That of `connect`.
    pub(super) async fn line<F>(
        &self,
        is_open: impl Fn(&T) -> bool,
        connect: F,
    ) -> Result<Line<T>, DeliveryError>
    where
        F: Future<Output = Result<T, DeliveryError>>,
    {
        let asked_at = Instant::now();
        let mut state = self.0.lock().await;
        if let Some(line) = &state.current
            && is_open(&line.end)
        {
            return Ok(line.clone());
        }
        if let Some((at, why)) = &state.failed
            && *at > asked_at
        {
            return Err(DeliveryError::Connect(why.clone().into()));
        }
        state.current = None;
        match connect.await {
            Ok(end) => {
                state.n_dialled += 1;
                let line = Line {
                    end,
                    number: state.n_dialled,
                };
                state.current = Some(line.clone());
                Ok(line)
            }
            Err(err) => {
                let why = crate::error::chain(&err).to_string();
                state.failed = Some((Instant::now(), why));
                Err(err)
            }
        }
    }

    /// `line` is not used again; calls that run on it may end.
    pub(super) async fn hang_up(&self, line: &Line<T>) {
        let mut state = self.0.lock().await;
        if state
            .current
            .as_ref()
            .is_some_and(|now| now.number == line.number)
        {
            state.current = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_who_wait_dial_once_whether_it_works_or_not() {
        let dial: Dial<u32> = Dial::default();
        let n_dials = Cell::new(0);
        let connect = |works: bool| {
            n_dials.set(n_dials.get() + 1);
            async move {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                let why = DeliveryError::Connect("refused".into());
                works.then_some(7).ok_or(why)
            }
        };
        let ask = |works: bool| {
            let (dial, connect) = (&dial, &connect);
            // Made when it is polled, as a real dial is.
            async move { dial.line(|_| true, async { connect(works).await }).await }
        };
        let all = join_all((0..10).map(|_| ask(false))).await;
        assert!(all.iter().all(Result::is_err));
        assert_eq!(n_dials.get(), 1);

        let all = join_all((0..10).map(|_| ask(true))).await;
        assert!(all.iter().all(|line| line.as_ref().unwrap().end == 7));
        assert_eq!(n_dials.get(), 2);
    }

    #[tokio::test]
    async fn only_the_line_that_failed_is_hung_up() {
        let dial: Dial<u32> = Dial::default();
        let line = async |end: u32| dial.line(|_| true, async { Ok(end) }).await.unwrap();
        let first = line(1).await;
        dial.hang_up(&first).await;
        let second = line(2).await;
        dial.hang_up(&first).await;
        assert_eq!((second.end, line(3).await.end), (2, 2));
        let closed = dial.line(|_| false, async { Ok(4) }).await.unwrap();
        assert_eq!(closed.end, 4);
    }
}
