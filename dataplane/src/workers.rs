//! The threads that serve, one for each core, each with a runtime and ways to the engines of its own: a request, its client
//! and its engine stay on one thread, so that no step of it has to wake another. It knows nothing of what is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

use crate::patience::Patience;
use crate::upstream::{Connector, Upstream};

/// Dropping it ends the threads, and cuts what they still do.
pub struct Workers {
    all: Vec<Worker>,
    stop: CancellationToken,
}

struct Worker {
    runtime: Handle,
    upstream: Arc<Upstream>,
    /// Connections that it has now.
    open: Arc<AtomicUsize>,
}

impl Workers {
    /// As many as the machine has cores for this process.
    pub fn start(patience: Patience) -> std::io::Result<Workers> {
        let mut workers = Workers {
            all: Vec::new(),
            stop: CancellationToken::new(),
        };
        let connector = Connector::default();
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        for at in 0..cores {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            workers.all.push(Worker {
                runtime: runtime.handle().clone(),
                upstream: Arc::new(Upstream::new(connector.clone(), patience)),
                open: Arc::default(),
            });
            let stop = workers.stop.clone();
            std::thread::Builder::new()
                .name(format!("s3-{at}"))
                .spawn(move || runtime.block_on(stop.cancelled()))?;
        }
        Ok(workers)
    }

    /// Has the worker with the fewest connections serve one more.
    pub fn serve<F>(&self, connection: impl FnOnce(Arc<Upstream>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let least = |worker: &&Worker| worker.open.load(Ordering::Relaxed);
        let Some(worker) = self.all.iter().min_by_key(least) else {
            return;
        };
        worker.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(worker.open.clone());
        let connection = connection(worker.upstream.clone());
        worker.runtime.spawn(async move {
            let _open = open;
            connection.await;
        });
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Counts a connection until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn connections_spread_and_places_are_given_back() {
        let workers = Workers::start(Patience::default()).unwrap();
        let (tell, told) = channel();
        let serve = || {
            let (end, ended) = oneshot::channel::<()>();
            let tell = tell.clone();
            workers.serve(|_| async move {
                let _ = tell.send(std::thread::current().id());
                let _ = ended.await;
            });
            (told.recv().unwrap(), end)
        };
        let (threads, mut ends): (Vec<_>, Vec<_>) = workers.all.iter().map(|_| serve()).unzip();
        for (at, thread) in threads.iter().enumerate() {
            assert!(!threads[..at].contains(thread), "one for each worker");
        }
        drop(ends.remove(0));
        let freed = &workers.all[0].open;
        while freed.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        let (again, _end) = serve();
        assert_eq!(again, threads[0], "the one that has none");
    }
}
