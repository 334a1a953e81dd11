//! Independent Python packages check the vector files: `cwt` the signatures, `cbor2` the encoding,
//! `cryptography` the sealing of templates.

use std::process::Command;

use super::{cases, folder};

#[test]
fn independent_python_packages_verify_the_vectors() {
    let Some(python) = std::env::var_os("SUDARE_TEST_PYTHON") else {
        let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
        assert!(!required.split(',').any(|tool| tool == "python"), "SUDARE_TEST_PYTHON is not set");
        println!("SKIPPED: no independent check of the vectors. `cargo xtask test` sets SUDARE_TEST_PYTHON.");
        return;
    };
    let script = sudare_test_kit::checkout().join("tests/data/verify_vectors.py");
    let run = Command::new(python).arg(script).arg(folder()).output().expect("Python starts");
    let (words, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{words}{errors}");
    let expected = format!("{} signatures verified", cases::all_signed().len());
    assert!(words.contains(&expected), "expected {expected:?} in {words:?}");
}
