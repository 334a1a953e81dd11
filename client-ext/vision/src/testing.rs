//! For tests: a clock, and the photographs and models where they are here.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

use sudare_client_core::face::identity::Thresholds;
use sudare_models::Store;

use crate::engine::Engine;

pub(crate) const THRESHOLDS: Thresholds =
    Thresholds { operator_min: 0.54, same_person_min: 0.42, stranger_max: 0.30 };

/// A clock that starts at its first use.
pub(crate) fn boottime_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap()
}

/// The models and the folder of photographs, or `None` with a loud word.
pub(crate) fn models_and_photographs() -> Option<(Engine, PathBuf)> {
    let engine = Store::default_dir().and_then(Store::open).map_err(|e| e.to_string());
    let engine = engine.and_then(|store| Engine::load(&store).map_err(|e| e.to_string()));
    let folder =
        std::env::var_os("SUDARE_TEST_PICTURES").map(PathBuf::from).filter(|f| f.join("obama.jpg").exists());
    let required = std::env::var("SUDARE_REQUIRE_TOOLS").unwrap_or_default();
    let required = |tool| required.split(',').any(|name| name == tool);
    match (engine, folder) {
        // Photographs stand for people here, so nothing may deny that they are alive.
        (Ok(engine), Some(folder)) => Some((Engine { anti_spoof: None, ..engine }, folder)),
        (Err(error), _) => skip("the models", required("models"), &error),
        (_, None) => skip("the photographs", required("photographs"), "SUDARE_TEST_PICTURES names none"),
    }
}

fn skip<T>(what: &str, required: bool, why: &str) -> Option<T> {
    assert!(!required, "{what} should be there: {why}");
    println!("SKIPPED: {what} are not there: {why}");
    None
}
