//! docs/security.md says which test makes which attack. It is to be true.

use std::{fs, path::Path};

#[test]
fn every_test_that_the_list_of_attacks_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docs/security.md")).expect("the list is there");
    let (_, table) = text.split_once("## The attacks").expect("the table");
    let mut named = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().expect("the last cell");
        let mut file = None;
        // What stands in backticks is a file or, after it, a test in it.
        for word in tests.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                let content = fs::read_to_string(root.join(word));
                file = Some((word, content.unwrap_or_else(|error| panic!("{word}: {error}"))));
                continue;
            }
            let (path, content) = file.as_ref().unwrap_or_else(|| panic!("{word} stands in no file"));
            assert!(content.contains(&format!("fn {word}(")), "{path} has no test {word}");
            named += 1;
        }
        assert!(file.is_some(), "an attack without a test: {row}");
    }
    assert!(named > 80, "{named} tests are named");
}
