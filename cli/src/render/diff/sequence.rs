//! Two sequences, element by element: what stayed, in order, and what went and came between.

/// Places on both sides that belong together; one of them is missing where an element went or came.
pub(super) type Pair = (Option<usize>, Option<usize>);

/// Pairs up two sequences. `alike` says whether two elements that differ are better shown as a change than as two.
pub(super) fn pairs<T>(
    before: &[T],
    after: &[T],
    same: impl Fn(&T, &T) -> bool,
    is_object: impl Fn(&T) -> bool,
) -> Vec<Pair> {
    if before.len() == after.len() && !is_reordered(before, after, &same) {
        return (0..before.len()).map(|i| (Some(i), Some(i))).collect();
    }
    let common = common(before, after, &same);
    let mut pairs = Vec::with_capacity(before.len().max(after.len()));
    let (mut i, mut j, mut next) = (0, 0, common.iter().map(|k| before.get(*k)));
    let mut kept = next.next().flatten();
    let stays = |item: Option<&T>, kept: Option<&T>| match (item, kept) {
        (Some(item), Some(kept)) => same(item, kept),
        _ => false,
    };
    while i < before.len() || j < after.len() {
        while let Some(old) = before.get(i).filter(|old| !stays(Some(old), kept)) {
            let new = after.get(j);
            if is_object(old) && new.is_some_and(&is_object) && !stays(new, kept) {
                pairs.push((Some(i), Some(j)));
                j += 1;
            } else {
                pairs.push((Some(i), None));
            }
            i += 1;
        }
        while j < after.len() && !stays(after.get(j), kept) {
            pairs.push((None, Some(j)));
            j += 1;
        }
        if kept.is_some() {
            pairs.push((Some(i), Some(j)));
            i += 1;
            j += 1;
            kept = next.next().flatten();
        }
    }
    pairs
}

/// The same elements in another order.
fn is_reordered<T>(before: &[T], after: &[T], same: &impl Fn(&T, &T) -> bool) -> bool {
    before.iter().all(|b| after.iter().any(|a| same(b, a)))
}

/// Beyond this many comparisons, what is equal at both ends is taken as it is.
const LARGE: usize = 4_000_000;

/// The places in `before` of a longest common subsequence.
fn common<T>(before: &[T], after: &[T], same: &impl Fn(&T, &T) -> bool) -> Vec<usize> {
    let mut start = 0;
    let mut end = 0;
    if before.len().saturating_mul(after.len()) > LARGE {
        let shorter = before.len().min(after.len());
        start = before
            .iter()
            .zip(after)
            .take_while(|(b, a)| same(b, a))
            .count();
        let backward = before.iter().rev().zip(after.iter().rev());
        end = backward
            .take(shorter - start)
            .take_while(|(b, a)| same(b, a))
            .count();
    }
    let xs = before.get(start..before.len() - end).unwrap_or_default();
    let ys = after.get(start..after.len() - end).unwrap_or_default();
    let mut places: Vec<usize> = (0..start).collect();
    if xs.len().saturating_mul(ys.len()) <= LARGE * 4 {
        places.extend(middle(xs, ys, same).into_iter().map(|i| i + start));
    }
    places.extend(before.len() - end..before.len());
    places
}

/// The table of lengths, one row and column wider than the sequences, and the way back through it.
fn middle<T>(xs: &[T], ys: &[T], same: &impl Fn(&T, &T) -> bool) -> Vec<usize> {
    let width = xs.len() + 1;
    let mut lengths = vec![0_u32; width * (ys.len() + 1)];
    let mut equal = vec![false; width * (ys.len() + 1)];
    let at = |x: usize, y: usize| y * width + x;
    let length = |lengths: &[u32], x, y| lengths.get(at(x, y)).copied().unwrap_or(0);
    for (y, b) in ys.iter().enumerate() {
        for (x, a) in xs.iter().enumerate() {
            let is_equal = same(a, b);
            let best = if is_equal {
                length(&lengths, x, y) + 1
            } else {
                length(&lengths, x, y + 1).max(length(&lengths, x + 1, y))
            };
            if let Some(cell) = lengths.get_mut(at(x + 1, y + 1)) {
                *cell = best;
            }
            if let Some(cell) = equal.get_mut(at(x + 1, y + 1)) {
                *cell = is_equal;
            }
        }
    }
    let (mut x, mut y) = (xs.len(), ys.len());
    let mut places = Vec::new();
    while x > 0 && y > 0 {
        if equal.get(at(x, y)).copied().unwrap_or(false) {
            places.push(x - 1);
            x -= 1;
            y -= 1;
        } else if length(&lengths, x - 1, y) > length(&lengths, x, y - 1) {
            x -= 1;
        } else {
            y -= 1;
        }
    }
    places.reverse();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(before: &str, after: &str) -> String {
        let (b, a): (Vec<char>, Vec<char>) = (before.chars().collect(), after.chars().collect());
        pairs(&b, &a, |x, y| x == y, |c| c.is_uppercase())
            .into_iter()
            .map(|pair| match pair {
                (Some(i), Some(j)) if b[i] == a[j] => format!(" {}", b[i]),
                (Some(i), Some(j)) => format!("~{}{}", b[i], a[j]),
                (Some(i), None) => format!("-{}", b[i]),
                (None, Some(j)) => format!("+{}", a[j]),
                (None, None) => String::new(),
            })
            .collect()
    }

    #[test]
    fn sequences_are_paired_in_order() {
        assert_eq!(letters("abc", "abc"), " a b c");
        assert_eq!(letters("abc", "ac"), " a-b c");
        assert_eq!(letters("ac", "abc"), " a+b c");
        assert_eq!(letters("abc", "axc"), " a~bx c");
        assert_eq!(letters("abc", "cab"), "+c a b-c");
        assert_eq!(letters("AB", "XYZ"), "~AX~BY+Z");
        assert_eq!(letters("", "ab"), "+a+b");
        assert_eq!(letters("ab", ""), "-a-b");
    }
}
