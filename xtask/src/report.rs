//! What ran, what failed and what was skipped, told once at the end.

use std::time::Duration;

/// The result of one part of a run.
pub(crate) struct Part {
    /// What was run, in words.
    pub(crate) name: String,
    /// Checks or tests that held.
    pub(crate) passed: usize,
    /// Checks or tests that did not.
    pub(crate) failed: usize,
    /// How long it took.
    pub(crate) took: Duration,
}

/// Something that was not run, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Skip {
    /// The test or the part.
    pub(crate) what: String,
    /// Why, in words.
    pub(crate) why: String,
}

/// A test that did not hold, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The test.
    pub(crate) what: String,
    /// What it said of why, the first lines of it.
    pub(crate) why: Vec<String>,
}

/// Everything a run has to say.
#[derive(Default)]
pub(crate) struct Report {
    parts: Vec<Part>,
    failures: Vec<Failure>,
    skipped: Vec<Skip>,
}

impl Report {
    /// Adds the result of a part.
    pub(crate) fn add(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// Adds something that was not run. The same thing said twice counts once.
    pub(crate) fn skip(&mut self, what: impl Into<String>, why: impl Into<String>) {
        let skip = Skip { what: what.into(), why: why.into() };
        if !self.skipped.contains(&skip) {
            self.skipped.push(skip);
        }
    }

    /// Adds a test that failed. The end of a long run is what people and programs keep of it.
    pub(crate) fn failure(&mut self, failure: Failure) {
        self.failures.push(failure);
    }

    /// True when nothing that ran failed.
    pub(crate) fn all_held(&self) -> bool {
        self.parts.iter().all(|part| part.failed == 0)
    }

    /// The whole report, ending with the one plain line that programs read.
    pub(crate) fn text(&self) -> String {
        let mut text = String::from("\n── results ─────────────────────────────────────────\n");
        for part in &self.parts {
            let word = if part.failed == 0 { "held  " } else { "FAILED" };
            let took = part.took.as_secs();
            let counts = match (part.passed, part.failed) {
                (_, 0) => format!("{} passed", part.passed),
                (passed, failed) => format!("{passed} passed, {failed} failed"),
            };
            text += &format!("  {word}  {:<28} {counts}, {took} s\n", part.name);
        }
        if !self.failures.is_empty() {
            text += "\nFailed:\n";
            for failure in &self.failures {
                text += &format!("  - {}\n", failure.what);
                for line in &failure.why {
                    text += &format!("      {line}\n");
                }
            }
        }
        if self.skipped.is_empty() {
            text += "\nNothing was skipped.\n";
        } else {
            text += "\nSkipped:\n";
            let mut skipped: Vec<&Skip> = self.skipped.iter().collect();
            skipped.sort_by(|a, b| (&a.why, &a.what).cmp(&(&b.why, &b.what)));
            for skip in skipped {
                text += &format!("  - {}: {}\n", skip.what, skip.why);
            }
        }
        let passed: usize = self.parts.iter().map(|part| part.passed).sum();
        let failed: usize = self.parts.iter().map(|part| part.failed).sum();
        text += &format!("\n{passed} passed, {failed} failed, {} skipped\n", self.skipped.len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, passed: usize, failed: usize) -> Part {
        Part { name: name.into(), passed, failed, took: Duration::from_secs(1) }
    }

    #[test]
    fn the_last_line_counts_everything() {
        let mut report = Report::default();
        report.add(part("tidy", 1, 0));
        report.add(part("tests", 40, 2));
        report.skip("browser tests", "chromium is not installed");
        report.skip("browser tests", "chromium is not installed");
        assert!(!report.all_held());
        let text = report.text();
        assert_eq!(text.lines().last(), Some("41 passed, 2 failed, 1 skipped"));
        assert!(text.contains("  - browser tests: chromium is not installed\n"), "{text}");
    }

    #[test]
    fn what_failed_is_said_with_why_before_the_counts() {
        let mut report = Report::default();
        report.add(part("tests", 1, 1));
        report.failure(Failure { what: "web lists".into(), why: vec!["left: 1".into(), "right: 2".into()] });
        let text = report.text();
        assert!(text.contains("Failed:\n  - web lists\n      left: 1\n      right: 2\n"), "{text}");
        assert_eq!(text.lines().last(), Some("1 passed, 1 failed, 0 skipped"));
    }

    #[test]
    fn says_so_when_nothing_was_skipped() {
        let mut report = Report::default();
        report.add(part("tidy", 1, 0));
        assert!(report.all_held());
        assert!(report.text().contains("Nothing was skipped."));
    }
}
