//! A terminal just good enough to read what an OLT meant to show.
//!
//! OLTs answer as if a person sat at a VT100: pagers erase themselves by moving the cursor back and writing blanks
//! over the marker, echoes wrap with a blank and a step back, columns are reached by cursor moves. Replaying those
//! moves on one row of cells gives clean text for every vendor with the same code, where a list of byte sequences
//! to delete grows for ever. Bytes are taken one at a time, so how the network cut them cannot matter.

/// What a byte changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing visible.
    Nothing,
    /// The row under the cursor.
    Row,
    /// A line was completed; take it with [`Screen::take_line`].
    Line,
}

/// A row grew beyond the limit given to [`Screen::new`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowTooLong;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Escape {
    Ground,
    Started,
    /// `ESC [` and its parameter bytes so far.
    Csi(Vec<u8>),
    /// `ESC ]` … a title or the like, skipped to its end.
    Osc {
        escape: bool,
    },
    /// `ESC (` and friends: one more byte to skip.
    Charset,
}

/// One row of cells, a cursor, and the last completed line.
#[derive(Debug, Clone)]
pub struct Screen {
    row: Vec<u8>,
    column: usize,
    escape: Escape,
    line: String,
    max_columns: usize,
    /// Text of this row was replaced by other text.
    rewritten: bool,
    line_rewritten: bool,
}

const ESC: u8 = 0x1B;
/// More parameter bytes than any real sequence has; beyond it the sequence is dropped.
const MAX_PARAMETERS: usize = 32;

impl Screen {
    /// An empty row of at most `max_columns` cells.
    pub fn new(max_columns: usize) -> Self {
        Screen {
            row: Vec::new(),
            column: 0,
            escape: Escape::Ground,
            line: String::new(),
            max_columns,
            rewritten: false,
            line_rewritten: false,
        }
    }

    /// The row up to the cursor: what a prompt is looked for in. Text right of the cursor is on its way out (a pager
    /// marker being erased) and must not be seen as a prompt again.
    pub fn before_cursor(&self) -> String {
        String::from_utf8_lossy(&self.row[..self.column.min(self.row.len())]).into_owned()
    }

    /// The cursor's column.
    pub fn column(&self) -> usize {
        self.column
    }

    /// The line completed by the last byte, without trailing blanks.
    pub fn take_line(&mut self) -> String {
        std::mem::take(&mut self.line)
    }

    /// Whether text of the line completed last stood under other text first. Pagers do that to their own marker; in a
    /// row of a table it is the work of control characters in somebody's text.
    pub fn line_was_rewritten(&self) -> bool {
        self.line_rewritten
    }

    /// Text in these cells is about to go.
    fn replaced(&mut self, from: usize, to: usize) {
        let to = to.min(self.row.len());
        self.rewritten |= self.row.get(from..to).is_some_and(|cells| cells.iter().any(|c| *c != b' '));
    }

    /// Takes one byte.
    ///
    /// # Errors
    /// [`RowTooLong`] when the row leaves its limit.
    pub fn push(&mut self, byte: u8) -> Result<Change, RowTooLong> {
        match std::mem::replace(&mut self.escape, Escape::Ground) {
            Escape::Ground => self.plain(byte),
            // A line end inside a broken sequence: the sequence is lost, the line end is not.
            _ if matches!(byte, b'\n' | b'\r') => self.plain(byte),
            Escape::Started => {
                self.escape = match byte {
                    b'[' => Escape::Csi(Vec::new()),
                    b']' => Escape::Osc { escape: false },
                    b'(' | b')' | b'#' | b'*' | b'+' => Escape::Charset,
                    ESC => Escape::Started,
                    _ => Escape::Ground,
                };
                Ok(Change::Nothing)
            }
            Escape::Charset => Ok(Change::Nothing),
            Escape::Osc { escape } => {
                if byte != 0x07 && !(escape && byte == b'\\') {
                    self.escape = Escape::Osc { escape: byte == ESC };
                }
                Ok(Change::Nothing)
            }
            Escape::Csi(mut parameters) => match byte {
                0x40..=0x7E => self.control(&parameters, byte),
                ESC => {
                    self.escape = Escape::Started;
                    Ok(Change::Nothing)
                }
                _ => {
                    if parameters.len() < MAX_PARAMETERS {
                        parameters.push(byte);
                        self.escape = Escape::Csi(parameters);
                    }
                    Ok(Change::Nothing)
                }
            },
        }
    }

    fn plain(&mut self, byte: u8) -> Result<Change, RowTooLong> {
        match byte {
            b'\n' => {
                let text = String::from_utf8_lossy(&self.row);
                self.line = text.trim_end().to_owned();
                self.row.clear();
                self.column = 0;
                self.line_rewritten = std::mem::take(&mut self.rewritten);
                Ok(Change::Line)
            }
            b'\r' => {
                self.column = 0;
                Ok(Change::Row)
            }
            0x08 => {
                self.column = self.column.saturating_sub(1);
                Ok(Change::Row)
            }
            b'\t' => {
                let target = (self.column / 8 + 1) * 8;
                self.move_to(target)?;
                Ok(Change::Row)
            }
            ESC => {
                self.escape = Escape::Started;
                Ok(Change::Nothing)
            }
            0x00..=0x1F | 0x7F => Ok(Change::Nothing),
            _ => {
                self.move_to(self.column)?;
                match self.row.get_mut(self.column) {
                    Some(cell) => {
                        self.rewritten |= *cell != b' ' && *cell != byte;
                        *cell = byte;
                    }
                    None => self.row.push(byte),
                }
                self.column += 1;
                if self.column > self.max_columns { Err(RowTooLong) } else { Ok(Change::Row) }
            }
        }
    }

