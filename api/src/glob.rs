//! Globs over names: `*` any run of characters, `?` one character.

/// Whether all of `text` matches. Takes time in proportion to the product of both lengths at most.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where to go on when a match fails: behind the last star, which then takes one character more.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((behind, taken)) => {
                    star = Some((behind, taken + 1));
                    (p, t) = (behind, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_take_any_run_and_question_marks_one_character() {
        for (pattern, text, matches) in [
            ("prod-*", "prod-api", true),
            ("prod-*", "prod-", true),
            ("prod-*", "preprod-api", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*-eu-*", "shop-eu-west-eu-1", true),
            ("*a*b", "aab", true),
            ("*ab", "aabb", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} on {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_matches_itself_and_anything_around_it(text in "[a-z-]{0,12}", around in "[a-z]{0,5}") {
            prop_assert!(glob(&text, &text));
            let surrounded = format!("{around}{text}{around}");
            let pattern = format!("*{text}*");
            prop_assert!(glob(&pattern, &surrounded));
        }
    }
}
