//! "Did you mean": the known names nearest to one that is not known.

/// The three candidates with the fewest edits to `text`, as "`a`, `b`, `c`".
pub(crate) fn nearest(text: &str, candidates: &[&str]) -> String {
    let mut ranked: Vec<(usize, &str)> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        ranked.push((edits(text, candidate), candidate));
    }
    ranked.sort_unstable();
    let names: Vec<String> = ranked.iter().take(3).map(|(_, name)| format!("`{name}`")).collect();
    names.join(", ")
}

/// Levenshtein distance over bytes. Callers pass names, which are bounded by [`crate::limits::EVENT_TYPE_BYTES_MAX`].
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, a_byte) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b_byte) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(a_byte != b_byte);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, expected) in [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("task", "task", 0)] {
            assert_eq!(edits(a, b), expected, "{a} → {b}");
            assert_eq!(edits(b, a), expected, "{b} → {a}");
        }
    }

    #[test]
    fn the_nearest_come_first() {
        let known = ["vehicle.created", "vehicle.deleted", "session.ended", "parts.inventory.low"];
        assert_eq!(
            nearest("vehicle.delete", &known),
            "`vehicle.deleted`, `vehicle.created`, `session.ended`"
        );
        assert_eq!(nearest("x", &[]), "");
    }
}
