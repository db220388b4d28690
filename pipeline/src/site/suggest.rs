//! "Did you mean …?": the known word nearest to one that is not known.

/// Longest text, in bytes, for which a near word is sought; also bounds the work.
const TEXT_BYTES_MAX: usize = 64;

/// The nearest of `known` to `text`, where one is near enough to be what was meant: equal but for
/// case and the choice of `-` or `_`, at most a third of the letters wrong, or one word inside the
/// other.
pub(crate) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = plain(text);
    let letters = wanted.chars().count();
    let mut best: Option<(usize, &str)> = None;
    for word in known {
        if word.len() > TEXT_BYTES_MAX {
            continue;
        }
        let candidate = plain(word);
        let contained = letters.min(candidate.chars().count()) >= 4
            && (candidate.contains(&wanted) || wanted.contains(&candidate));
        let distance = strsim::damerau_levenshtein(&wanted, &candidate);
        let allowed = (letters.max(candidate.chars().count()) / 3).max(1);
        let distance = if distance <= allowed && distance < letters {
            distance
        } else if contained {
            distance.max(allowed + 1)
        } else {
            continue;
        };
        if best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, word));
        }
    }
    best.map(|(_, word)| word)
}

/// "did you mean `WORD`?" where a word is near, else the list of `known` under the name `what`,
/// else nothing where the list is empty.
pub(crate) fn did_you_mean<'a>(
    text: &str,
    what: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    if let Some(near) = nearest(text, known.iter().copied()) {
        return Some(format!("did you mean `{near}`?"));
    }
    list(&known).map(|known| format!("{what}: {known}"))
}

/// The first words of a list, in backticks; `None` where it is empty.
pub(crate) fn list(words: &[&str]) -> Option<String> {
    const SHOWN: usize = 64;
    if words.is_empty() {
        return None;
    }
    let shown: Vec<String> = words
        .iter()
        .take(SHOWN)
        .map(|word| format!("`{word}`"))
        .collect();
    let more = if words.len() > SHOWN { ", …" } else { "" };
    Some(format!("{}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found() {
        let known = ["treatment", "category", "min_level", "from_level"];
        assert_eq!(nearest("treatmnt", known), Some("treatment"));
        assert_eq!(nearest("min-level", known), Some("min_level"));
        assert_eq!(nearest("Category", known), Some("category"));
        assert_eq!(nearest("level", known), Some("min_level"));
        assert_eq!(nearest("residents_2", ["residents"]), Some("residents"));
    }

    #[test]
    fn far_words_are_not() {
        assert_eq!(nearest("colour", ["treatment", "fields"]), None);
        assert_eq!(nearest("", ["a"]), None);
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest(&"a".repeat(10_000), ["aaaa"]), None);
    }
}
