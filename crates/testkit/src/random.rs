//! Randomness that can be had again.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::{Mutex, MutexGuard};

use postrider_domain::random::Random;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Set to a number, it makes [`SeededRandom::fresh`] repeat an earlier run.
pub const SEED_VARIABLE: &str = "POSTRIDER_TEST_SEED";

/// A seeded source of random bytes. It prints its seed when it is made, so that a failing run can be repeated.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    source: Mutex<StdRng>,
}

impl SeededRandom {
    pub fn new(seed: u64) -> Self {
        eprintln!("seed {seed}");
        Self { seed, source: Mutex::new(StdRng::seed_from_u64(seed)) }
    }

    /// A seed of its own for every run, or that of [`SEED_VARIABLE`].
    pub fn fresh() -> Self {
        let given = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
        Self::new(given.unwrap_or_else(unpredictable))
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A number below `bound`; `bound` is at least 1.
    pub fn below(&self, bound: u64) -> u64 {
        self.lock().random_range(0..bound)
    }

    /// True once in `n` times.
    pub fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    fn lock(&self) -> MutexGuard<'_, StdRng> {
        self.source.lock().expect("because nothing panics while it holds the lock")
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.lock().fill_bytes(bytes);
    }
}

/// The standard library keys its hash maps at random; that is randomness enough for the choice of a seed.
fn unpredictable() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let bytes = |seed| {
            let mut bytes = [0; 32];
            SeededRandom::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(7), bytes(7));
        assert_ne!(bytes(7), bytes(8));
    }
}
