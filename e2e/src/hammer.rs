//! One client that reads over and over and notes when it is first refused.
//! Before that nothing may fail, and after it nothing may succeed.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::http;

/// How often it asks again after the first refusal.
const FURTHER: usize = 50;
const LONGEST: Duration = Duration::from_secs(60);

pub struct Hammer(JoinHandle<Instant>);

impl Hammer {
    /// Begins to read this presigned URL, with such a pause after each answer; returns after the first one.
    #[track_caller]
    pub fn start(url: String, pause: Duration) -> Self {
        let (tell, first) = mpsc::channel();
        let hammer = Self(std::thread::spawn(move || read(&url, pause, &tell)));
        first.recv().expect("the first read succeeds");
        hammer
    }

    /// When the first refusal had arrived. Waits for it.
    ///
    /// # Panics
    /// When anything else failed, or a later request succeeded.
    pub fn refused_at(self) -> Instant {
        self.0.join().expect("the hammer saw what it should")
    }
}

fn read(url: &str, pause: Duration, tell: &mpsc::Sender<()>) -> Instant {
    let begun = Instant::now();
    let mut refused_at = None;
    let mut refusals = 0;
    while refusals <= FURTHER {
        let answer = http::get(url).expect("a data plane answers");
        let answered_at = Instant::now();
        std::thread::sleep(pause);
        if answer.status == 200 && refused_at.is_none() {
            // Nobody listens after the first.
            let _ = tell.send(());
            assert!(begun.elapsed() < LONGEST, "it was never refused");
            continue;
        }
        assert_eq!(answer.status, 403, "{}", answer.body);
        assert!(
            answer.body.contains("<Code>InvalidAccessKeyId</Code>"),
            "{}",
            answer.body
        );
        refused_at.get_or_insert(answered_at);
        refusals += 1;
    }
    refused_at.expect("the loop ends after refusals")
}
