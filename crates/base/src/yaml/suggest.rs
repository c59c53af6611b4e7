//! "Did you mean …?"

/// The question in brackets, after a space, when one of `known` is close enough to `given`; else nothing.
pub fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let given = given.to_lowercase();
    // A third of the letters may differ; of a short word, one.
    let most = (given.chars().count() / 3).clamp(1, 3);
    let best = known.into_iter().map(|k| (distance(&given, &k.to_lowercase()), k)).min();
    match best {
        Some((d, word)) if d <= most => format!(" (did you mean `{word}`?)"),
        _ => String::new(),
    }
}

/// Letters to insert, drop, change or swap with their neighbour until `a` is `b` (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    // Keys are short. What is longer than this is no slip of the finger.
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let changed = usize::from(a[i - 1] != b[j - 1]);
            row[j] = (above[j] + 1).min(row[j - 1] + 1).min(above[j - 1] + changed);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["stages", "startVUs", "think", "timeout"];
        assert_eq!(did_you_mean("stagse", known), " (did you mean `stages`?)");
        assert_eq!(did_you_mean("startvus", known), " (did you mean `startVUs`?)");
        assert_eq!(did_you_mean("thnik", known), " (did you mean `think`?)");
        assert_eq!(did_you_mean("colour", known), "");
    }

    proptest! {
        #[test]
        fn the_distance_is_symmetric_and_zero_only_for_equals(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
