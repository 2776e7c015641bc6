//! A second thread that does one thing at a time, while the first waits for it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

type Job = Box<dyn FnOnce() + Send>;

/// The thread. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Helper {
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Helper {
    /// Starts the thread.
    #[must_use]
    pub(crate) fn start() -> Helper {
        let (jobs, inbox): (Sender<Job>, Receiver<Job>) = channel();
        let thread = thread::spawn(move || inbox.into_iter().for_each(|job| job()));
        Helper { jobs: Some(jobs), thread: Some(thread) }
    }

    /// Has the thread do the work, and waits for the result.
    ///
    /// # Panics
    /// If the work does.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (reply, answer) = channel();
        let job = Box::new(move || drop(reply.send(work())));
        self.jobs.as_ref().expect("alive until it is dropped").send(job).expect("the helper lives");
        answer.recv().expect("the helper has panicked")
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "the helper has panicked");
        }
    }
}
