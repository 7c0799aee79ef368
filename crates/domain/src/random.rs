//! The seam for randomness.

/// A source of random bytes. The process has one that is cryptographically strong; tests have one that is seeded.
pub trait Random: Send + Sync {
    fn fill(&self, bytes: &mut [u8]);
}

/// A number in `0.0..1.0`, for jitter.
pub fn fraction(random: &dyn Random) -> f64 {
    let mut bytes = [0u8; 8];
    random.fill(&mut bytes);
    // 53 bits are what an f64 holds exactly.
    (u64::from_le_bytes(bytes) >> 11) as f64 / (1u64 << 53) as f64
}
