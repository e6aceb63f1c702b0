//! Text of others, made fit for a terminal.

use unicode_width::UnicodeWidthChar as _;

/// Text for one line: what would break the line, move the cursor, change the
/// direction of writing or hide is shown as U+FFFD.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_harmless(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Lines of a message: its own line breaks hold, everything else is as in
/// [`one_line`].
pub(crate) fn lines(text: &str) -> Vec<String> {
    // A tab moves the cursor by more than a width says.
    text.split('\n')
        .map(|line| one_line(&line.trim_end_matches('\r').replace('\t', "    ")))
        .collect()
}

/// Columns that a text takes in a terminal.
///
/// `None` where terminals differ: what is joined or modified to one picture.
pub(crate) fn columns(text: &str) -> Option<usize> {
    text.chars()
        .map(|c| match c {
            '\u{200d}' | '\u{fe0f}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f3fb}'..='\u{1f3ff}' => None,
            c => c.width().filter(|&width| width > 0 || c == '\0'),
        })
        .sum()
}

/// The first characters of a text that fit into some columns.
pub(crate) fn cut(text: &str, columns_max: usize) -> String {
    if text.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() <= columns_max {
        return text.to_owned();
    }
    let mut left = columns_max.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_others_moves_the_cursor() {
        assert_eq!(
            one_line("a\x1b[2Jb\rc\u{9b}31md\u{202e}e"),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}31md\u{fffd}e"
        );
        assert_eq!(lines("a\r\n\tb\n\x07"), ["a", "    b", "\u{fffd}"]);
        for c in (0..=char::MAX as u32).filter_map(char::from_u32) {
            assert!(!one_line(&c.to_string()).contains(char::is_control));
        }
    }

    #[test]
    fn columns_are_known_or_said_to_be_unknown() {
        assert_eq!(columns("abc"), Some(3));
        assert_eq!(columns("日本"), Some(4));
        assert_eq!(columns("e\u{301}"), None);
        assert_eq!(columns("👩\u{200d}🚀"), None);
    }

    #[test]
    fn a_cut_text_fits() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("", 0), "");
    }
}