    /// Puts the cursor at `column`, filling the row with blanks up to it.
    fn move_to(&mut self, column: usize) -> Result<(), RowTooLong> {
        if column > self.max_columns {
            return Err(RowTooLong);
        }
        if self.row.len() < column {
            self.row.resize(column, b' ');
        }
        self.column = column;
        Ok(())
    }

    fn control(&mut self, parameters: &[u8], action: u8) -> Result<Change, RowTooLong> {
        let first: Option<usize> = parameters
            .split(|b| *b == b';')
            .next()
            .and_then(|p| std::str::from_utf8(p).ok())
            .and_then(|p| p.parse().ok());
        let count = first.unwrap_or(1).max(1);
        let end = self.column.min(self.row.len());
        match action {
            b'D' => self.column = self.column.saturating_sub(count),
            b'C' => self.move_to(self.column.saturating_add(count))?,
            b'G' => self.move_to(count - 1)?,
            b'K' | b'J' => match first.unwrap_or(0) {
                0 => {
                    self.replaced(end, usize::MAX);
                    self.row.truncate(end);
                }
                1 => {
                    self.replaced(0, end);
                    self.row[..end].fill(b' ');
                }
                _ => {
                    self.replaced(0, usize::MAX);
                    self.row.clear();
                    self.move_to(self.column)?;
                }
            },
            b'P' => {
                let stop = end.saturating_add(count).min(self.row.len());
                self.replaced(end, stop);
                self.row.drain(end..stop);
            }
            b'X' => {
                let stop = end.saturating_add(count).min(self.row.len());
                self.replaced(end, stop);
                self.row[end..stop].fill(b' ');
            }
            b'@' => {
                if self.row.len().saturating_add(count) > self.max_columns {
                    return Err(RowTooLong);
                }
                self.row.splice(end..end, std::iter::repeat_n(b' ', count));
            }
            _ => return Ok(Change::Nothing),
        }
        Ok(Change::Row)
    }
}

/// Cleans a whole recorded text: every line as it stood when it was completed, and the unfinished rest.
pub fn clean(bytes: &[u8]) -> String {
    let mut screen = Screen::new(1 << 16);
    let mut out = String::new();
    for byte in bytes {
        if screen.push(*byte) == Ok(Change::Line) {
            out.push_str(&screen.take_line());
            out.push('\n');
        }
    }
    out.push_str(screen.before_cursor().trim_end());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pager_erases_itself() {
        let blanks = " ".repeat(37);
        let raw = format!("  one\r\n---- More ( Press 'Q' to break ) ----\x1b[37D{blanks}\x1b[37D  two\r\n");
        assert_eq!(clean(raw.as_bytes()), "  one\n  two\n");
        // Erased by carriage return, by backspaces, and by the erase sequence.
        assert_eq!(clean(b"--More--\r        \rtwo\n"), "two\n");
        assert_eq!(
            clean(b"--More--\x08\x08\x08\x08\x08\x08\x08\x08        \x08\x08\x08\x08\x08\x08\x08\x08two\n"),
            "two\n"
        );
        assert_eq!(clean(b"--More--\r\x1b[Ktwo\n"), "two\n");
    }

    #[test]
    fn an_echo_that_wraps_is_one_line() {
        assert_eq!(clean(b"OLT#display ont \x1b[1Dinfo\x00 0\r\n"), "OLT#display ontinfo 0\n");
        assert_eq!(clean(b"OLT#display ont  \x1b[1Dinfo\r\n"), "OLT#display ont info\n");
    }

    #[test]
    fn columns_are_reached_by_cursor_moves() {
        assert_eq!(clean(b"1\x1b[4Cx\x1b[10Gy\x1b[1;31mz\x1b[0m\n"), "1    x   yz\n");
        assert_eq!(clean(b"abc\x1b]0;title\x07def\x1b(Bg\n"), "abcdefg\n");
    }

    #[test]
    fn a_broken_sequence_takes_no_line_with_it() {
        for broken in ["\x1b", "\x1b[", "\x1b[12;", "\x1b(", "\x1b]0;a title without end"] {
            assert_eq!(clean(format!("one{broken}\r\ntwo\r\n").as_bytes()), "one\ntwo\n", "{broken:?}");
            assert_eq!(clean(format!("one{broken}\ntwo\n").as_bytes()), "one\ntwo\n", "{broken:?}");
        }
    }

    #[test]
    fn a_row_without_end_is_refused() {
        let mut screen = Screen::new(100);
        let result: Result<Vec<_>, _> = (0..200).map(|_| screen.push(b'a')).collect();
        assert_eq!(result, Err(RowTooLong));
        let mut screen = Screen::new(100);
        let jump: Result<Vec<_>, _> = b"\x1b[99999C".iter().map(|b| screen.push(*b)).collect();
        assert_eq!(jump, Err(RowTooLong));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut screen = Screen::new(80);
            for byte in bytes {
                if screen.push(byte).is_err() {
                    break;
                }
                prop_assert!(screen.column() <= 81);
                let _ = screen.before_cursor();
            }
        }

        #[test]
        fn plain_text_passes_unchanged(lines in proptest::collection::vec("[ -~]{0,60}", 0..8)) {
            let text: String = lines.iter().map(|l| format!("{}\n", l.trim_end())).collect();
            prop_assert_eq!(clean(text.replace('\n', "\r\n").as_bytes()), text);
        }
    }
}
