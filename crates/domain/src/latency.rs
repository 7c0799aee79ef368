//! What a histogram of latencies says: the buckets that attempts are counted in, and percentiles estimated from them. Pure.

/// Upper bounds of the latency buckets, milliseconds; one more bucket holds what took longer.
pub const LATENCY_BUCKETS_MS: [u64; 7] = [10, 30, 100, 300, 1000, 3000, 10_000];

/// A percentile, as far as buckets know it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LatencyBound {
    /// Milliseconds, interpolated within a bucket.
    About(f64),
    /// It lies in the last bucket, which has no upper bound: longer than so many milliseconds.
    Over(u64),
}

/// The latency that a share `p` (0 to 1) of the counted attempts did not exceed; `None` when nothing was counted.
///
/// The error: within a bucket attempts are taken to be spread evenly, so the true value may be anywhere in the same bucket.
/// Its bounds are a factor of 3.4 apart at most, so the answer is off by no more than that factor; below 10 ms, by 10 ms.
pub fn percentile(latency: &[u64; LATENCY_BUCKETS_MS.len() + 1], p: f64) -> Option<LatencyBound> {
    let total: u64 = latency.iter().sum();
    if total == 0 {
        return None;
    }
    // At least one attempt: the zeroth percentile is the first of them.
    let wanted = (p.clamp(0.0, 1.0) * total as f64).max(1.0);
    let (mut below, mut lower) = (0u64, 0u64);
    for (count, upper) in latency.iter().zip(LATENCY_BUCKETS_MS) {
        if *count > 0 && (below + count) as f64 >= wanted {
            let share = (wanted - below as f64) / *count as f64;
            return Some(LatencyBound::About(lower as f64 + share * (upper - lower) as f64));
        }
        below += count;
        lower = upper;
    }
    Some(LatencyBound::Over(lower))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_lies_in_the_bucket_that_holds_it() {
        for (latency, p, expected) in [
            ([0; 8], 0.5, None),
            ([100, 0, 0, 0, 0, 0, 0, 0], 0.5, Some(LatencyBound::About(5.0))),
            ([50, 50, 0, 0, 0, 0, 0, 0], 0.5, Some(LatencyBound::About(10.0))),
            ([50, 50, 0, 0, 0, 0, 0, 0], 0.75, Some(LatencyBound::About(20.0))),
            ([0, 0, 10, 0, 0, 0, 0, 0], 1.0, Some(LatencyBound::About(100.0))),
            ([0, 0, 10, 0, 0, 0, 0, 0], 0.0, Some(LatencyBound::About(37.0))),
            ([90, 0, 0, 0, 0, 0, 0, 10], 0.95, Some(LatencyBound::Over(10_000))),
            ([90, 0, 0, 0, 0, 0, 0, 10], 0.9, Some(LatencyBound::About(10.0))),
        ] {
            assert_eq!(percentile(&latency, p), expected, "{latency:?} at {p}");
        }
    }

    #[test]
    fn a_share_out_of_bounds_is_the_nearest_one() {
        let latency = [1, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(percentile(&latency, 7.0), Some(LatencyBound::Over(10_000)));
        assert_eq!(percentile(&latency, -1.0), Some(LatencyBound::About(10.0)));
    }
}
