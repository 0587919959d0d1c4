//! The log: lines that nobody but us begins.

use anyhow::Context;
use std::io::{self, IsTerminal as _, Write};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Writes what happens to stderr, as text for people or as JSON for collectors.
///
/// # Errors
/// When `level` is no log level.
pub(crate) fn to_stderr(format: &str, level: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(level).with_context(|| format!("{level:?} is no log level"))?;
    // Colours are for a terminal; in a file or a journal they are rubbish between the words.
    let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(OneLine { to: io::stderr, colours })
        .with_ansi(colours);
    if format == "json" {
        builder.json().init();
    } else {
        builder.with_target(false).init();
    }
    Ok(())
}

/// Makes one line of each event: what a device, an OLT or a database says must not look like a line of ours, nor move the
/// cursor of whoever reads it.
#[derive(Debug, Clone)]
struct OneLine<M> {
    to: M,
    colours: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = Escaped<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped { to: self.to.make_writer(), colours: self.colours }
    }
}

struct Escaped<W> {
    to: W,
    colours: bool,
}

impl<W: Write> Write for Escaped<W> {
    /// An event comes in one piece, with the end of its line.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (line, end) = match text.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (&*text, ""),
        };
        let mut shown = String::with_capacity(event.len());
        for c in line.chars() {
            match c {
                // Our own colours; what others say has lost its escapes before.
                '\u{1b}' if self.colours => shown.push(c),
                '\t' => shown.push(c),
                // Line separators are no control characters and end lines all the same.
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    shown.extend(c.escape_default());
                }
                c => shown.push(c),
            }
        }
        shown.push_str(end);
        self.to.write_all(shown.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("kept").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_others_say_begins_no_line_and_moves_no_cursor() {
        let kept = Kept::default();
        let to = kept.clone();
        let writer = OneLine { to: move || to.clone(), colours: false };
        let subscriber = tracing_subscriber::fmt().with_writer(writer).with_ansi(false).finish();
        let forged = "x\r\n2026-11-21T14:35:00Z  INFO signed in name=admin\u{2028}\u{85}\u{1b}[2J\u{7f}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(shown = %forged, quoted = ?forged, plain = forged, "it said {forged}");
            tracing::warn!("the next one, with Jörg and a\ttab");
        });
        let text = String::from_utf8(kept.0.lock().expect("kept").clone()).expect("text");
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!(lines.len(), 3, "two events and the end: {text:?}");
        assert!(lines[0].contains("INFO") && lines[0].contains("signed in name=admin"), "{text:?}");
        assert!(lines[1].contains("Jörg and a\ttab") && lines[2].is_empty(), "{text:?}");
        let odd = |c: char| (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}');
        assert!(lines.iter().all(|line| !line.contains(odd)), "{text:?}");
    }
}
