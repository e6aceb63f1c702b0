//! QR codes of half blocks.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code that readers rely on.
const QUIET: usize = 4;

/// The lines of a QR code. Light modules are drawn: a terminal without colours
/// is taken to be dark.
///
/// `None` when the text does not fit.
pub(crate) fn lines(text: &str) -> Option<Vec<String>> {
    let code = QrCode::with_error_correction_level(text.as_bytes(), EcLevel::L).ok()?;
    let size = code.width();
    let light = |column: usize, row: usize| {
        let inside = |at: usize| at.checked_sub(QUIET).filter(|&at| at < size);
        match (inside(column), inside(row)) {
            (Some(x), Some(y)) => code[(x, y)] == Color::Light,
            // Below the last row of an odd number there is nothing to draw.
            _ => row < size + 2 * QUIET,
        }
    };
    let line = |top: usize| {
        let half = |column| match (light(column, top), light(column, top + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        (0..size + 2 * QUIET).map(half).collect()
    };
    Some((0..size + 2 * QUIET).step_by(2).map(line).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_is_drawn_in_its_place() {
        let text = "MESH:AEBAGBAFAYDQQCIKBMGA2DQPCAIREEYUCULBOGAZDINRYHI6D4QCCIRDEQ";
        let lines: Vec<Vec<char>> =
            lines(text).expect("fits").iter().map(|line| line.chars().collect()).collect();
        let code = QrCode::with_error_correction_level(text, EcLevel::L).expect("fits");
        let size = code.width();
        assert!(lines.iter().all(|line| line.len() == size + 2 * QUIET));
        for y in 0..size {
            for x in 0..size {
                let drawn = lines[(y + QUIET) / 2][x + QUIET];
                let upper = (y + QUIET).is_multiple_of(2);
                let light = drawn == '█' || drawn == if upper { '▀' } else { '▄' };
                assert_eq!(light, code[(x, y)] == Color::Light, "{x} {y}");
            }
        }
        assert!(lines[..QUIET / 2].iter().flatten().all(|&c| c == '█'));
    }

    #[test]
    fn an_address_with_two_relays_fits_a_terminal() {
        // The longest invite: 250 bytes are 400 digits.
        let text = format!("MESH:{}", "A".repeat(400));
        assert!(lines(&text).expect("fits")[0].chars().count() <= 80);
    }

    #[test]
    fn what_does_not_fit_is_no_code() {
        assert!(lines(&"A".repeat(10_000)).is_none());
    }
}
