//! How much of runs' inputs is in memory: parsed, a body takes many times its length, and a run holds its input for as long as it
//! is worked on.

use std::sync::Arc;

use postrider_domain::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What a value takes beside its text.
const VALUE_BYTES: usize = 80;

pub(crate) struct Inputs(Arc<Semaphore>);

/// The right to hold an input; none is needed for a small one.
pub(crate) struct Room {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Inputs {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(limits::RUN_INPUTS_BYTES_IN_HAND / 1024)))
    }
}

impl Inputs {
    /// At once, or not.
    pub(crate) fn try_room(&self, input: &[u8]) -> Option<Room> {
        match permits(input) {
            0 => Some(Room { _permit: None }),
            kib => {
                self.0.clone().try_acquire_many_owned(kib).ok().map(|permit| Room { _permit: Some(permit) })
            }
        }
    }

    /// When there is room.
    pub(crate) async fn room(&self, input: &[u8]) -> Room {
        match permits(input) {
            0 => Room { _permit: None },
            kib => Room { _permit: self.0.clone().acquire_many_owned(kib).await.ok() },
        }
    }
}

/// In KiB; none for a small input.
fn permits(input: &[u8]) -> u32 {
    let values = input.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    let bytes = 2 * input.len() + VALUE_BYTES * values;
    if bytes <= limits::RUN_INPUT_SMALL {
        return 0;
    }
    let most = limits::RUN_INPUTS_BYTES_IN_HAND / 1024;
    u32::try_from(bytes.div_ceil(1024).min(most)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_many_values_weighs_more_than_its_length() {
        assert_eq!(permits(br#"{"email": "person@example.com"}"#), 0);
        assert_eq!(permits(&[b'a'; 100 * 1024]), 200);
        let zeros = "0,".repeat(50 * 1024);
        assert!(permits(zeros.as_bytes()) > 4000);
        let inputs = Inputs::default();
        let most = vec![b','; 26 * 1024 * 1024];
        let held = inputs.try_room(&most);
        assert!(held.is_some() && inputs.try_room(zeros.as_bytes()).is_none());
        drop(held);
        assert!(inputs.try_room(zeros.as_bytes()).is_some());
    }
}
