//! What is said while an answer takes long.
//!
//! Invariant: it goes to standard error, and only after two seconds.

use std::time::Duration;

use ottla_runtime::seams::{Clock as _, RealClock};

/// How long nothing is said.
const SILENCE: Duration = Duration::from_secs(2);

/// Waits for an answer of `whom`, and says so where that takes long.
pub(super) async fn patient<T>(whom: &str, answer: impl Future<Output = T>) -> T {
    let clock = RealClock::new();
    let mut answer = std::pin::pin!(answer);
    let mut waited = Duration::ZERO;
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = clock.sleep(SILENCE) => {
                waited += SILENCE;
                eprintln!("waiting for {whom} for {} s …", waited.as_secs());
            }
        }
    }
}
